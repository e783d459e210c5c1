"""Signs do not depend on the machine: nothing inexact before them, and a proof by perturbation."""

import importlib
import types
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tiny_models as tiny

from larq_dense import zoo
from larq_dense.common.errors import ConversionError
from larq_dense.conversion import difference, to_flatbuffer
from larq_dense.conversion.exactness import (
    file_operations,
    graph_operations,
    refuse_inexact_file,
    refuse_inexact_graph,
)
from larq_dense.conversion.operators import operator_name
from larq_dense.conversion.parity import Parity
from larq_dense.models import build, exact
from larq_dense.models.weights import read_weights
from larq_dense.runtime.tflite_file import TfliteFile

# The package has a function of that name.
conversion = importlib.import_module("larq_dense.conversion.convert")

SHAPE = (1, tiny.HEIGHT, tiny.WIDTH, 3)
TASK = types.SimpleNamespace(num_outputs=len(tiny.CLASSES))
ONE_UNIT = np.float32(1 + 2.0**-23)

# TensorFlow operations whose last bit IEEE 754 does not fix: those that a library approximates,
# and a division, for which a vector unit may take an estimate.
INEXACT = (
    *("Rsqrt", "Sqrt", "Reciprocal", "RealDiv", "Sigmoid", "Tanh", "Exp", "Log", "Pow"),
    *("Softmax", "FusedBatchNormV3", "ResizeBilinear"),
)


def trained(seed: int = 0) -> tf.keras.Model:
    """Return a small network whose normalizations and gates do something."""
    tf.keras.utils.set_random_seed(seed)
    model = build(
        TASK,
        branches=2,
        input_shape=SHAPE[1:],
        decoder_filters=32,
        head_filters=32,
        encoder_options={"blocks": 1, "filters": (32, 32, 32, 32)},
    )
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        kind = variable.name.rsplit("/", 1)[-1].split(":")[0]
        if kind in ("gamma", "moving_variance", "theta", "lambda"):
            variable.assign(rng.uniform(0.3, 1.5, variable.shape))
        elif kind in ("beta", "moving_mean"):
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


@pytest.fixture(scope="module")
def model() -> tf.keras.Model:
    return trained()


@pytest.fixture(scope="module")
def form(model: tf.keras.Model) -> tf.keras.Model:
    return exact.inference_form(model)


def graph_of(model: tf.keras.Model) -> Any:
    run = tf.function(lambda x: model(x, training=False), autograph=False)
    return run.get_concrete_function(tf.TensorSpec(SHAPE, tf.float32))


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, SHAPE).astype(np.float32)


def perturbed(
    model: tf.keras.Model, inputs: np.ndarray, kinds: tuple[str, ...] = INEXACT
) -> np.ndarray:
    """Run a network in which some operations give results one unit in the last place larger."""
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    definition = convert_variables_to_constants_v2(graph_of(model)).graph.as_graph_def()
    for node in list(definition.node):
        if node.op not in kinds or node.attr["T"].type != tf.float32.as_datatype_enum:
            continue
        inner = definition.node.add()
        inner.CopyFrom(node)
        inner.name = f"{node.name}/unperturbed"
        factor = definition.node.add(name=f"{node.name}/unit", op="Const")
        factor.attr["dtype"].type = tf.float32.as_datatype_enum
        factor.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(ONE_UNIT))
        node.Clear()
        node.name, node.op = inner.name.removesuffix("/unperturbed"), "Mul"
        node.input.extend([inner.name, factor.name])
        node.attr["T"].type = tf.float32.as_datatype_enum
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    (source,) = (op for op in graph.get_operations() if op.type == "Placeholder")
    output = graph.get_operations()[-1].outputs[0]
    with tf.compat.v1.Session(graph=graph) as session:
        result: np.ndarray = session.run(output, {source.outputs[0]: inputs})
    return result


def test_one_unit_in_the_last_place_changes_no_sign(form: tf.keras.Model) -> None:
    expected = form(picture(), training=False).numpy()
    # The logits are upsampled after the last sign; a changed sign would change them by far more.
    np.testing.assert_allclose(perturbed(form, picture()), expected, rtol=1e-6, atol=1e-6)


def test_the_perturbation_reaches_signs_where_it_may(form: tf.keras.Model) -> None:
    # Products stand before every sign, and many sums of theirs are exactly 0.
    expected = form(picture(), training=False).numpy()
    assert np.abs(perturbed(form, picture(), ("Mul",)) - expected).max() > 1e-2


def test_normalizations_that_are_left_are_perturbed(model: tf.keras.Model) -> None:
    found = {kind for _, kind in graph_operations(graph_of(model).graph)}
    assert found & set(INEXACT) == {"FusedBatchNormV3", "Sigmoid"}


class _Perturbed:
    """NumPy with an exponential that gives the next larger float64 numbers."""

    def __getattr__(self, name: str) -> Any:
        if name == "exp":
            return lambda x: np.nextafter(np.exp(x), np.inf)
        return getattr(np, name)


def test_constants_and_files_do_not_depend_on_the_last_place_of_exp(
    model: tf.keras.Model, form: tf.keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "np", _Perturbed())
    again = exact.inference_form(model)
    for one, other in zip(again.variables, form.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.name)
    assert to_flatbuffer(again, SHAPE) == to_flatbuffer(form, SHAPE)


PUBLISHED = [name for name in zoo.list_entries() if zoo.find(name).is_published]


def is_gated(name: str) -> bool:
    """Return whether an entry's decoder has branches; one branch alone has no gate."""
    model = zoo.find(name).recipe().model
    return model.get("decoder", "fpn") == "fpn" and model.get("branches", 3) > 1


GATED = [name for name in PUBLISHED if is_gated(name)]


@pytest.mark.parametrize("name", GATED)
def test_no_published_coefficient_is_near_a_tie(name: str) -> None:
    values = read_weights(zoo.find(name).weights())
    gates = [key.removesuffix("/gate/theta:0") for key in values if key.endswith("/gate/theta:0")]
    assert len(gates) == 8
    for gate in gates:
        theta, weight = values[f"{gate}/gate/theta:0"], values[f"{gate}/merge/lambda:0"]
        found = [
            exact.gated_coefficients(theta.astype(np.float64) * nudge, weight)
            for nudge in (1 - 2.0**-40, 1, 1 + 2.0**-40)
        ]
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[2], found[1])


@pytest.mark.parametrize("name", PUBLISHED)
def test_lce_adds_up_the_constants_of_a_published_file_without_rounding(name: str) -> None:
    file = TfliteFile.parse(zoo.find(name).tflite().read_bytes())
    layers = [
        op
        for op in file.operators
        if operator_name(op) == "LceBconv2d" and op.outputs[0].dtype == "float32"
    ]
    assert len(layers) > (20 if name in GATED else 16)
    for op in layers:
        _, kernel, *constants = op.inputs[:4]
        scale, offset = (each.values.astype(np.float64) for each in constants)
        largest = 32 * np.prod(kernel.shape[1:]) * scale + offset
        np.testing.assert_array_equal(
            largest.astype(np.float32), largest, err_msg=op.outputs[0].name
        )


def test_the_audit_accepts_the_form_that_predicts(form: tf.keras.Model) -> None:
    operations = graph_operations(graph_of(form).graph)
    assert {"Conv2D", "DepthwiseConv2dNative", "Round", "Mean"} <= {kind for _, kind in operations}
    refuse_inexact_graph(graph_of(form).graph)
    file = TfliteFile.parse(to_flatbuffer(form, SHAPE, exact=True))
    found = {kind for _, kind in file_operations(file)}
    # The logits' upsampling comes after the last sign.
    assert {"LceBconv2d", "CONV_2D", "ADD"} <= found
    assert "RESIZE_BILINEAR" not in found
    refuse_inexact_file(file)


def test_the_audit_refuses_a_normalization_by_name(model: tf.keras.Model) -> None:
    with pytest.raises(ConversionError, match="such as FusedBatchNormV3 in light_binary/"):
        to_flatbuffer(model, SHAPE, exact=True)


def test_the_audit_refuses_a_sigmoid_by_name() -> None:
    wrong = tiny.around(tf.keras.layers.Activation("sigmoid", name="gate"), tiny.binary_conv(32))
    run = graph_of(wrong)
    with pytest.raises(ConversionError, match=r"1 operations .* such as Sigmoid in tiny/gate"):
        refuse_inexact_graph(run.graph)
    with pytest.raises(ConversionError, match="such as LOGISTIC in tiny/gate"):
        refuse_inexact_file(TfliteFile.parse(to_flatbuffer(wrong, SHAPE)))


def test_what_comes_after_the_last_sign_may_be_inexact() -> None:
    right = tiny.around(tiny.binary_conv(32), tf.keras.layers.Activation("sigmoid"))
    refuse_inexact_graph(graph_of(right).graph)
    refuse_inexact_file(TfliteFile.parse(to_flatbuffer(right, SHAPE)))


def test_a_file_that_disagrees_is_refused_and_the_layer_named(
    form: tf.keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(model: tf.keras.Model, *args: Any, **kwargs: Any) -> bytes:
        """Convert with the offsets of one layer changed, if it is there."""
        damaged = [each for each in model.layers if each.name == "stage1_transition_norm"]
        for layer in damaged:
            layer.offset.assign_add(np.full(layer.offset.shape, 0.5, np.float32))
        try:
            return to_flatbuffer(model, *args, **kwargs)
        finally:
            for layer in damaged:
                layer.offset.assign_sub(np.full(layer.offset.shape, 0.5, np.float32))

    for module in (conversion, difference):
        monkeypatch.setattr(module, "to_flatbuffer", wrong)
    with pytest.raises(ConversionError, match=r"only .* the layer stage1_transition_norm"):
        conversion.convert(form, tiny.spec(), images=tiny.pictures()[:1])


def test_an_int8_file_may_not_differ_by_a_step_of_the_logits(form: tf.keras.Model) -> None:
    def agreement(steps: int) -> Parity:
        return Parity(1.0, 0.1, 1.0, 1, steps)

    difference.refuse_disagreement(agreement(0), form, [])
    with pytest.raises(ConversionError, match="differ by 1 quantization step"):
        difference.refuse_disagreement(agreement(1), form, [])
