"""The parallel layer that is timed, and what its times mean."""

import pytest

from larq_dense.experiments.parallelism import BRANCHES, parallel_layer, relative_cost, verdict
from larq_dense.models import binary_layers


@pytest.mark.parametrize("branches", [1, 3])
def test_the_layer_has_k_binary_convolutions(branches: int) -> None:
    layer = parallel_layer(branches, 4, 6, 32)
    assert layer.output_shape == (None, 4, 6, 32)
    assert len(binary_layers(layer)) == branches


def test_relative_cost() -> None:
    assert BRANCHES == (1, 2, 3, 5), "as docs/diagnostics.md says"
    assert relative_cost({1: 2.0, 3: 3.0, 5: 10.0}) == {1: 1.0, 3: 0.5, 5: 1.0}


@pytest.mark.parametrize(
    ("several", "said"),
    [((1.5, 2.2), "supported"), ((1.7, 2.5), "unclear"), ((1.9, 2.9), "refuted")],
)
def test_the_verdict_follows_the_criteria(several: tuple[float, float], said: str) -> None:
    assert verdict({1: 1.0, 2: several[0], 3: several[1]}) == said
