"""`larq-dense diagnose`: figures, files, and a network without branches."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from larq_dense.cli import main
from larq_dense.experiments import parallelism
from larq_dense.models.weights import save_weights
from larq_dense.runtime import xnor
from larq_dense.training import Recipe

pytestmark = pytest.mark.skipif(
    not xnor.available(), reason=f"needs the XNOR runtime: {xnor.why_unavailable()}"
)


def diagnose(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["diagnose", *map(str, arguments)])


@pytest.fixture(autouse=True)
def few_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time two numbers of branches, for each takes a conversion of the whole network."""
    monkeypatch.setattr(parallelism, "BRANCHES", (1, 2))


def test_an_entry_is_diagnosed(tiny_data: Path, tmp_path: Path) -> None:
    options = ("--data", tiny_data / "people", "--split", "val", "--repeats", 1)
    result = diagnose("ecssd", *options, "--output", tmp_path / "new", "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document == json.loads((tmp_path / "new" / "diagnosis.json").read_text())
    Image.open(tmp_path / "new" / "diagnosis.png").verify()
    assert document["images"] == 2
    layers = document["branch_errors"]["layers"]
    assert len(layers) == 8  # two in each of the decoder's four stages
    assert all(layer["independent"] == pytest.approx(3**-0.5) for layer in layers)
    assert all(0 < layer["correlation"] < layer["reduction"] < 1 for layer in layers)
    parts = {(part["layer"], part["part"]) for part in document["attention"]["parts"]}
    assert len(parts) == 8  # two of each of the four attentions
    for times in document["parallelism"]["milliseconds"].values():
        assert list(times) == ["1", "2"]
        assert all(time > 0 for time in times.values())
    for check in ("branch_errors", "attention", "parallelism"):
        assert document[check]["verdict"] in ("supported", "refuted", "unclear")


def test_a_run_without_branches_says_so(tiny_run: Path, tiny_data: Path) -> None:
    result = diagnose(
        tiny_run, "--data", tiny_data / "people", "--split", "val", "--repeats", 1, "--limit", 1
    )
    assert result.exit_code == 0, result.output
    assert result.output.count("the network has none") == 2
    assert "K = 2" in result.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"precision": "activations"}, "not binary (model.precision is activations)"),
        ({"precision": "float"}, "not binary (model.precision is float)"),
        ({}, "is an int8 network"),
    ],
)
def test_what_is_not_binary_is_refused(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    recipe = Recipe.load(tiny_run / "recipe.yaml")
    recipe = recipe.replace(model={**recipe.model, **changes})
    recipe = recipe if changes else recipe.quantized(str(tiny_run))
    recipe.save(tmp_path / "recipe.yaml")
    save_weights(recipe.build_model(), tmp_path / "best.safetensors", unpacked=True)
    result = diagnose(tmp_path, "--data", tiny_data / "people", "--split", "val")
    assert result.exit_code == 1
    assert said in result.stderr and "Traceback" not in result.output


def test_a_converted_file_is_refused(tiny_file: Path, tiny_data: Path) -> None:
    result = diagnose(tiny_file, "--data", tiny_data / "people", "--split", "val")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert str(tiny_file) in result.output
