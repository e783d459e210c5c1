"""Errors of parallel branches against a NumPy computation of a network made for it."""

import numpy as np
import pytest
import tensorflow as tf

from larq_dense.experiments.branch_errors import BranchErrors, branch_errors, verdict
from larq_dense.layers import GatedMerge, ParallelConv2D, ParallelUpsampling2D


def network(
    branches: int = 3,
    upsampling: str | None = None,
    initial_threshold: float = 0.5,
    activation: str = "relu",
) -> tf.keras.Model:
    """Return a network of 1x1 convolutions, whose errors NumPy can follow."""
    tf.keras.utils.set_random_seed(0)
    inputs = tf.keras.Input((6, 8, 5))
    if upsampling:
        layer = ParallelUpsampling2D(
            4, 2, 1, branches, method=upsampling, initial_threshold=initial_threshold, name="up"
        )
        outputs = layer(inputs)
    else:
        maps = ParallelConv2D(
            4, 1, branches, initial_threshold=initial_threshold, activation=activation, name="conv"
        )(inputs)
        outputs = GatedMerge(name="merge")(maps)
    model = tf.keras.Model(inputs, outputs)
    random = np.random.default_rng(1)
    for variable in model.variables:
        if "norm" in variable.name:
            variable.assign(random.uniform(0.5, 2, variable.shape))
    return model


def pictures(count: int = 3) -> list[np.ndarray]:
    random = np.random.default_rng(2)
    return [random.normal(size=(1, 6, 8, 5)).astype(np.float32) for _ in range(count)]


def expected(model: tf.keras.Model, inputs: list[np.ndarray]) -> tuple[float, float]:
    """Return correlation and reduction of the plain network by NumPy's own functions."""
    conv, merge = model.get_layer("conv"), model.get_layer("merge")
    x = np.concatenate(inputs).reshape(-1, 5)
    errors = []
    for k in range(conv.branches):
        shifted = x + conv.thresholds[k].tau.numpy()
        kernel = np.where(conv.convolutions[k].kernel.numpy()[0, 0] >= 0, 1.0, -1.0)
        rounded, exact = np.where(shifted >= 0, 1.0, -1.0) @ kernel, shifted @ kernel
        fitted = np.stack(
            [np.polyval(np.polyfit(exact[:, c], rounded[:, c], 1), exact[:, c]) for c in range(4)],
            axis=1,
        )
        norm = conv.norms[k]
        scale = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
        slope = 0.25 if conv.activation == "prelu" else 0.0  # what they begin with
        lost = [np.where(value > 0, value, slope * value) for value in (rounded, fitted)]
        lost = scale * (lost[0] - lost[1])
        errors.append(merge.coefficients().numpy()[k] * lost)
    pairs = [
        np.corrcoef(errors[j][:, c], errors[k][:, c])[0, 1]
        for j in range(len(errors))
        for k in range(j)
        for c in range(4)
    ]
    alone = np.mean([np.var(len(errors) * error, axis=0).sum() for error in errors])
    return float(np.mean(pairs)), float(np.sqrt(np.var(sum(errors), axis=0).sum() / alone))


@pytest.mark.parametrize("activation", ["relu", "prelu"])
@pytest.mark.parametrize("branches", [2, 3, 5])
def test_the_figures_are_numpys(branches: int, activation: str) -> None:
    model, inputs = network(branches, activation=activation), pictures()
    (measured,) = branch_errors(model, inputs)
    correlation, reduction = expected(model, inputs)
    assert (measured.layer, measured.branches) == ("conv", branches)
    assert measured.correlation == pytest.approx(correlation, abs=1e-5)
    assert measured.reduction == pytest.approx(reduction, abs=1e-5)


def test_equal_branches_have_equal_errors() -> None:
    model = network(initial_threshold=0.0)
    conv = model.get_layer("conv")
    for part in (conv.convolutions, conv.norms):
        for other in part[1:]:
            other.set_weights(part[0].get_weights())
    (measured,) = branch_errors(model, pictures())
    assert measured.correlation == pytest.approx(1)
    assert measured.reduction == pytest.approx(1)
    assert verdict([measured]) == "refuted"


@pytest.mark.parametrize("method", ["subpixel", "nearest"])
def test_upsampling_layers_are_measured_too(method: str) -> None:
    (measured,) = branch_errors(network(upsampling=method), pictures())
    assert measured.layer == "up"
    assert -0.5 <= measured.correlation < 1
    assert 0 < measured.reduction < 1


def test_one_branch_has_nothing_to_compare() -> None:
    assert branch_errors(network(branches=1), pictures()) == []


@pytest.mark.parametrize(
    ("correlation", "reduction", "said"),
    [
        (0.0, 0.577, "supported"),
        (0.2, 0.66, "supported"),
        (0.2, 0.70, "unclear"),
        (0.3, 0.6, "unclear"),
        (0.5, 0.6, "refuted"),
        (0.1, 0.8, "refuted"),
    ],
)
def test_the_verdict_follows_the_criteria(correlation: float, reduction: float, said: str) -> None:
    assert verdict([BranchErrors("layer", 3, correlation, reduction)]) == said
