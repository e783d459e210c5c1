"""Fixtures for all tests: real data where it is present, and one tiny model in every form."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import larq_dense.common.keras2  # noqa: F401  (before any test imports TensorFlow)

if TYPE_CHECKING:
    from larq_dense.zoo import Entry

# Two workers on two cores: each TensorFlow process keeps to one thread. Set before its import.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

# `python -c` in a test imports the installed package, not the checkout it happens to start in.
os.environ.setdefault("PYTHONSAFEPATH", "1")

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Return the repository's root."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data, or skip the test."""
    named = os.environ.get("LARQ_DENSE_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there (LARQ_DENSE_DATA names another place)")
    return folder


@pytest.fixture(scope="session")
def shared_cases(shared_data: Path) -> Path:
    """Return the folder of small inputs that go wrong, or skip the test."""
    folder = shared_data.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"no cases: {folder} is not there")
    return folder


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data root with one plain folder, `people`: two frames each in train and val."""
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (root / "people" / folder).mkdir(parents=True)
    for split in ("train", "val"):
        stems = [f"{split}_{index}" for index in range(2)]
        (root / "people" / f"{split}.txt").write_text("\n".join(stems) + "\n")
        for stem in stems:
            mask = np.zeros((40, 60), np.uint8)
            mask[10:30, 10:40] = 255
            picture = random.integers(0, 120, (40, 60, 3), np.uint8)
            picture[mask > 0] += 100
            Image.fromarray(picture).save(root / "people" / "images" / f"{stem}.png")
            Image.fromarray(mask).save(root / "people" / "masks" / f"{stem}.png")
    return root


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run's folder with the recipe and the (random) weights of a tiny saliency net."""
    from larq_dense.models.weights import save_weights
    from larq_dense.training.recipe import Recipe

    folder = tmp_path_factory.mktemp("run")
    source = {"folder": "people", "split": "train"}
    recipe = Recipe.from_dict(
        {
            "name": "tiny",
            "task": "ecssd",
            "model": {
                "encoder_options": {"blocks": 1},
                "branches": 1,
                "attention": "none",
                "decoder_filters": 32,
                "head_filters": 32,
            },
            "input": {"height": 64, "width": 64},
            "data": {"train": [source], "validation": [{**source, "split": "val"}]},
            "crop": [64, 64],
            "epochs": 1,
        }
    )
    recipe.save(folder / "recipe.yaml")
    save_weights(recipe.build_model(), folder / "best.safetensors", unpacked=True)
    return folder


@pytest.fixture(scope="session")
def binary_model() -> Any:
    """Return a whole network."""
    import small_networks

    return small_networks.network("binary")


@pytest.fixture(scope="session")
def float_model() -> Any:
    """Return its full-precision baseline."""
    import small_networks

    return small_networks.network("float")


@pytest.fixture(scope="session")
def small_binary() -> Any:
    """Return a few layers of the task cityscapes that convert in a moment."""
    import small_networks

    from larq_dense import tasks
    from larq_dense.common.images import Preprocessing
    from larq_dense.runtime import ModelSpec

    model = small_networks.few_layers("binary")
    task = tasks.get("cityscapes")
    model.spec = ModelSpec.for_task("small", task, Preprocessing(32, 64))
    return model


@pytest.fixture(scope="session")
def small_float() -> Any:
    """Return their full-precision baseline."""
    import small_networks

    return small_networks.few_layers("float")


@pytest.fixture
def picture() -> NDArray[np.float32]:
    """Return one normalized picture of the small networks' size."""
    values = np.random.default_rng(5).uniform(-1, 1, (1, 32, 64, 3))
    return values.astype(np.float32)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path) -> Path:
    """Return a zoo's folder that holds the entry `tiny`."""
    import tiny_zoo

    from larq_dense.publishing import publish

    root = tmp_path_factory.mktemp("zoo")
    publish(tiny_run, "tiny", lambda entry: tiny_zoo.METRICS, root)
    return root


@pytest.fixture
def tiny(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Entry":
    """Return the entry `tiny` of a zoo that the test may spoil."""
    import tiny_zoo

    return tiny_zoo.take(published, tmp_path / "zoo", monkeypatch)
