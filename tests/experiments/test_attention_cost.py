"""What attention costs, against a count by hand."""

import pytest

from larq_dense.experiments.attention_cost import (
    BRANCHES,
    STAGES,
    added_milliseconds,
    attention_complexity,
    stage,
)

HEIGHT, WIDTH, FILTERS = 6, 10, 32

# Spatial: one 3x3 kernel over the branches' channels, at each position. Channel: a 1x1 kernel from
# the branches' channels to one branch's, once. Each branch by itself comes to the same.
MACS = BRANCHES * (9 * FILTERS * HEIGHT * WIDTH + FILTERS * FILTERS)


@pytest.mark.parametrize("name", STAGES)
def test_the_count_is_that_by_hand(name: str) -> None:
    precision, per_branch = STAGES[name]
    found = attention_complexity(stage(HEIGHT, WIDTH, FILTERS, precision, per_branch, "both"))
    binary = precision == "binary"
    assert found["binary_macs"] == MACS * binary
    assert found["float_macs"] == MACS * (not binary)
    assert found["ops"] == (MACS / 64 if binary else MACS)


@pytest.mark.parametrize("name", STAGES)
def test_without_attention_there_is_none(name: str) -> None:
    precision, per_branch = STAGES[name]
    model = stage(HEIGHT, WIDTH, FILTERS, precision, per_branch, "none")
    assert attention_complexity(model)["ops"] == 0
    assert model.output_shape == (None, HEIGHT, WIDTH, FILTERS)


def test_what_is_added_is_the_median_of_the_turns_differences() -> None:
    assert added_milliseconds([5.0, 9.0, 4.0], [4.0, 3.0, 3.5]) == 1.0
