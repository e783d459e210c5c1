"""The tiny run's network as a converted file, made once."""

from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="session")
def tiny_file(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the network of `tiny_run` as a converted file."""
    from larq_dense.conversion import convert
    from larq_dense.zoo.opening import open_keras

    path = tmp_path_factory.mktemp("converted") / "tiny.tflite"
    convert(open_keras(str(tiny_run))[0]).save(path)
    return path


@pytest.fixture(scope="session")
def float_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of a full-precision reference network, with random weights."""
    from larq_dense.models.weights import save_weights
    from larq_dense.training.recipe import Recipe

    folder = tmp_path_factory.mktemp("float")
    values = yaml.safe_load((tiny_run / "recipe.yaml").read_text())
    values |= {"name": "rival"}
    values["model"] = {
        "encoder": "mobilenet_v2",
        "decoder": "lraspp",
        "precision": "float",
        "encoder_options": {"alpha": 0.35},
    }
    recipe = Recipe.from_dict(values)
    recipe.save(folder / "recipe.yaml")
    save_weights(recipe.build_model(), folder / "best.safetensors")
    return folder
