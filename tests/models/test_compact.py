"""The compact family: binary throughout, nothing in floating point in int8, run as one piece."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import larq_dense.common.keras2  # noqa: F401  (before TensorFlow)
from larq_dense.conversion.audit import audit
from larq_dense.conversion.flatbuffer import to_flatbuffer
from larq_dense.models import binary_layers, build_model
from larq_dense.models.exact import inference_form, off_grid
from larq_dense.quantization import quantize
from larq_dense.runtime import LceInterpreter, xnor
from larq_dense.runtime.engine import Engine

SHAPE = (64, 96, 3)
OUTPUTS = {"s": 1, "m": 3, "l": 3}


def network(size: str, **options: Any) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(1)
    name = f"compact_{size}"
    model = build_model(OUTPUTS[size], name, name, input_shape=SHAPE, **options)
    for variable in model.variables:
        if "moving_variance" in variable.name:
            variable.assign(np.random.default_rng(0).uniform(5, 20, variable.shape))
    return model


def pictures(count: int) -> list[Any]:
    random = np.random.default_rng(0)
    return [random.uniform(-1, 1, (1, *SHAPE)).astype(np.float32) for _ in range(count)]


# Counted apart from this code, layer by layer, at 256x256 (see docs/frontier.md).
@pytest.mark.parametrize(
    ("size", "binary", "other"), [("s", 0.553, 24.8), ("m", 1.220, 43.3), ("l", 2.211, 71.6)]
)
def test_costs(size: str, binary: float, other: float) -> None:
    from larq_dense.evaluation import complexity

    name = f"compact_{size}"
    cost = complexity(build_model(19, name, name, input_shape=(256, 256, 3)))
    assert cost.binary_macs / 1e9 == pytest.approx(binary, abs=0.001)
    assert cost.float_macs / 1e6 == pytest.approx(other, abs=0.1)


@pytest.mark.parametrize("size", OUTPUTS)
def test_every_layer_declared_binary_is_binary_in_eight_bits(size: str) -> None:
    model = quantize(network(size), pictures(2))
    content = to_flatbuffer(model, (1, *SHAPE), True)
    report = audit(content, model, int8=True)
    assert len(report.layers) == len(binary_layers(model)) > 15
    file = LceInterpreter(content)
    (picture,) = pictures(1)
    steps = np.abs(file.run(picture) - model(picture).numpy()) / file._ends._output.scale
    # Of bilinear upsampling LCE rounds the halves away from 0.
    assert steps.max() <= (0 if OUTPUTS[size] == 1 else 1)


def test_float_between() -> None:
    model = network("s")
    content = to_flatbuffer(model, (1, *SHAPE), False)
    assert len(audit(content, model).layers) == len(binary_layers(model))
    (picture,) = pictures(1)
    np.testing.assert_allclose(LceInterpreter(content).run(picture), model(picture), atol=1e-3)


def test_its_constants_lie_on_the_grid() -> None:
    model = network("s")
    assert off_grid(model) and not off_grid(inference_form(model))


@pytest.mark.skipif(not xnor.available(), reason=str(xnor.why_unavailable()))
def test_the_runtime_takes_the_whole_network() -> None:
    """The engine, which has no interpreter to leave an operator to, gives the same integers."""
    model = quantize(network("m"), pictures(2))
    content = to_flatbuffer(model, (1, *SHAPE), True)
    random = np.random.default_rng(1)
    picture = random.integers(-128, 128, (1, *SHAPE)).astype(np.int8)
    (actual,) = Engine(content).run([picture])
    np.testing.assert_array_equal(actual, xnor.load(content).run(picture))


def test_no_lateral_where_widths_agree() -> None:
    names = {layer.name for layer in network("l").layers}
    assert "lateral0_conv" not in names and "lateral1_conv" in names


def test_wrong_options() -> None:
    for options, said in (
        ({"filters": (32, 32)}, "give four filters"),
        ({"head_factor": 3}, "head_factor must be one of"),
        ({"attention": "all"}, "attention must be one of"),
    ):
        with pytest.raises(ValueError, match=said):
            build_model(3, "compact_s", "compact", input_shape=SHAPE, decoder_options=options)
