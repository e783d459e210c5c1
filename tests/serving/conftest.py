"""Predictors behind the server: a published one, and one that waits until it is told to go on."""

from collections.abc import Iterator

import pytest
from waiting_model import Waiting, small_spec

from larq_dense import zoo
from larq_dense.runtime import Predictor, xnor


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    interpreter = Waiting()
    yield interpreter
    interpreter.go.set()


@pytest.fixture
def slow(waiting: Waiting) -> Predictor:
    """Return a predictor that waits for `waiting.go`."""
    return Predictor(waiting, small_spec())


@pytest.fixture(scope="session")
def published_predictor() -> Predictor:
    """Return the entry ecssd's, over the file that is served unless another is asked for."""
    if not xnor.available():
        pytest.skip(str(xnor.why_unavailable()))
    return Predictor(zoo.find("ecssd").tflite(int8=True))
