"""The all-integer (int8) variant: published into its entry, loaded, and told of."""

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_zoo

from larq_dense import zoo
from larq_dense.common.errors import LarqDenseError, WeightsError
from larq_dense.models.weights import load_weights, save_weights
from larq_dense.publishing import publish
from larq_dense.publishing.card import card
from larq_dense.publishing.tables import entries_table
from larq_dense.quantization import is_quantized, quantize
from larq_dense.training import Recipe
from larq_dense.zoo import Entry

PICTURE = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)


@pytest.fixture(scope="module")
def int8_run(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> Path:
    """Return a run's folder with the entry `tiny` in int8."""
    folder = tmp_path_factory.mktemp("int8")
    recipe = Recipe.load(tiny_run / "recipe.yaml")
    model = recipe.build_model()
    load_weights(model, tiny_run / "best.safetensors")
    quantized = quantize(model, [recipe.preprocessing(PICTURE)])
    recipe.quantized("tiny").save(folder / "recipe.yaml")
    save_weights(quantized, folder / "best.safetensors", unpacked=True)
    return folder


def measured(tiny: Entry) -> dict[str, Any]:
    """Return invented figures of the variant."""
    figures = copy.deepcopy({key: tiny.metrics()[key] for key in ("machine", "accuracy")})
    figures["accuracy"][0]["metrics"]["maxf"] = 0.8712
    parity = {"same_labels": 0.9999, "images": 10, "max_steps": 1}
    figures["conversion"] = {"bytes": 98_765, "parity": parity}
    figures["memory"] = {"default": 4_567_890, "int8": 1_234_567}
    taken = {"XNOR runtime": 7.84, "XNOR runtime, int8": 4.56, "TFLite int8": 21.64}
    figures["latency"] = {"milliseconds": taken, "command": "larq-dense benchmark tiny"}
    return figures


@pytest.fixture(scope="module")
def with_variant(published: Path, int8_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a zoo's folder that holds the entry `tiny` with its variant."""
    root = tmp_path_factory.mktemp("variant") / "zoo"
    with pytest.MonkeyPatch.context() as patch:
        figures = measured(tiny_zoo.take(published, root, patch))
        publish(int8_run, "tiny", lambda entry: figures)
    return root


@pytest.fixture
def variant(with_variant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """Return that entry, in a zoo that the test may spoil."""
    return tiny_zoo.take(with_variant, tmp_path / "zoo", monkeypatch)


def test_the_variant_is_loaded_by_its_precision(variant: Entry, int8_run: Path) -> None:
    files = {path.name for path in variant.int8().folder.iterdir()}
    assert files == {"recipe.yaml", "metrics.json", "weights.safetensors", "weights.sha256"}
    model = zoo.load("tiny", precision="int8")
    assert is_quantized(model)
    assert not is_quantized(zoo.load("tiny"))
    run = Recipe.load(int8_run / "recipe.yaml").build_model()
    load_weights(run, int8_run / "best.safetensors")
    inputs = model.preprocess(PICTURE)
    np.testing.assert_array_equal(model(inputs), run(inputs))
    assert model.spec.name == "tiny"
    assert "never saw ECSSD" in model.spec.description
    wide = zoo.load("tiny", precision="int8", input_shape=(64, 96, 3))
    assert wide.output_shape == (None, 64, 96, 1)


@pytest.mark.parametrize(
    "figure",
    [
        "## All-integer",
        "| MaxF on people (val) | 0.876 | 0.871 |",
        "| MaxF on objects of PASCAL VOC (val, salient_like) | 0.765 | 0.765 |",
        "| bytes of the file | 123,456 | 98,765 |",
        "| peak tensor memory, bytes | 4,567,890 | 1,234,567 |",
        "| ms a picture | 7.8 | 4.6 |",
        "took 21.6 ms",
        "99.990 % of the pixels, logits at most 1 quantization step apart",
        "larq-dense convert tiny --int8 --output tiny_int8.tflite",
    ],
)
def test_the_card_holds_every_figure(variant: Entry, figure: str) -> None:
    assert figure in variant.card()
    assert card(variant) == variant.card()


@pytest.mark.parametrize(
    ("length", "command"),
    [
        ({"epochs": 2, "steps": None}, "train tiny --quantize --epochs 2 --data"),
        ({"epochs": None, "steps": 12}, "train zoo/tiny/int8/recipe.yaml --data"),
    ],
)
def test_the_card_has_the_command_that_trained_it(
    variant: Entry, length: dict[str, int | None], command: str
) -> None:
    variant.int8().recipe().replace(**length).save(variant.int8().recipe_file)
    assert f"`larq-dense {command} ../shared/data --run runs/tiny_int8`" in card(variant)


def test_the_readme_has_its_figures_in_the_entrys_rows(variant: Entry) -> None:
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in entries_table().splitlines()[-2:]
    ]
    assert [row[3] for row in rows] == ["0.871", "0.765"]
    assert rows[0][5:] == ["0.1 MB", "4.6", "21.6 (AVX2)"]


def test_a_new_entry_drops_the_variant_of_the_old(variant: Entry, tiny_run: Path) -> None:
    figures = variant.metrics()
    publish(tiny_run, "tiny", lambda entry: figures)
    assert not variant.int8().is_published
    assert "All-integer" not in variant.card()
    with pytest.raises(WeightsError, match=r"no int8 variant; make one by `larq-dense train tiny"):
        zoo.load("tiny", precision="int8")


def test_a_variant_needs_its_entry(tiny: Entry, int8_run: Path) -> None:
    with pytest.raises(LarqDenseError, match="no entry other whose variant"):
        publish(int8_run, "other", lambda entry: measured(tiny))
    assert [path.name for path in tiny.folder.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    ("setting", "value"), [("model", {"branches": 2}), ("input", {"height": 96, "width": 64})]
)
def test_a_variant_of_another_network_is_refused(
    tiny: Entry, int8_run: Path, tmp_path: Path, setting: str, value: dict[str, Any]
) -> None:
    recipe = Recipe.load(int8_run / "recipe.yaml").to_dict()
    recipe[setting] = {**recipe[setting], **value}
    Recipe.from_dict(recipe).save(tmp_path / "run" / "recipe.yaml")
    shutil.copy(int8_run / "best.safetensors", tmp_path / "run")
    with pytest.raises(LarqDenseError, match=f"no variant of the entry tiny, .* another {setting}"):
        publish(tmp_path / "run", "tiny", lambda entry: measured(tiny))
    assert not tiny.int8().is_published


@pytest.mark.parametrize("arguments", [{"weights": None}, {"num_classes": 4}])
def test_without_trained_weights_there_are_no_ranges(
    variant: Entry, arguments: dict[str, Any]
) -> None:
    with pytest.raises(LarqDenseError, match="comes from trained weights"):
        zoo.load("tiny", precision="int8", **arguments)
