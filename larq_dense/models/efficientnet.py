"""EfficientNet-Lite0 as a full-precision encoder, and its ImageNet weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense.common.errors import WeightsError
from larq_dense.common.files import DAMAGED_ZIP
from larq_dense.layers._base import Precision, check_choice
from larq_dense.models.registry import register_encoder

Tensor = Any

_PREFIX = "efficientnet_"


class _Stage(NamedTuple):
    """Inverted residuals: how many, and what they share; only the first one strides."""

    repeats: int
    kernel_size: int
    strides: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
# The last stages at 1/2, 1/4, 1/8, 1/16 and 1/32.
_TAPS = (0, 1, 2, 4, 6)
# The stage whose first block goes from 1/16 to 1/32.
_LAST_STRIDE = 5


@register_encoder("efficientnet_lite0")
def efficientnet_lite0(
    inputs: Tensor, *, precision: Precision = "float", output_stride: int = 32
) -> list[Tensor]:
    """Build EfficientNet-Lite0 (arXiv 1905.11946, without squeeze-excite, ReLU6) with no head.

    It expects pictures normalized by mean 127 and standard deviation 128, if it is to begin with
    ImageNet weights (`load_imagenet`).

    Args:
        inputs: The picture, float `[batch, height, width, 3]`.
        precision: `"float"`; it has no binary form.
        output_stride: 32, or 16 to end with the last layer at 1/16 (the expansion of the 12th
            block, 672 channels).

    Returns:
        Features at 1/2 (16 channels), 1/4 (24), 1/8 (40), 1/16 (112) and 1/32 (320); or, ending at
        1/16, 672 channels there.

    Raises:
        ValueError: Another precision or stride.
    """
    if precision != "float":
        raise ValueError(
            "the encoder efficientnet_lite0 has no binary form; choose precision: float."
        )
    check_choice("output_stride", output_stride, (16, 32))
    conv = tf.keras.layers.Conv2D(
        32, 3, 2, padding="same", use_bias=False, name=f"{_PREFIX}stem_conv"
    )
    x = _relu6(_norm(conv(inputs), "stem"), "stem")
    stages: list[Tensor] = []
    number = 0
    for index, stage in enumerate(_STAGES):
        if output_stride == 16 and index == _LAST_STRIDE:
            expanded = _expanded(x, stage, f"block{number}")
            return [*(stages[k] for k in _TAPS[:3]), expanded]
        for repeat in range(stage.repeats):
            x = _inverted_residual(x, stage, stage.strides if repeat == 0 else 1, f"block{number}")
            number += 1
        stages.append(x)
    return [stages[k] for k in _TAPS]


def _inverted_residual(inputs: Tensor, stage: _Stage, strides: int, name: str) -> Tensor:
    channels = inputs.shape[-1]
    x = inputs
    if stage.expansion > 1:
        x = _expanded(x, stage, name)
    x = tf.keras.layers.DepthwiseConv2D(
        stage.kernel_size,
        strides,
        padding="same",
        use_bias=False,
        name=f"{_PREFIX}{name}_depthwise_conv",
    )(x)
    x = _relu6(_norm(x, f"{name}_depthwise"), f"{name}_depthwise")
    x = _pointwise(x, stage.filters, f"{name}_project")
    if strides > 1 or channels != stage.filters:
        return x
    return tf.keras.layers.Add(name=f"{_PREFIX}{name}_add")([inputs, x])


def _expanded(x: Tensor, stage: _Stage, name: str) -> Tensor:
    x = _pointwise(x, x.shape[-1] * stage.expansion, f"{name}_expand")
    return _relu6(x, f"{name}_expand")


def _pointwise(x: Tensor, filters: int, name: str) -> Tensor:
    conv = tf.keras.layers.Conv2D(filters, 1, use_bias=False, name=f"{_PREFIX}{name}_conv")
    return _norm(conv(x), name)


def _norm(x: Tensor, name: str) -> Tensor:
    return tf.keras.layers.BatchNormalization(
        momentum=0.99, epsilon=1e-3, name=f"{_PREFIX}{name}_norm"
    )(x)


def _relu6(x: Tensor, name: str) -> Tensor:
    return tf.keras.layers.ReLU(6.0, name=f"{_PREFIX}{name}_relu")(x)


def load_imagenet(model: tf.keras.Model, path: str | Path) -> int:
    """Load the encoder's weights from arrays under the names of its PyTorch port.

    Args:
        model: From `models.build` with the encoder `efficientnet_lite0`.
        path: An `.npz` file with arrays such as `_conv_stem.weight` (OIHW) and
            `_blocks.0._bn1.running_mean`. It may hold more than the encoder needs.

    Returns:
        How many variables were loaded: all of the encoder's.

    Raises:
        WeightsError: The model has another encoder; the file is missing or damaged, or it lacks
            an array of the right shape. The model is unchanged then.
    """
    variables = dict(_torch_names(model))
    if not variables:
        raise WeightsError(
            f"the weights {path} are for the encoder efficientnet_lite0, which the model does not "
            "have; choose that encoder or leave them out."
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            values = {name: archive[name] for name in variables if name in archive.files}
    except OSError as error:
        reason = error.strerror or "it is no .npz file"
        raise WeightsError(f"cannot read the weights {path}: {reason}.") from error
    except (*DAMAGED_ZIP, ValueError, AttributeError, TypeError) as error:
        raise WeightsError(
            f"the weights {path} are no .npz file or damaged; get it again."
        ) from error
    values = {name: _to_keras(name, value) for name, value in values.items()}
    for name, variable in variables.items():
        if name not in values or values[name].shape != tuple(variable.shape):
            raise WeightsError(
                f"the weights {path} hold no {name} that fits; they are not EfficientNet-Lite0's."
            )
    for name, variable in variables.items():
        variable.assign(values[name].astype(np.float32))
    return len(variables)


# A convolution here → the number of the normalization after it, in a block there.
_NORMS = {"expand": 0, "depthwise": 1, "project": 2}


def _torch_names(model: tf.keras.Model) -> Iterator[tuple[str, tf.Variable]]:
    """Yield each of the encoder's variables with its name in PyTorch."""
    for layer in model.layers:
        if not layer.name.startswith(_PREFIX) or not layer.weights:
            continue
        *block, part, kind = layer.name.removeprefix(_PREFIX).split("_")
        place = f"_blocks.{block[0].removeprefix('block')}." if block else ""
        if kind == "conv":
            name = f"_{part}_conv" if block else "_conv_stem"
            (kernel,) = layer.weights
            # The kernels of depthwise convolutions are told by their names when read.
            yield f"{place}{name}.weight", kernel
        else:
            name = f"{place}_bn{_NORMS.get(part, 0)}"
            yield f"{name}.weight", layer.gamma
            yield f"{name}.bias", layer.beta
            yield f"{name}.running_mean", layer.moving_mean
            yield f"{name}.running_var", layer.moving_variance


def _to_keras(name: str, value: NDArray[Any]) -> NDArray[Any]:
    """Bring a kernel from OIHW to HWIO, or to HWI1 where it is depthwise."""
    if value.ndim != 4:
        return value
    return value.transpose((2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0))
