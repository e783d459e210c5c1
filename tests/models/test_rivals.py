"""Full-precision reference networks: MobileNets, EfficientNet-Lite0, Lite R-ASPP."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.common.errors import WeightsError
from larq_dense.models import ENCODERS, binary_layers, build_model

RIVALS: list[tuple[str, dict[str, Any], int, int]] = [
    ("mobilenet_v2", {"alpha": 0.35}, 16, 192),
    ("mobilenet_v2", {"alpha": 0.5}, 16, 288),
    ("mobilenet_v2", {}, 32, 576),
    ("mobilenet_v3_small", {}, 16, 288),
    ("mobilenet_v3_large", {}, 40, 672),
    ("efficientnet_lite0", {"output_stride": 16}, 40, 672),
]


@pytest.mark.parametrize(("encoder", "options", "fine", "coarse"), RIVALS)
def test_features_end_with_the_last_layer_at_a_sixteenth(
    encoder: str, options: dict[str, Any], fine: int, coarse: int
) -> None:
    inputs = tf.keras.Input((64, 96, 3))
    features = ENCODERS[encoder](inputs, precision="float", **options)
    shapes = [tuple(feature.shape[1:]) for feature in features]
    assert [shape[:2] for shape in shapes] == [(32, 48), (16, 24), (8, 12), (4, 6)]
    assert coarse == shapes[3][2]
    assert ENCODERS[encoder](inputs, precision="float", **{**options, "output_stride": 32})[
        4
    ].shape[1:3] == (2, 3)


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "mobilenet_v3_small"])
def test_names_and_any_size(encoder: str) -> None:
    fixed, free = (
        build_model(3, encoder, "lraspp", precision="float", input_shape=(*size, 3))
        for size in ((64, 96), (None, None))
    )
    assert [v.name for v in fixed.weights] == [v.name for v in free.weights]
    free.set_weights(fixed.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype(np.float32)
    np.testing.assert_allclose(free(x), fixed(x), atol=1e-4)
    assert fixed.output_shape == (None, 64, 96, 3) and not binary_layers(fixed)


def test_the_head_is_that_of_the_paper() -> None:
    """NumPy and plain TensorFlow functions compute the same from the features."""
    model = build_model(
        3, "mobilenet_v2", "lraspp", precision="float", input_shape=(64, 96, 3),
        encoder_options={"alpha": 0.35},
    )  # fmt: skip
    weights = {v.name.removesuffix(":0"): v.numpy() for v in model.weights}
    head = model.get_layer("head_fine").input, model.get_layer("lraspp_conv").input, model.output
    x = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype(np.float32)
    fine, coarse, logits = (t.numpy() for t in tf.keras.Model(model.input, head)(x))

    y = coarse @ weights["lraspp_conv/kernel"][0, 0]
    y = np.maximum(y / np.sqrt(1 + 1e-5), 0)  # new statistics: mean 0, variance 1
    gate = 1 / (1 + np.exp(-coarse.mean(axis=(1, 2)) @ weights["lraspp_gate/kernel"][0, 0]))
    y = tf.image.resize(y * gate[:, None, None], (8, 12)).numpy()
    y = y @ weights["head/kernel"][0, 0] + weights["head/bias"]
    y = y + fine @ weights["head_fine/kernel"][0, 0]
    np.testing.assert_allclose(tf.image.resize(y, (64, 96)), logits, atol=1e-4)


@pytest.mark.parametrize(
    ("encoder", "decoder"), [("mobilenet_v3_small", "lraspp"), ("light", "lraspp")]
)
def test_they_have_no_binary_form(encoder: str, decoder: str) -> None:
    with pytest.raises(ValueError, match="no binary form; choose precision: float"):
        build_model(3, encoder, decoder)


def test_unreachable_imagenet_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(**named: object) -> None:
        if named["weights"]:
            raise Exception("URL fetch failure")
        raise AssertionError("not asked for")

    monkeypatch.setattr(tf.keras.applications, "MobileNetV3Small", unreachable)
    with pytest.raises(WeightsError, match="cannot get MobileNetV3Small's ImageNet weights"):
        build_model(
            3, "mobilenet_v3_small", "lraspp", precision="float", encoder_options={"imagenet": True}
        )
