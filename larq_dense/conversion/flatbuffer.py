"""Runs LCE's converter on a Keras model."""

import tempfile

import tensorflow as tf

from larq_dense.common.errors import ConversionError, LarqDenseError
from larq_dense.conversion.exactness import refuse_inexact_graph
from larq_dense.quantization.quantizers import converting


def to_flatbuffer(
    model: tf.keras.Model,
    input_shape: tuple[int, ...],
    int8: bool = False,
    *,
    exact: bool = False,
) -> bytes:
    """Convert a model with Larq Compute Engine, without checks on the outcome.

    The graph is traced at one fixed shape, also for a model that takes any: with an open height
    or width the converter would leave one-padded binary convolutions in floating point.

    Args:
        model: A model with one picture as input and logits as output.
        input_shape: `(1, height, width, 3)`.
        int8: Input and output are int8, for a model from `larq_dense.quantization`.
        exact: Refuse operations before the last sign that differ from processor to processor.

    Returns:
        A `.tflite` file with the input `image` and the output `logits`.

    Raises:
        ConversionError: The model computes in another type than float32, it is not `exact`, or
            the converter refuses it.
        LarqDenseError: The folder of temporary files is full or not writable.

    Examples:
        >>> from larq_dense import conversion
        >>> inputs = tf.keras.Input((32, 32, 3))
        >>> model = tf.keras.Model(inputs, tf.keras.layers.Conv2D(2, 1)(inputs))
        >>> conversion.to_flatbuffer(model, (1, 32, 32, 3))[4:8]
        b'TFL3'
    """
    if model.dtype_policy.name != "float32":
        raise ConversionError(
            f"the model computes in {model.dtype_policy.name}; build it in float32 to convert it."
        )
    module = tf.Module()
    module.weights = model.variables
    serve = tf.function(lambda x: {"logits": model(x, training=False)}, autograph=False)
    with converting():
        signature = serve.get_concrete_function(tf.TensorSpec(input_shape, tf.float32, "image"))
    if exact:
        refuse_inexact_graph(signature.graph)
    # Without this option, saving traces the gradient of every quantizer, which takes a minute.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    with tempfile.TemporaryDirectory() as folder:
        try:
            tf.saved_model.save(module, folder, signatures=signature, options=options)
        except (tf.errors.OpError, OSError) as error:  # a full disk is either
            raise LarqDenseError(
                f"cannot write the network in {folder}: {error}; make room there, or let TMPDIR "
                "name another folder."
            ) from error
        try:
            return _convert(folder, tf.int8 if int8 else tf.float32)
        except Exception as error:  # the converter's errors share no base class
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise ConversionError(
                f"Larq Compute Engine cannot convert {model.name}: {reason[0]}; replace the layer "
                "that it names."
            ) from error


def _convert(folder: str, ends: tf.DType) -> bytes:
    import larq_compute_engine as lce

    content = lce.convert_saved_model(folder, inference_input_type=ends, inference_output_type=ends)
    return bytes(content)
