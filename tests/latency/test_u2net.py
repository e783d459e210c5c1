"""The U²-Net that `benchmarks/u2net.py` times is the small one that rembg ships."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripts import load_script

REMBG_FILE = 4_574_861
"""Bytes of u2netp.onnx as rembg publishes it: the weights in float32, and the graph."""


@pytest.fixture(scope="module")
def model(checkout: Path) -> Any:
    """Return the network for 32x32 pixels; its weights do not depend on the size."""
    return load_script(checkout / "benchmarks" / "u2net.py").u2net_small(32)


def test_it_has_as_many_weights(model: Any) -> None:
    # The paper gives the file in PyTorch 4.7 MB.
    assert 4 * model.count_params() == pytest.approx(REMBG_FILE, rel=0.01)


def test_it_gives_one_probability_a_pixel(model: Any) -> None:
    probability = model(np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32))
    assert probability.shape == (1, 32, 32, 1)
    assert 0 < probability.numpy().min() <= probability.numpy().max() < 1


def test_convolutions_are_dilated_where_the_paper_says(model: Any) -> None:
    rates = [layer.dilation_rate[0] for layer in model.layers if hasattr(layer, "dilation_rate")]
    # Eight U-blocks end in one of rate 2; three others dilate by 2, 4, 8, 4 and 2 all along.
    assert {rate: rates.count(rate) for rate in (2, 4, 8)} == {2: 8 + 6, 4: 6, 8: 3}
