"""Distances to an edge, by `benchmarks/label_edges.py`, against a search of all pixels."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scripts import load_script


@pytest.fixture(scope="module")
def label_edges(checkout: Path) -> ModuleType:
    return load_script(checkout / "benchmarks" / "label_edges.py")


def searched(label: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Look at every pair of pixels."""
    places = list(np.ndindex(label.shape))
    touching = [
        (row, column)
        for row, column in places
        for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
        if near in set(places) and label[near] != label[row, column]
    ]
    distances = [
        min((np.hypot(row - y, column - x) for y, x in touching), default=np.inf)
        for row, column in places
    ]
    return np.reshape(distances, label.shape)


@settings(max_examples=40, deadline=None)
@given(
    arrays(
        np.uint8,
        st.tuples(st.integers(1, 7), st.integers(1, 7)),
        elements=st.sampled_from([0, 1, 255]),
    )
)
def test_distances_are_those_to_pixels_that_touch_another_label(
    label_edges: ModuleType, label: NDArray[np.uint8]
) -> None:
    np.testing.assert_allclose(label_edges.distance_to_edge(label), searched(label))


def test_errors_are_off_the_diagonal(label_edges: ModuleType) -> None:
    assert label_edges.wrong(np.array([[5, 2], [1, 7]])) == 3
