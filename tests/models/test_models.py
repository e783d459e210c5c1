"""Models: every encoder and option builds, learns, is read back and says what in it is binary."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.common.errors import UnknownNameError, WeightsError
from larq_dense.models import ENCODERS, binary_kernels, binary_layers, build
from larq_dense.models.weights import LATENT_MAGNITUDE, load_weights, save_weights


class Task:
    num_outputs = 5


SMALL = {"decoder_filters": 32, "head_filters": 16, "encoder_options": {"blocks": 1}}
LIGHT = {"input_shape": (32, 64, 3), **SMALL}


@pytest.mark.parametrize("precision", ["binary", "activations", "float"])
@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_every_encoder(encoder: str, precision: str) -> None:
    full = encoder.startswith(("efficientnet", "mobilenet"))
    if full and precision != "float":
        with pytest.raises(ValueError, match="no binary form; choose precision: float"):
            build(Task, encoder=encoder, precision=precision)
        return
    options = {"encoder_options": {"output_stride": 32}} if full else {}
    model = build(
        Task, encoder=encoder, branches=1, precision=precision, input_shape=(32, 64, 3), **options
    )
    assert model.output_shape == (None, 32, 64, 5)
    assert bool(binary_layers(model)) == (precision == "binary")
    names = [variable.name for variable in model.variables]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("encoder", ["light", "quicknet_small"])
def test_names_do_not_depend_on_what_was_built_before(encoder: str) -> None:
    first, second = (
        build(Task, encoder=encoder, branches=1, input_shape=(side, side, 3)) for side in (32, None)
    )
    assert [v.name for v in first.variables] == [v.name for v in second.variables]


@pytest.mark.parametrize(
    ("attention", "upsampling"),
    [*((kind, "subpixel") for kind in ("none", "spatial", "channel", "both")), ("both", "nearest")],
)
@pytest.mark.parametrize("precision", ["binary", "float"])
def test_gradients_flow_to_every_variable(precision: str, attention: str, upsampling: str) -> None:
    model = build(
        Task, branches=2, attention=attention, precision=precision, upsampling=upsampling, **LIGHT
    )
    x = np.random.default_rng(0).normal(size=(2, 32, 64, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True) ** 2)
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.name
        assert np.isfinite(gradient).all(), variable.name


def test_any_size_trains_with_the_weights_of_a_fixed_one() -> None:
    fixed = build(Task, **LIGHT)
    free = build(Task, **{**LIGHT, "input_shape": (None, None, 3)})
    free.set_weights(fixed.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 32, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(free(x), fixed(x), atol=1e-4)
    assert free(np.zeros((1, 64, 96, 3), np.float32)).shape == (1, 64, 96, 5)


def test_saved_and_loaded_by_keras(tmp_path: Path) -> None:
    model = build(Task, **LIGHT)
    model.save(tmp_path / "model.keras")
    again = tf.keras.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(1, 32, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(again(x), model(x), atol=1e-5)


def test_a_change_of_branches_changes_only_the_decoder() -> None:
    one, three = (build(Task, branches=k, attention="none", **LIGHT) for k in (1, 3))
    assert len(binary_layers(three)) - len(binary_layers(one)) == 2 * 4 * 2
    assert len(binary_kernels(one)) == len(binary_layers(one))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"input_shape": (30, 64, 3)}, "multiples of 32"),
        ({"input_shape": (0, 64, 3)}, "multiples of 32"),
        ({"attention": "all"}, "attention must be one of"),
        ({"precision": "int8"}, "precision must be one of"),
        ({"upsampling": "bicubic"}, "method must be one of"),
        ({"branches": 0}, "branches must be at least 1"),
    ],
)
def test_wrong_arguments(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(Task, **{**LIGHT, **wrong})


def test_unknown_encoder_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean quicknet"):
        build(Task, encoder="quiknet")


def test_unreachable_imagenet_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    import larq_zoo

    def unreachable(**kwargs: object) -> None:
        raise Exception("URL fetch failure")

    monkeypatch.setattr(larq_zoo.sota, "QuickNetSmall", unreachable)
    with pytest.raises(WeightsError, match="train from scratch"):
        build(Task, encoder="quicknet_small", encoder_options={"imagenet": True})


@pytest.fixture(scope="module")
def model() -> tf.keras.Model:
    tf.keras.utils.set_random_seed(1)
    model = build(Task, **LIGHT)
    for variable in model.variables:
        if "moving" in variable.name:
            variable.assign(np.random.default_rng(0).uniform(0.5, 2, variable.shape))
    return model


@pytest.fixture(scope="module")
def saved(model: tf.keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    save_weights(model, path)
    return path


def test_packed_weights_give_the_same_output(model: tf.keras.Model, saved: Path) -> None:
    again = build(Task, **LIGHT)
    report = load_weights(again, saved)
    assert not report.missing and not report.unused
    x = np.random.default_rng(0).normal(size=(1, 32, 64, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(x), model(x))
    for ours, theirs in zip(binary_kernels(again), binary_kernels(model), strict=True):
        # Kernels that were packed can still be trained: the estimator's slope at 1 is 0.
        assert np.unique(np.abs(ours)).tolist() == [np.float32(LATENT_MAGNITUDE)]
        np.testing.assert_array_equal(ours.numpy() < 0, theirs.numpy() < 0)


def test_packed_weights_take_one_bit_each(model: tf.keras.Model, saved: Path) -> None:
    bits = sum(int(np.prod(kernel.shape)) for kernel in binary_kernels(model))
    rest = sum(int(np.prod(v.shape)) for v in model.variables) - bits
    header = int.from_bytes(saved.read_bytes()[:8], "little") + 8
    assert saved.stat().st_size <= header + 4 * rest + bits // 8 + len(model.variables)


def test_equal_weights_are_equal_files(model: tf.keras.Model, saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    assert list(header) == sorted(header)
    assert list(header["__metadata__"]) == ["binary", "format"]
    assert start % 8 == 0
    # The library's own order differs from call to call, so a few calls would tell.
    digests = {save_weights(model, tmp_path / "w.safetensors") for _ in range(8)}
    assert digests == {hashlib.sha256(content).hexdigest()}


def test_unpacked_weights_keep_latent_values(model: tf.keras.Model, tmp_path: Path) -> None:
    save_weights(model, tmp_path / "w.safetensors", unpacked=True)
    again = build(Task, **LIGHT)
    load_weights(again, tmp_path / "w.safetensors")
    for ours, theirs in zip(again.variables, model.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_another_model(saved: Path) -> None:
    other = build(Task, **{**LIGHT, "branches": 2})
    before = other.get_weights()
    with pytest.raises(WeightsError, match="belong to another model"):
        load_weights(other, saved)
    for ours, theirs in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert load_weights(other, saved, strict=False).loaded


@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "missing"])
def test_damaged_weights(damage: str, model: tf.keras.Model, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    content = bytearray(saved.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = bytearray()
    elif damage == "foreign":
        content = bytearray(b"\x80\x04pickled")
    if damage != "missing":
        path.write_bytes(bytes(content))
    with pytest.raises(WeightsError, match=r"damaged|cannot read"):
        load_weights(model, path)
