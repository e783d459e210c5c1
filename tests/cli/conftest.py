"""The tiny run's network as a converted file, made once."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_file(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the network of `tiny_run` as a converted file."""
    from larq_dense.conversion import convert
    from larq_dense.zoo.opening import open_keras

    path = tmp_path_factory.mktemp("converted") / "tiny.tflite"
    convert(open_keras(str(tiny_run))[0]).save(path)
    return path
