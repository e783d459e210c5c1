"""Whether the rounding errors of parallel branches average out.

A branch computes `z = conv(sign(x), sign(W))` where it would compute `r = conv(x, sign(W))` if
its input were not binarized. Its error is the output error caused by binarizing the input:
`E = BN(ReLU(z)) - BN(ReLU(a r + b))`, with a and b the least-squares fit of z by r in each channel
(not from the paper: signs have another scale than the values they replace, and published kernels
are signs already).
The error of the merge is `sum_k c_k E_k`. It is compared with that of one branch with all the
weight, `K c_k E_k`, its variance averaged over k. If the errors are independent, the merge's
deviation is 1/sqrt(K) of that; if they are equal, all of it. The mean of an error is left out: a
constant does not average out, and the next normalization removes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.keras2 import tf
from larq_dense.experiments.verdict import Verdict
from larq_dense.layers import GatedMerge, ParallelConv2D, ParallelUpsampling2D
from larq_dense.layers.nearest import upsample
from larq_dense.models.exact import read_norm

Tensor = Any
Picture = NDArray[np.float32]

# Written down before the figures were seen: correlations up to a fifth count as independent, from
# a half on as the same error; and the merge must come near 1/sqrt(K), or gain less than half of it.
INDEPENDENT, CORRELATED = 0.2, 0.5
NEAR = 1.15


@dataclass(frozen=True)
class BranchErrors:
    """The errors of one layer's branches.

    Attributes:
        layer: The layer's name.
        branches: K.
        correlation: Of two branches' errors, -1…1; a mean over channels and pairs.
        reduction: The merged error over that of one branch (standard deviations), 0…1.
    """

    layer: str
    branches: int
    correlation: float
    reduction: float

    @property
    def independent(self) -> float:
        """What `reduction` would be for independent errors: 1/sqrt(K)."""
        return float(self.branches**-0.5)


@dataclass(frozen=True)
class _Site:
    """K branches and their merge within a network."""

    name: str
    input: Tensor
    upsampled: int  # the input, before the branches see it
    conv: ParallelConv2D
    merge: GatedMerge


def branch_errors(model: tf.keras.Model, pictures: Sequence[Picture]) -> list[BranchErrors]:
    """Measure the errors of every layer with parallel branches.

    Args:
        model: A binary network.
        pictures: At least one, each normalized float32 `[1, height, width, 3]`.

    Returns:
        One for each layer with several binary branches; none for a network without.
    """
    sites = list(_sites(model))
    if not sites:
        return []
    network = tf.keras.Model(model.inputs, {site.name: site.input for site in sites})
    fits = [_Fit() for _ in sites]
    totals = [_Errors() for _ in sites]
    # Twice through all pictures, as errors need the fit; keeping the features would take gigabytes.
    for picture in pictures:
        features = network(picture)
        for site, fit in zip(sites, fits, strict=True):
            fit.add(*_responses(site, features[site.name]))
    for picture in pictures:
        features = network(picture)
        for site, fit, total in zip(sites, fits, totals, strict=True):
            total.add(_errors(site, fit, *_responses(site, features[site.name])))
    return [
        BranchErrors(site.name, site.conv.branches, total.correlation(), total.reduction())
        for site, total in zip(sites, totals, strict=True)
    ]


def verdict(layers: Sequence[BranchErrors]) -> Verdict:
    """Judge by the means over at least one layer: errors cancel, or they do not."""
    correlation = float(np.mean([layer.correlation for layer in layers]))
    # 0 where the merge reaches 1/sqrt(K), 1 where it gains nothing.
    lost = np.mean([(x.reduction - x.independent) / (1 - x.independent) for x in layers])
    near = np.mean([layer.reduction / layer.independent for layer in layers]) <= NEAR
    if correlation <= INDEPENDENT and near:
        return "supported"
    return "refuted" if correlation >= CORRELATED or lost >= 0.5 else "unclear"


def _sites(model: tf.keras.Model) -> Iterable[_Site]:
    for layer in model.layers:
        if isinstance(layer, ParallelUpsampling2D):
            factor = layer.factor if layer.method == "nearest" else 1
            site = _Site(layer.name, layer.input, factor, layer.conv, layer.merge)
        elif isinstance(layer, GatedMerge) and isinstance(layer.input, list):
            source = layer.input[0].node.layer
            if not isinstance(source, ParallelConv2D):
                continue
            site = _Site(source.name, source.input, 1, source, layer)
        else:
            continue
        if site.conv.precision == "binary" and site.conv.branches > 1:
            yield site


def _responses(site: _Site, x: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the branches compute and would compute, each `[K, positions, filters]`."""
    rounded, exact = [], []
    if site.upsampled > 1:
        x = upsample(x, site.upsampled)
    for threshold, conv in zip(site.conv.thresholds, site.conv.convolutions, strict=True):
        shifted = threshold(x)
        kernel = conv.kernel_quantizer(tf.convert_to_tensor(conv.kernel))
        # Where the window is whole: beyond the border the two are padded differently.
        margin = site.conv.kernel_size // 2
        inner = (slice(None), slice(margin, -margin or None), slice(margin, -margin or None))
        rounded.append(conv(shifted)[inner])
        exact.append(tf.nn.conv2d(shifted, kernel, site.conv.strides, "SAME")[inner])
    return _flat(rounded), _flat(exact)


def _flat(branches: list[Tensor]) -> NDArray[np.float64]:
    stacked = np.stack([branch.numpy() for branch in branches]).astype(np.float64)
    return stacked.reshape(len(branches), -1, stacked.shape[-1])


class _Fit:
    """The least-squares fit of what is computed by what would be, in each branch and channel."""

    def __init__(self) -> None:
        self._sums: NDArray[np.float64] | None = None
        self._count = 0

    def add(self, rounded: NDArray[np.float64], exact: NDArray[np.float64]) -> None:
        products = (exact, rounded, exact * exact, exact * rounded)
        sums = np.stack([product.sum(axis=1) for product in products])
        self._sums = sums if self._sums is None else self._sums + sums
        self._count += rounded.shape[1]

    def __call__(self, exact: NDArray[np.float64]) -> NDArray[np.float64]:
        assert self._sums is not None
        x, y, xx, xy = self._sums / self._count
        variance = xx - x * x
        slope = np.divide(xy - x * y, variance, out=np.zeros_like(x), where=variance > 1e-12)
        return slope[:, None] * (exact - x[:, None]) + y[:, None]


def _errors(
    site: _Site, fit: _Fit, rounded: NDArray[np.float64], exact: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the branches' weighted errors `c_k E_k`, `[K, positions, filters]`."""
    fitted = fit(exact)
    coefficients = site.merge.coefficients().numpy()
    errors = []
    for k, norm in enumerate(site.conv.norms):
        # The offset of the normalization is the same in both and cancels.
        scale = coefficients[k] * read_norm(norm)[0]
        activation = site.conv.activations[k]
        handed_on = [_activate(activation, each[k]) for each in (rounded, fitted)]
        errors.append(scale * (handed_on[0] - handed_on[1]))
    return np.stack(errors)


def _activate(activation: tf.keras.layers.Layer, values: NDArray[np.float64]) -> Any:
    """Apply a branch's activation to `[positions, filters]`."""
    return activation(values[None, None].astype(np.float32)).numpy()[0, 0]


class _Errors:
    """Sums over positions from which correlation and reduction follow."""

    def __init__(self) -> None:
        self._means: Any = 0.0
        self._products: Any = 0.0
        self._count = 0

    def add(self, errors: NDArray[np.float64]) -> None:
        self._means = self._means + errors.sum(axis=1)
        self._products = self._products + np.einsum("jpc,kpc->jkc", errors, errors)
        self._count += errors.shape[1]

    def correlation(self) -> float:
        """Mean over channels and pairs; a channel without errors has none."""
        covariance = self._covariance()
        deviation = np.sqrt(np.maximum(np.einsum("kkc->kc", covariance), 0))
        j, k = np.triu_indices(len(covariance), 1)
        scale = deviation[j] * deviation[k]
        return float(np.mean(covariance[j, k][scale > 1e-12] / scale[scale > 1e-12]))

    def reduction(self) -> float:
        """Deviation of the merged error over that of a branch with all the weight."""
        covariance = self._covariance()
        alone = len(covariance) * np.einsum("kkc->", covariance)
        return float(np.sqrt(covariance.sum() / alone))

    def _covariance(self) -> NDArray[np.float64]:
        """Return `[K, K, filters]`, over all positions."""
        means, products = self._means / self._count, self._products / self._count
        covariance: NDArray[np.float64] = products - means[:, None] * means[None]
        return covariance
