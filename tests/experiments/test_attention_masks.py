"""How attention masks are used, on masks that are known."""

import numpy as np
import pytest
import tensorflow as tf

from larq_dense.experiments.attention_masks import MaskUse, mask_use, verdict
from larq_dense.layers import BinaryAttention, ParallelConv2D


def network(parts: str = "both") -> tf.keras.Model:
    tf.keras.utils.set_random_seed(0)
    inputs = tf.keras.Input((6, 8, 5))
    maps = ParallelConv2D(8, branches=2, name="conv")(inputs)
    outputs = BinaryAttention(parts, name="attention")(maps)
    return tf.keras.Model(inputs, outputs)


def pictures(count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [random.normal(size=(1, 6, 8, 5)).astype(np.float32) for _ in range(count)]


def test_the_figures_follow_from_the_masks() -> None:
    model = network()
    attention, inputs = model.get_layer("attention"), pictures()
    maps = tf.keras.Model(model.inputs, attention.input)
    used = {each.part: each for each in mask_use(model, inputs)}
    assert set(used) == {"spatial", "channel"}
    for part, measured in used.items():
        share = np.array([np.mean(attention.masks(maps(x))[part]) for x in inputs])
        inside = share[(share > 0) & (share < 1)]
        entropy = -(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside)).sum()
        assert measured.layer == "attention"
        assert measured.open == pytest.approx(share.mean())
        assert measured.entropy == pytest.approx(entropy / len(inputs), abs=1e-6)
        assert measured.uniform == pytest.approx(np.mean((share <= 0.02) | (share >= 0.98)))


@pytest.mark.parametrize(("beta", "open_"), [(100.0, 1.0), (-100.0, 0.0)])
def test_a_stuck_mask_is_uniform(beta: float, open_: float) -> None:
    model = network("spatial")
    norm = model.get_layer("attention").norms["spatial"]
    norm.beta.assign(np.full(norm.beta.shape, beta))
    (measured,) = mask_use(model, pictures())
    assert (measured.open, measured.uniform) == (open_, 1.0)
    assert measured.entropy == pytest.approx(0, abs=1e-6)
    assert verdict([measured]) == "refuted"


def test_a_network_without_attention_has_no_masks() -> None:
    inputs = tf.keras.Input((6, 8, 5))
    assert mask_use(tf.keras.Model(inputs, tf.keras.layers.ReLU()(inputs)), pictures()) == []


@pytest.mark.parametrize(
    ("uniform", "said"), [(0.1, "supported"), (0.3, "unclear"), (0.5, "refuted")]
)
def test_the_verdict_follows_the_criteria(uniform: float, said: str) -> None:
    assert verdict([MaskUse("layer", "spatial", 0.5, uniform, 0.9)]) == said
