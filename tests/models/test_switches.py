"""Networks with parts of the method switched off: they learn, are read back, and convert."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tiny_models as tiny

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.conversion import convert
from larq_dense.layers import BinaryAttention, GatedMerge, ParallelConv2D
from larq_dense.models import binary_layers, build
from larq_dense.models.decoder import attended_branches
from larq_dense.models.weights import load_weights, save_weights

Switches = dict[str, Any]
SWITCHES: list[Switches] = [
    {"gated": False},
    {"shared_threshold": True},
    {"attention_per_branch": True},
    {"activation": "prelu", "encoder_options": {"thresholds": True}},
    {"decoder_blocks": 2},
]


class Task:
    num_outputs = 3


def network(**switches: Any) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(1)
    options = {"blocks": 1, **switches.pop("encoder_options", {})}
    return build(
        Task,
        input_shape=(tiny.HEIGHT, tiny.WIDTH, 3),
        decoder_filters=32,
        encoder_options=options,
        **switches,
    )


@pytest.fixture(scope="module", params=SWITCHES, ids=lambda switches: next(iter(switches)))
def switches(request: pytest.FixtureRequest) -> Switches:
    """Return each switch in turn, out of its usual position."""
    chosen: Switches = request.param
    return chosen


@pytest.fixture(scope="module")
def model(switches: Switches) -> tf.keras.Model:
    """Return the network with that switch."""
    return network(**switches)


def kinds(model: tf.keras.Model, kind: type) -> list[Any]:
    return [layer for layer in model.submodules if isinstance(layer, kind)]


def test_a_switch_reaches_all_of_the_decoder(switches: Switches, model: tf.keras.Model) -> None:
    names = [variable.name for variable in model.variables]
    assert len(set(names)) == len(names)
    merges = kinds(model, GatedMerge)
    parallel = [layer for layer in kinds(model, ParallelConv2D) if layer.branches > 1]
    assert len(merges) == len(parallel) == 8
    assert sum(layer.gated for layer in merges) == 8 * switches.get("gated", True)
    assert sum("theta" in name for name in names) == 8 * switches.get("gated", True)
    in_encoder = 4 * ("encoder_options" in switches)
    in_decoder = 8 * (1 if "shared_threshold" in switches else 3)
    assert sum("tau" in name for name in names) == in_decoder + in_encoder
    slopes = (4 + 8 * 3) * ("activation" in switches)
    assert sum("prelu" in name for name in names) == slopes
    attentions = 4 * (3 if "attention_per_branch" in switches else 1)
    assert len(kinds(model, BinaryAttention)) == attentions


def test_gradients_flow_to_every_variable(model: tf.keras.Model) -> None:
    x = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True) ** 2)
    variables = model.trainable_variables
    gradients = tape.gradient(loss, variables)
    dead = [v.name for v, g in zip(variables, gradients, strict=True) if g is None]
    assert not dead


def test_what_branches_begin_with() -> None:
    model = network(merge_scale=0.5, encoder_options={"residual_scale": 0.1})
    for merge in kinds(model, GatedMerge):
        np.testing.assert_allclose(merge.coefficients(), 0.5 / 3, atol=1 / 128)
    for layer in kinds(model, ParallelConv2D):
        scale = 0.1 if layer.branches == 1 else 1.0
        assert all(np.allclose(norm.gamma, scale) for norm in layer.norms)


def test_widths_of_the_light_encoder() -> None:
    model = network(encoder_options={"filters": [16, 24, 40, 56], "blocks": 2})
    blocks = {layer.name: layer.filters for layer in kinds(model, ParallelConv2D)}
    widths = {f"stage{stage}": width for stage, width in enumerate([16, 24, 40, 56])}
    for name, width in widths.items():
        assert [blocks[f"{name}_block{block}"] for block in range(2)] == [width, width]
    with pytest.raises(ValueError, match="four filters, not \\[16, 24\\]"):
        network(encoder_options={"filters": [16, 24]})


def test_depths_of_the_light_encoder_and_of_the_decoder() -> None:
    model = network(decoder_blocks=2, encoder_options={"blocks": [3, 1, 2, 1]})
    names = [layer.name for layer in kinds(model, ParallelConv2D)]
    assert [sum(f"stage{k}_block" in name for name in names) for k in range(4)] == [3, 1, 2, 1]
    assert [sum(f"decoder{k}_block" in name for name in names) for k in range(4)] == [2] * 4
    with pytest.raises(ValueError, match="four blocks, not \\[3, 1\\]"):
        network(encoder_options={"blocks": [3, 1]})


def test_a_network_grows_from_where_it_stood(tmp_path: Path) -> None:
    small = network()
    save_weights(small, tmp_path / "w.safetensors", unpacked=True)
    deeper = {"blocks": [2, 3, 1, 2], "residual_scale": 0.0}
    grown = network(decoder_blocks=2, encoder_options=deeper)
    report = load_weights(grown, tmp_path / "w.safetensors", strict=False)
    assert report.missing and not report.unused
    x = np.random.default_rng(0).normal(size=(1, *small.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(grown(x), small(x))


def test_a_switch_is_kept_by_keras(model: tf.keras.Model) -> None:
    again = model.__class__.from_config(model.get_config())
    again.set_weights(model.get_weights())
    x = np.random.default_rng(0).normal(size=(1, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))


def test_packed_weights_give_the_same_output(
    model: tf.keras.Model, switches: Switches, tmp_path: Path
) -> None:
    for variable in model.variables:
        if "tau" in variable.name:
            variable.assign(np.random.default_rng(0).uniform(-1, 1, variable.shape))
    save_weights(model, tmp_path / "w.safetensors")
    packed = network(**switches)
    report = load_weights(packed, tmp_path / "w.safetensors")
    assert not report.missing and not report.unused
    x = np.random.default_rng(0).normal(size=(1, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(packed(x), model(x))


def test_it_converts_and_all_that_is_binary_stays_so(model: tf.keras.Model) -> None:
    result = convert(model, tiny.spec(), images=tiny.pictures())
    assert len(result.audit.layers) == len(binary_layers(model))
    assert result.parity is not None
    assert result.parity.same_labels == 1


def stage(precision: Any = "binary", **switches: bool) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(0)
    inputs = tf.keras.Input((6, 8, 5))
    outputs = attended_branches(
        inputs,
        4,
        "stage",
        branches=3,
        attention="both",
        precision=precision,
        attention_per_branch=True,
        **switches,
    )
    return tf.keras.Model(inputs, outputs)


PICTURES = np.random.default_rng(1).normal(size=(2, 6, 8, 5)).astype(np.float32)


@pytest.mark.parametrize("precision", ["binary", "float"])
def test_attention_per_branch_sees_its_own_branch_only(precision: str) -> None:
    model = stage(precision)
    maps = [branch.numpy() for branch in model.get_layer("stage_conv")(PICTURES)]
    c = model.get_layer("stage_merge").coefficients().numpy()
    expected = np.zeros_like(maps[0])
    for k, branch in enumerate(maps):
        masks = model.get_layer(f"stage_attention_{k}").masks(branch)
        expected += c[k] * branch * masks["spatial"].numpy() * masks["channel"].numpy()
    np.testing.assert_allclose(model(PICTURES), expected, rtol=1e-4, atol=1e-5)


def test_saved_and_loaded_by_keras(tmp_path: Path) -> None:
    model = stage(gated=False, shared_threshold=True)
    for variable in model.trainable_variables:
        variable.assign(np.random.default_rng(0).uniform(-1, 1, variable.shape))
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(PICTURES), model(PICTURES), atol=1e-5)


@pytest.mark.parametrize("name", ["gated", "shared_threshold", "attention_per_branch"])
def test_a_switch_is_true_or_false(name: str) -> None:
    wrong: Any = {name: 1}
    with pytest.raises(TypeError, match=f"{name} must be true or false, not 1"):
        network(**wrong)
