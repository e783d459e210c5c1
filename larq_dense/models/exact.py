"""The form of a trained network that gives the same bits on every machine.

A binary convolution is exact, but its neighbours are float32: a sum in another order differs in
the last bit, now and then that flips a sign near 0, and one flipped sign spreads over the picture.
A reciprocal square root differs from processor to processor even without a sum. Float32 adds and
multiplies without rounding where few bits are in play, though. So `inference_form` turns
normalizations and gates into constants, computed once in float64, and rounds every constant to a
grid (not from the paper):

| value | multiple of |
| --- | --- |
| input of an ordinary convolution (`layers.FixedPoint`) | 2^-6; the picture 2^-8 |
| kernel of an ordinary convolution, normalization folded in | 2^-12; the stem 2^-10 |
| scale and offset (`layers.Affine`), threshold | 2^-12 |
| coefficient of a branch (`layers.GatedMerge`) | 2^-6 |
| scale and offset that include a coefficient | 2^-18, or coarser where that does not fit |

All that a sign is taken of is then a multiple of 2^-18, exact while it and the partial sums that
lead to it stay below 2^6 = 64 in magnitude, as trained networks do by far. The exception is PReLU,
whose slopes are left as they are. docs/exactness.md says what follows from this.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense.common.errors import WeightsError
from larq_dense.layers import (
    Affine,
    FixedPoint,
    GatedMerge,
    ParallelConv2D,
    ParallelUpsampling2D,
    Threshold,
)
from larq_dense.layers.gate import COEFFICIENT_BITS

Floats = NDArray[np.float64]

# Multiples of 2^-18 in all: fraction bits of a product's two factors together.
PRODUCT_BITS = 18
CONSTANT_BITS = 12

# Multiples of 2^-12 fit into the 24 bits of float32 up to 2^12; offsets stay below 2^6 of that.
FLOAT_BITS = 24
LARGEST_SUM, LARGEST_VALUE = 2.0 ** (FLOAT_BITS - CONSTANT_BITS), 2.0**6


def is_exact(model: tf.keras.Model) -> bool:
    """Whether a model promises the same signs on every machine.

    It does if its ordinary convolutions read values on the grid and nothing learns slopes (PReLU).
    """
    return _has_grid(model) and not any(
        isinstance(layer, tf.keras.layers.PReLU) for layer in model.submodules
    )


def _has_grid(model: tf.keras.Model) -> bool:
    return any(isinstance(layer, FixedPoint) for layer in model.layers)


# Autograph would rewrite every layer that is copied, to no effect, for most of the time.
@tf.autograph.experimental.do_not_convert
def inference_form(model: tf.keras.Model) -> tf.keras.Model:
    """Return the form of a trained model that predicts and converts, with constants on the grid.

    Batch normalizations become `layers.Affine`, and gates the coefficients of their merge. The
    form of a form is the form itself, also after it was trained further.

    Args:
        model: A functional model; it is left as it is. Only `layers` and what `models.blocks`
            builds are treated; the last convolution, of which no sign is taken, stays.

    Returns:
        A new model of the same input, output and layers' names; or `model` itself, if it is in
        this form already or has no `layers.FixedPoint`.

    Raises:
        WeightsError: A weight is infinite or no number.
    """
    if not _has_grid(model) or not off_grid(model):
        return model
    form = tf.keras.models.clone_model(model, clone_function=_folded)
    values = {variable.name: variable for variable in model.variables}
    for variable in form.variables:
        if variable.name in values:
            variable.assign(values[variable.name])
    convolutions = dict(_normalized_convolutions(form))
    terms = _terms_of_norms(form)
    for old, new in zip(_norms(model), _norms(form), strict=True):
        _round_norm(old, new, convolutions.get(new.name), terms.get(id(new), 1))
    for old, new in zip(_merges(model), _merges(form), strict=True):
        new.folded_coefficients.assign(coefficients(old))
    for convolution, merge in _merged_convolutions(form):
        _fold_merge(convolution, merge)
    for variable in _short_as_they_are(form):
        variable.assign(_grid(variable.numpy(), CONSTANT_BITS))
    _refuse_nan(form)
    if hasattr(model, "spec"):
        form.spec = model.spec
    return form


def _refuse_nan(form: tf.keras.Model) -> None:
    for variable in form.variables:
        if not np.isfinite(variable.numpy()).all():
            raise WeightsError(
                f"{variable.name} holds values that are no finite numbers; train again from a "
                "checkpoint before they arose."
            )


def off_grid(model: tf.keras.Model) -> list[str]:
    """Return the names of what `inference_form` would change: layers or constants, in order."""
    found = [norm.name for norm in _norms(model) if not isinstance(norm, Affine)]
    found += [merge.name for merge in _merges(model) if not merge.folded]
    if found:
        return found
    wanted = _constants(model)
    return [variable.name for variable, value in wanted if not np.array_equal(variable, value)]


def _constants(form: tf.keras.Model) -> Iterator[tuple[tf.Variable, Floats]]:
    """Yield the constants of a form, and what they would be on the grid."""
    for variable in _short_as_they_are(form):
        yield variable, _grid(variable.numpy(), CONSTANT_BITS)
    terms = _terms_of_norms(form)
    folded = {id(norm) for conv, _ in _merged_convolutions(form) for norm in conv.norms}
    for norm in _norms(form):
        scale, _, offset = read_norm(norm)
        finest = PRODUCT_BITS if id(norm) in folded else CONSTANT_BITS
        fitted = fit(scale, offset, terms.get(id(norm), 1), finest)
        yield from zip((norm.scale, norm.offset), fitted, strict=True)
    for merge in _merges(form):
        yield merge.folded_coefficients, _grid(merge.folded_coefficients.numpy(), COEFFICIENT_BITS)
    for _, (kernel, bits) in _normalized_convolutions(form):
        yield kernel, _grid(kernel.numpy(), bits)


def fit(scale: Floats, offset: Floats, terms: int, finest: int) -> tuple[Floats, Floats]:
    """Round scale and offset such that `terms * scale + offset` is exact in float32.

    Larq Compute Engine computes that even where the binary dot product itself is small. A scale
    for which no grid is coarse enough is limited. Only channels that ReLU almost always closes have
    one, because their variance is close to 0; what they give while closed, the offset, stays.

    Args:
        scale: One of each channel.
        offset: The same.
        terms: How many terms the scaled binary dot product has.
        finest: Fraction bits of the finest grid; the coarsest has `CONSTANT_BITS`.
    """
    steps = np.floor((LARGEST_SUM - LARGEST_VALUE) * 2.0**CONSTANT_BITS / terms)
    limit = steps / 2.0**CONSTANT_BITS
    values = np.stack([scale.clip(-limit, limit), offset])
    found = _grid(values, CONSTANT_BITS)
    for fraction in range(CONSTANT_BITS + 1, finest + 1):
        finer = _grid(values, fraction)
        largest = terms * np.abs(finer[0]) + np.abs(finer[1])
        found = np.where(largest <= 2.0 ** (FLOAT_BITS - fraction), finer, found)
    return found[0], found[1]


def _fold_merge(convolution: ParallelConv2D, merge: GatedMerge) -> None:
    """Multiply a merge's coefficients into scales and offsets, as the converter would anyway."""
    factors = merge.folded_coefficients.numpy().astype(np.float64)
    for layer, norm, factor in zip(
        convolution.convolutions, convolution.norms, factors, strict=True
    ):
        scale, _, offset = read_norm(norm)
        scale, offset = fit(scale * factor, offset * factor, _terms(layer), PRODUCT_BITS)
        norm.scale.assign(scale)
        norm.offset.assign(offset)
    merge.folded_coefficients.assign(np.ones_like(factors))


def coefficients(merge: GatedMerge) -> Floats:
    """Return a merge's coefficients, `[K, channels]`, as float64 gives them, on the grid."""
    if merge.folded:
        return _grid(merge.folded_coefficients.numpy(), COEFFICIENT_BITS)
    weight = merge.merge.weight.numpy()
    if not merge.gated:
        return _grid(np.repeat(weight[:, None], merge.channels, axis=1), COEFFICIENT_BITS)
    return gated_coefficients(merge.gate.theta.numpy(), weight)


def gated_coefficients(theta: NDArray[np.floating], weight: NDArray[np.floating]) -> Floats:
    """Return the coefficients of gate and merge, `[K, channels]`, on the grid.

    Args:
        theta: The gate's, `[K, channels]`.
        weight: The merge's, `[K]`.
    """
    alpha = 1 / (1 + np.exp(-theta.astype(np.float64)))
    weight = weight.astype(np.float64)[:, None]
    return _grid(weight * alpha + np.sum(weight * (1 - alpha), axis=0), COEFFICIENT_BITS)


def _folded(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
    """Return a new layer like `layer`, with constants for what only training needs."""
    if isinstance(layer, tf.keras.layers.BatchNormalization):
        return Affine(name=layer.name)
    config = layer.get_config()
    if "folded" in config:
        config["folded"] = True
    return type(layer).from_config(config)


def _norms(model: tf.keras.Model) -> Iterator[tf.keras.layers.Layer]:
    kinds = (Affine, tf.keras.layers.BatchNormalization)
    yield from (layer for layer in model.submodules if isinstance(layer, kinds))


def _merges(model: tf.keras.Model) -> Iterator[GatedMerge]:
    """Yield the merges of more than one branch."""
    for layer in model.submodules:
        if isinstance(layer, GatedMerge) and layer.weights:
            yield layer


def _terms_of_norms(model: tf.keras.Model) -> dict[int, int]:
    """Return how many terms the sums have that a layer scales after ReLU, by the layer's id."""
    return {
        id(norm): _terms(convolution)
        for layer in model.submodules
        if isinstance(layer, ParallelConv2D) and layer.activation == "relu"
        for convolution, norm in zip(layer.convolutions, layer.norms, strict=True)
    }


def _terms(convolution: tf.keras.layers.Layer) -> int:
    return int(np.prod(convolution.kernel.shape[:3]))


def _merged_convolutions(model: tf.keras.Model) -> Iterator[tuple[ParallelConv2D, GatedMerge]]:
    """Yield the parallel convolutions that nothing but a merge of several branches reads."""
    for layer in model.submodules:
        if isinstance(layer, ParallelUpsampling2D) and layer.merge.weights:
            yield layer.conv, layer.merge
        elif isinstance(layer, ParallelConv2D):
            readers = {id(node.layer): node.layer for node in layer.outbound_nodes}
            if len(readers) == 1:
                (reader,) = readers.values()
                if isinstance(reader, GatedMerge) and reader.weights:
                    yield layer, reader


def _normalized_convolutions(
    model: tf.keras.Model,
) -> Iterator[tuple[str, tuple[tf.Variable, int]]]:
    """Yield the names of what normalizes ordinary convolutions, with their kernel and its bits."""
    layers = {layer.name: layer for layer in model.layers}
    for name, layer in layers.items():
        norm = layers.get(name.removesuffix("_conv") + "_norm")
        if isinstance(layer, tf.keras.layers.Conv2D) and norm is not None:
            source = layer.input.node.layer
            on_grid = isinstance(source, FixedPoint)
            bits = PRODUCT_BITS - source.fraction_bits if on_grid else CONSTANT_BITS
            yield norm.name, (layer.kernel, bits)


def _short_as_they_are(model: tf.keras.Model) -> Iterator[tf.Variable]:
    """Yield what is rounded without regard to a normalization."""
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.DepthwiseConv2D):
            yield layer.depthwise_kernel
        elif isinstance(layer, Threshold):
            yield layer.tau


def _grid(values: NDArray[np.floating], bits: int) -> Floats:
    return np.round(np.asarray(values, np.float64) * 2.0**bits) / 2.0**bits


def read_norm(norm: tf.keras.layers.Layer) -> tuple[Floats, Floats, Floats]:
    """Return scale, mean and offset of `scale · (x - mean) + offset`, one of each a channel.

    Args:
        norm: A batch normalization or an `Affine`, whose mean is 0.
    """
    if isinstance(norm, Affine):
        scale, offset = (each.numpy().astype(np.float64) for each in (norm.scale, norm.offset))
        return scale, np.zeros_like(scale), offset
    mean, variance = (
        each.numpy().astype(np.float64) for each in (norm.moving_mean, norm.moving_variance)
    )
    gamma = norm.gamma.numpy().astype(np.float64) if norm.scale else np.ones_like(mean)
    beta = norm.beta.numpy().astype(np.float64) if norm.center else np.zeros_like(mean)
    return gamma / np.sqrt(variance + norm.epsilon), mean, beta


def _round_norm(
    old: tf.keras.layers.Layer,
    new: Affine,
    convolution: tuple[tf.Variable, int] | None,
    terms: int,
) -> None:
    """Write a normalization's constants; an ordinary convolution's kernel includes the scale."""
    scale, mean, offset = read_norm(old)
    if convolution is None:
        scale = _grid(scale, CONSTANT_BITS)
    offset = offset - scale * mean
    if convolution is not None:
        kernel, fraction = convolution
        kernel.assign(_grid(kernel.numpy() * scale, fraction))
        scale = np.ones_like(scale)
    scale, offset = fit(scale, offset, terms, CONSTANT_BITS)
    new.scale.assign(scale)
    new.offset.assign(offset)
