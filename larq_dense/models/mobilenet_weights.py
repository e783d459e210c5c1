"""MobileNetV2's ImageNet weights from TensorFlow's quantized classifier, dequantized."""

import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense.common.errors import WeightsError

Floats = NDArray[np.float32]


class _Pair(NamedTuple):
    """A convolution of the encoder and the normalization after it."""

    convolution: tf.keras.layers.Layer
    norm: tf.keras.layers.BatchNormalization

    @property
    def kernel(self) -> tf.Variable:
        """The convolution's kernel."""
        depthwise = isinstance(self.convolution, tf.keras.layers.DepthwiseConv2D)
        return self.convolution.depthwise_kernel if depthwise else self.convolution.kernel


def load_quantized(model: tf.keras.Model, path: str | Path, pictures: Iterable[Floats] = ()) -> int:
    """Load MobileNetV2's weights from `mobilenet_v2_1.0_224_quant.tflite`.

    The file has its normalizations folded into the kernels. They come back as what they would be
    after `pictures`: with the mean and the variance that each convolution has there, and scale and
    offset such that the network computes what it did. So it can be trained on, batch by batch.

    Args:
        model: A network with the encoder `mobilenet_v2` at `alpha` 1; or the classifier of
            tf.keras.applications itself.
        path: The file.
        pictures: Normalized inputs, float32 `[batch, height, width, 3]`. Without them statistics
            are 0 and 1: right for prediction, wrong for training.

    Returns:
        How many variables were loaded.

    Raises:
        WeightsError: The model has another encoder, or the file is missing, damaged or another
            network's. The model is unchanged then.
    """
    pairs = dict(_pairs(model))
    if not pairs:
        raise WeightsError(
            f"the weights {path} are for the encoder mobilenet_v2, which the model does not have; "
            "choose that encoder or leave them out."
        )
    stored = _read(path)
    kernels: dict[str, Floats] = {}
    for name, pair in pairs.items():
        # From OHWI, or 1HWO where it is depthwise.
        kernel = stored.get(f"{name}/kernel", np.zeros((0,) * 4, np.float32)).transpose(
            (1, 2, 3, 0)
        )
        if kernel.shape != tuple(pair.kernel.shape) or f"{name}/bias" not in stored:
            raise WeightsError(
                f"the weights {path} hold no {name} of shape {tuple(pair.kernel.shape)}; the file "
                "fits the encoder mobilenet_v2 at alpha: 1.0."
            )
        kernels[name] = kernel
    biases = {name: stored[f"{name}/bias"] for name in pairs}
    for name, pair in pairs.items():
        pair.kernel.assign(kernels[name])
        _set_norm(pair.norm, biases[name], np.zeros_like(biases[name]), 1 - pair.norm.epsilon)
    moments = _moments(model, [pair.convolution.output for pair in pairs.values()], pictures)
    for (name, pair), (mean, variance) in zip(pairs.items(), moments, strict=False):
        _set_norm(pair.norm, biases[name] + mean, mean, variance)
    return 5 * len(pairs)


def _set_norm(norm: Any, offset: Floats, mean: Floats, variance: Floats | float) -> None:
    """Set what adds `offset - mean` and scales by 1, whatever the statistics."""
    variance = np.broadcast_to(np.float32(variance), mean.shape)
    norm.gamma.assign(np.sqrt(variance + norm.epsilon))
    norm.beta.assign(offset)
    norm.moving_mean.assign(mean)
    norm.moving_variance.assign(variance)


def _moments(
    model: tf.keras.Model, outputs: list[Any], pictures: Iterable[Floats]
) -> list[tuple[Floats, Floats]]:
    """Return each output's mean and variance a channel over all pictures; nothing without one."""
    network = tf.keras.Model(model.inputs, outputs)
    found = []
    for picture in pictures:
        values = [x.numpy() for x in network(picture, training=False)]
        found.append([(x.mean((0, 1, 2)), np.square(x).mean((0, 1, 2))) for x in values])
    averages = [np.mean(each, axis=0) for each in zip(*found, strict=True)]
    return [(mean, np.maximum(square - mean**2, 0)) for mean, square in averages]


def _pairs(model: tf.keras.Model) -> Iterator[tuple[str, _Pair]]:
    """Yield the encoder's convolutions, by their names in the file, with their normalizations."""
    layers = {layer.name: layer for layer in model.layers}
    norms = {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}
    for name, layer in layers.items():
        norm = layers.get(norms.get(name, f"{name}_BN"))
        if norm is None or not isinstance(norm, tf.keras.layers.BatchNormalization):
            continue
        if block := re.fullmatch(r"(?:expanded_conv|block_(\d+))_(expand|depthwise|project)", name):
            number = f"_{block[1]}" if block[1] else ""
            yield f"expanded_conv{number}/{block[2]}", _Pair(layer, norm)
        elif name in norms:
            yield {"Conv1": "Conv", "Conv_1": "Conv_1"}[name], _Pair(layer, norm)


def _read(path: str | Path) -> dict[str, Floats]:
    """Return the file's kernels and biases in real numbers, such as `"Conv/kernel"`."""
    try:
        with warnings.catch_warnings():
            # TensorFlow 2.19 announces that its interpreter moves to a package of its own.
            warnings.simplefilter("ignore")
            interpreter = tf.lite.Interpreter(model_content=Path(path).read_bytes())
        interpreter.allocate_tensors()
    except OSError as error:
        raise WeightsError(f"cannot read the weights {path}: {error.strerror}.") from error
    except (ValueError, RuntimeError) as error:
        raise WeightsError(
            f"the weights {path} are no .tflite file or damaged; get it again."
        ) from error
    found = {}
    pattern = re.compile(r"MobilenetV2/(.+?)/(?:weights_quant/.*|(?:Conv2D|depthwise)_Fold_bias)")
    for each in interpreter.get_tensor_details():
        named = pattern.fullmatch(each["name"])
        if named is None:
            continue
        scale, zero_point = each["quantization"]
        values = interpreter.get_tensor(each["index"]).astype(np.float32)
        part = "bias" if each["name"].endswith("bias") else "kernel"
        found[f"{named[1]}/{part}"] = np.float32(scale) * (values - zero_point)
    return found
