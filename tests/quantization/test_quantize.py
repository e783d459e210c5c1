"""The int8 form of each layer against the layer itself."""

import importlib
import logging
from pathlib import Path
from typing import Any

import int8_networks as networks
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_model_optimization.quantization import keras as tfmot

from larq_dense import layers
from larq_dense.common.errors import ConversionError, DataError
from larq_dense.models import binary_layers
from larq_dense.models.decoder import attended_branches
from larq_dense.models.weights import load_weights, save_weights
from larq_dense.quantization import calibrate, quantize
from larq_dense.quantization.elements import Scale
from larq_dense.quantization.expand import expand
from larq_dense.quantization.quantizers import OUTLIERS, Range

# Through several layers one flipped sign spreads.
SHALLOW = [name for name in networks.BODIES if name != "everything"]


@pytest.mark.parametrize("name", SHALLOW)
def test_elementary_layers_compute_the_same(name: str) -> None:
    model = networks.float_network(networks.BODIES[name])
    expected, actual = (each(networks.batch()).numpy() for each in (model, expand(model)))
    # Folding rounds elsewhere, which may flip a sign near 0 now and then.
    off = np.abs(actual - expected) > 1e-3 * np.abs(expected).max()
    assert off.mean() < 0.02


@pytest.mark.parametrize("name", SHALLOW)
def test_eight_bits_stay_close_to_float(name: str) -> None:
    model = networks.float_network(networks.BODIES[name])
    quantized = quantize(model, [networks.batch()])
    expected, actual = (each(networks.batch()).numpy() for each in (model, quantized))
    # A mask that opens elsewhere changes whole channels.
    least = 0.7 if name == "attention" else 0.9
    assert np.corrcoef(expected.ravel(), actual.ravel())[0, 1] > least


def test_quantizing_leaves_the_model_alone() -> None:
    model = networks.float_network(networks.everything)
    before = [value.copy() for value in model.get_weights()]
    quantize(model, [networks.batch()])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_rounding_to_a_grid_for_floats_is_gone_and_binary_layers_remain() -> None:
    model = networks.float_network(networks.everything)
    quantized = quantize(model, [networks.batch()])
    assert not any(isinstance(layer, layers.FixedPoint) for layer in quantized.layers)
    kernels = [[each.kernel.name for each in binary_layers(m)] for m in (model, quantized)]
    assert sorted(kernels[0]) == sorted(kernels[1])
    for one, other in zip(
        *(sorted(binary_layers(m), key=lambda x: x.kernel.name) for m in (model, quantized)),
        strict=True,
    ):
        np.testing.assert_array_equal(one.kernel, other.kernel)


def output_of(quantized: tf.keras.Model, name: str) -> Any:
    return quantized.get_layer(name).quantize_config.output


def range_variables(quantized: tf.keras.Model) -> list[tf.Variable]:
    ends = ("_low:0", "_high:0", "_step:0", "/unit:0")
    return [v for v in quantized.variables if v.name.endswith(ends) and "optimizer" not in v.name]


def test_sums_share_the_range_of_their_terms() -> None:
    quantized = networks.int8_network(networks.residual)
    # The stem, the branch, and two sums.
    names = ("stem_conv", "plain/norm_0", "add/1", "add")
    (shared,) = {output_of(quantized, name) for name in names}
    assert isinstance(shared, Range)
    assert output_of(quantized, "head") is not shared


def test_every_layer_is_wrapped_by_the_optimization_toolkit() -> None:
    quantized = networks.int8_network(networks.everything)
    others = [x for x in quantized.layers if not isinstance(x, tfmot.QuantizeWrapperV2)]
    assert [type(x) for x in others] == [tf.keras.layers.InputLayer]


def test_gradients_reach_every_trained_variable() -> None:
    quantized = networks.int8_network(networks.everything)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(quantized(networks.batch(), training=True) ** 2)
    variables = quantized.trainable_variables
    gradients = tape.gradient(loss, variables)
    dead = [v.name for v, g in zip(variables, gradients, strict=True) if g is None]
    assert not dead
    still = [v.name for v, g in zip(variables, gradients, strict=True) if not np.any(g)]
    assert not still
    fixed = {v.name for v in range_variables(quantized)}
    assert fixed
    assert not fixed & {v.name for v in variables}


def test_training_lowers_the_loss_and_keeps_the_ranges() -> None:
    quantized = networks.int8_network(networks.residual)
    before = [v.numpy() for v in range_variables(quantized)]
    target = quantized(networks.batch()).numpy() + 1
    quantized.compile(tf.keras.optimizers.Adam(1e-3), "mse")
    losses = quantized.fit(networks.batch(), target, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    for old, new in zip(before, range_variables(quantized), strict=True):
        np.testing.assert_array_equal(old, new)


def test_weights_make_a_round_trip(tmp_path: Path) -> None:
    quantized = networks.int8_network(networks.everything)
    save_weights(quantized, tmp_path / "w.safetensors")
    again = quantize(networks.float_network(networks.everything))
    report = load_weights(again, tmp_path / "w.safetensors")
    assert not report.missing
    np.testing.assert_array_equal(again(networks.batch()), quantized(networks.batch()))


def test_the_gate_is_folded_into_the_scales() -> None:
    model = networks.float_network(networks.parallel)
    merge = next(layer for layer in model.layers if isinstance(layer, layers.GatedMerge))
    coefficients = np.random.default_rng(2).uniform(-1, 1, merge.gate.theta.shape)
    merge.gate.theta.assign(coefficients)
    flat = expand(model)
    scales = [layer for layer in flat.layers if isinstance(layer, Scale)]
    norms = next(each.norms for each in model.layers if isinstance(each, layers.ParallelConv2D))
    for c, scale, norm in zip(merge.coefficients(), scales, norms, strict=True):
        expected = c * norm.gamma / np.sqrt(norm.moving_variance + norm.epsilon)
        np.testing.assert_allclose(scale.scale, expected, rtol=1e-5)


def test_calibrating_again_forgets_the_ranges_before() -> None:
    quantized = networks.int8_network(networks.everything)
    before = quantized.get_weights()
    calibrate(quantized, [10 * networks.batch()])
    assert any(np.any(a != b) for a, b in zip(before, quantized.get_weights(), strict=True))
    calibrate(quantized, [networks.batch()])
    for one, other in zip(before, quantized.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_ranges_leave_out_the_share_that_changes_the_answers_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = networks.float_network(networks.everything)
    exact = model(networks.batch())

    def settled(*outliers: float) -> tuple[float, list[np.ndarray]]:
        for module in ("quantizers", "quantize"):
            path = importlib.import_module(f"larq_dense.quantization.{module}")
            monkeypatch.setattr(path, "OUTLIERS", outliers)
        quantized = quantize(model, [networks.batch()])
        change = np.mean(np.square(quantized(networks.batch()) - exact))
        return float(change), quantized.get_weights()

    shares = (*OUTLIERS, 0.2)
    alone = [settled(share) for share in shares]
    change, weights = min(alone, key=lambda each: each[0])
    assert change < max(each for each, _ in alone)
    for order in (shares, shares[::-1]):
        for one, other in zip(settled(*order)[1], weights, strict=True):
            np.testing.assert_array_equal(one, other)


def test_few_pictures_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    quantized = quantize(networks.float_network(networks.pooled))
    with caplog.at_level(logging.WARNING, "larq_dense"):
        calibrate(quantized, [*[networks.batch()] * 20, np.zeros_like(networks.batch())])
    assert "taken from 1 different picture;" in caplog.text
    caplog.clear()
    calibrate(quantized, [networks.batch() + step for step in range(8)])
    assert not caplog.records


@pytest.mark.parametrize("color", [0, 0.7])
def test_pictures_of_one_colour_are_refused(color: float) -> None:
    quantized = quantize(networks.float_network(networks.pooled))
    with pytest.raises(DataError, match="of one colour; give real pictures"):
        calibrate(quantized, [np.full_like(networks.batch(), color)] * 20)


def test_calibrating_takes_a_picture() -> None:
    with pytest.raises(DataError, match="at least one"):
        quantize(networks.float_network(networks.pooled), [])


def test_a_layer_without_a_form_is_named() -> None:
    model = networks.float_network(lambda x: tf.keras.layers.Softmax(name="odd")(x))
    with pytest.raises(ConversionError, match=r"the layer odd \(Softmax\) has no int8 form"):
        quantize(model, [networks.batch()])


def test_a_gate_over_other_than_branches_is_named() -> None:
    model = networks.float_network(lambda x: layers.GatedMerge(name="gate")([x, x]))
    with pytest.raises(ConversionError, match="the layer gate"):
        quantize(model, [networks.batch()])


def test_a_shared_threshold_stays_one() -> None:
    model = networks.float_network(networks.simplified)
    branches = next(x for x in model.layers if isinstance(x, layers.ParallelConv2D))
    branches.thresholds[0].tau.assign(np.linspace(-1, 1, 32))
    (threshold,) = (x for x in expand(model).layers if isinstance(x, layers.Threshold))
    np.testing.assert_array_equal(threshold.tau, branches.thresholds[0].tau)


def test_a_shared_threshold_over_several_inputs_is_named() -> None:
    shared = layers.ParallelConv2D(4, branches=2, shared_threshold=True, name="shared")
    model = networks.float_network(lambda x: layers.Merge()(shared([x, x])))
    with pytest.raises(ConversionError, match="the layer shared"):
        quantize(model, [networks.batch()])


def test_attention_of_each_branch_is_named() -> None:
    def body(x: networks.Tensor) -> networks.Tensor:
        return attended_branches(
            x,
            32,
            "stage",
            branches=2,
            attention="spatial",
            precision="binary",
            attention_per_branch=True,
        )

    with pytest.raises(ConversionError, match="the layer stage_merge"):
        quantize(networks.float_network(body), [networks.batch()])


@pytest.mark.parametrize(
    "settings", [{"precision": "float"}, {"precision": "activations"}, {"activation": "prelu"}]
)
def test_only_binary_branches_with_relu_have_a_form(settings: dict[str, Any]) -> None:
    branches = layers.ParallelConv2D(4, branches=2, name="branches", **settings)
    model = networks.float_network(lambda x: layers.Merge()(branches(x)))
    with pytest.raises(ConversionError, match="the layer branches"):
        quantize(model, [networks.batch()])


def test_attention_in_full_precision_has_no_form() -> None:
    model = networks.float_network(layers.BinaryAttention("both", "float", name="attention"))
    with pytest.raises(ConversionError, match="the layer attention"):
        quantize(model, [networks.batch()])


def test_a_branch_that_counts_for_less_than_nothing_is_named_where_attention_sees_it() -> None:
    for body in (networks.attention, networks.parallel):
        model = networks.float_network(body)
        merge = model.get_layer("merge")
        merge.merge.weight.assign(-merge.merge.weight)
        if body is networks.attention:
            with pytest.raises(
                ConversionError, match="the layer merge has the merge coefficient -0"
            ):
                expand(model)
        else:
            expand(model)
