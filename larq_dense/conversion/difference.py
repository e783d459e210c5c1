"""Judges how far a converted file agrees with its Keras model, and finds where it stops to."""

from collections.abc import Iterable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense.common.errors import ConversionError
from larq_dense.conversion.flatbuffer import to_flatbuffer
from larq_dense.conversion.parity import Parity
from larq_dense.runtime.interpreter import Runtime, load

# A network that promises exactness may give other labels at ties of its float32 logits, which are
# upsampled after the last sign. An int8 network's logits are integers and may not differ.
_SAME_LABELS = 0.9999


def refuse_disagreement(
    agreement: Parity, model: tf.keras.Model, pictures: Iterable[NDArray[np.float32]]
) -> None:
    """Check a parity against what the network promises.

    Args:
        agreement: The parity.
        model: The Keras model, in its inference form.
        pictures: Those that they were compared on, normalized, `[1, height, width, 3]`.

    Raises:
        ConversionError: They agree less than promised; the sentence names the first layer that
            differs.
    """
    if agreement.max_steps is not None:
        if agreement.max_steps:
            raise ConversionError(
                f"the int8 file's logits differ by {agreement.max_steps} quantization step(s) from "
                f"those of the Keras model {model.name}, which rounds alike; this is a fault of a "
                "runtime or of the converter, so please report it."
            )
        return
    if agreement.same_labels >= _SAME_LABELS:
        return
    layers = (first_difference(model, picture) for picture in pictures)
    where = next(filter(None, layers), None)
    raise ConversionError(
        f"the converted file gives the Keras model's label at only "
        f"{100 * agreement.same_labels:.3f} % of the pixels, though {model.name} promises the same "
        f"signs everywhere; the first difference arises in "
        f"{f'the layer {where}' if where else 'no layer by itself'}, so please report it."
    )


def first_difference(
    model: tf.keras.Model, inputs: NDArray[np.float32], runtime: Runtime = "auto"
) -> str | None:
    """Return the name of the first layer whose output differs in any bit once it is converted.

    The network is cut off behind a layer and converted, for one layer after another, by bisection.

    Args:
        model: A float network in its inference form.
        inputs: One picture, normalized, `[1, height, width, 3]`.
        runtime: What runs the files.

    Returns:
        The layer's name; None if the last layer's output is the same.
    """
    outputs = [layer.output for layer in model.layers if _is_map(layer)]

    def differs(output: tf.Tensor) -> bool:
        part = tf.keras.Model(model.inputs, output)
        converted = load(to_flatbuffer(part, inputs.shape), 1, runtime)
        return not np.array_equal(part(inputs, training=False), converted.run(inputs))

    if not differs(outputs[-1]):
        return None
    same, different = -1, len(outputs) - 1
    while different - same > 1:
        middle = (same + different) // 2
        if differs(outputs[middle]):
            different = middle
        else:
            same = middle
    name: str = outputs[different].node.layer.name
    return name


def _is_map(layer: tf.keras.layers.Layer) -> bool:
    """Whether a layer gives one feature map, and not the picture itself."""
    if isinstance(layer, tf.keras.layers.InputLayer) or isinstance(layer.output, list | tuple):
        return False
    return len(layer.output.shape) == 4
