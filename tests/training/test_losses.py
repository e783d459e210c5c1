"""Losses against NumPy, written from the papers' definitions."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from larq_dense import tasks
from larq_dense.common.errors import RecipeError
from larq_dense.training import losses
from larq_dense.training.settings import LossSettings

# isort: split
import tensorflow as tf


@pytest.fixture
def batch() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (2, 5, 6)).astype(np.uint8)
    labels[0, :2] = 255
    labels[labels == 2] = np.where(rng.random((labels == 2).sum()) < 0.5, 2, 255)
    return labels, rng.normal(0, 2, (2, 5, 6, 4)).astype(np.float32)


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    raised = np.exp(logits.astype(np.float64))
    return raised / raised.sum(-1, keepdims=True)


def test_cross_entropy(batch: Any) -> None:
    labels, logits = batch
    weights = np.array([1, 2, 5, 3], np.float32)
    total, weight = 0.0, 0.0
    for label, p in zip(labels.reshape(-1), softmax(logits).reshape(-1, 4), strict=True):
        if label != 255:
            total -= weights[label] * np.log(p[label])
            weight += weights[label]
    found = losses.cross_entropy(labels, tf.constant(logits), weights)
    assert float(found) == pytest.approx(total / weight, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_label_smoothing(batch: Any, smoothing: float) -> None:
    labels, logits = batch
    weights = np.array([1, 2, 5, 3], np.float32)
    known = labels.reshape(-1) != 255
    target = (1 - smoothing) * np.eye(4)[labels.reshape(-1)[known]] + smoothing / 4
    entropy = -(target * np.log(softmax(logits).reshape(-1, 4)[known])).sum(-1)
    expected = np.average(entropy, weights=weights[labels.reshape(-1)[known]])
    found = losses.cross_entropy(labels, tf.constant(logits), weights, smoothing)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("focal", [0.5, 2.0])
def test_focal(batch: Any, focal: float) -> None:
    labels, logits = batch
    weights = np.array([1, 2, 5, 3], np.float32)
    known = labels.reshape(-1)[labels.reshape(-1) != 255]
    p = softmax(logits).reshape(-1, 4)[labels.reshape(-1) != 255][np.arange(len(known)), known]
    expected = (weights[known] * (1 - p) ** focal * -np.log(p)).sum() / weights[known].sum()
    found = losses.cross_entropy(labels, tf.constant(logits), weights, focal=focal)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    binary = (labels == 1).astype(np.uint8)
    p = 1 / (1 + np.exp(-logits[..., 0].astype(np.float64)))
    p = np.where(binary == 1, p, 1 - p)
    found = losses.binary_cross_entropy(binary, tf.constant(logits[..., :1]), focal=focal)
    assert float(found) == pytest.approx(((1 - p) ** focal * -np.log(p)).mean(), rel=1e-4)


def test_focal_of_certain_answers_has_a_gradient() -> None:
    logits = tf.Variable(np.array([[[[100.0, -100.0]]]], np.float32))
    with tf.GradientTape() as tape:
        loss = losses.cross_entropy(
            np.zeros((1, 1, 1), np.uint8), logits, np.ones(2, np.float32), focal=0.5
        )
    assert np.isfinite(tape.gradient(loss, logits).numpy()).all()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_tversky(batch: Any, alpha: float) -> None:
    labels, logits = batch
    valid = labels != 255
    p = softmax(logits)[valid]
    lost = []
    for index in range(4):
        true = labels[valid] == index
        if true.any():
            hits, false = p[true, index].sum(), p[~true, index].sum()
            missed = (1 - p[true, index]).sum()
            lost.append(1 - hits / (hits + alpha * false + (1 - alpha) * missed))
    found = losses.tversky_loss(labels, tf.constant(logits), alpha)
    assert float(found) == pytest.approx(np.mean(lost), rel=1e-5)


def test_own_class_weights(batch: Any) -> None:
    labels, logits = batch
    classes = [tasks.ClassInfo(name, (0, 0, 0)) for name in "abcd"]
    task = tasks.from_classes("mine", classes)
    own = losses.make_loss(LossSettings(class_weights=[1, 2, 5, 3]), task, np.full(4, 0.25))
    expected = losses.cross_entropy(labels, tf.constant(logits), np.array([1, 2, 5, 3], np.float32))
    assert float(own(labels, tf.constant(logits))) == pytest.approx(float(expected))
    with pytest.raises(RecipeError, match="holds 2 weights, but mine has 4 classes: a, b, c, d"):
        losses.make_loss(LossSettings(class_weights=[1, 2]), task, np.full(4, 0.25))
    with pytest.raises(ValueError, match="all 0"):
        LossSettings(class_weights=[0, 0])


def test_label_smoothing_of_saliency(batch: Any) -> None:
    labels, logits = batch
    labels = np.where(labels == 2, 1, labels).astype(np.uint8)
    p, target = 1 / (1 + np.exp(-logits[..., 0].astype(np.float64))), 0.8 * (labels == 1) + 0.1
    entropy = -(target * np.log(p) + (1 - target) * np.log(1 - p))[labels != 255].mean()
    settings = LossSettings(iou=0, label_smoothing=0.2)
    loss = losses.make_loss(settings, tasks.get("ecssd"), np.array([0.5, 0.5]))
    assert float(loss(labels, tf.constant(logits[..., :1]))) == pytest.approx(entropy, rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("number", [1, 3])
def test_divergence(batch: Any, temperature: float, number: int) -> None:
    labels, student = batch
    teachers = np.random.default_rng(1).normal(0, 2, (number, *student.shape)).astype(np.float32)
    counted = labels != 255
    p, q = softmax(teachers / temperature).mean(0), softmax(student / temperature)
    expected = (p * np.log(p / q)).sum(-1)[counted].mean()
    found = losses.divergence(list(teachers), tf.constant(student), temperature, counted)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert float(losses.divergence(list(teachers), student, temperature, counted & False)) == 0
    assert float(losses.divergence([student], student, temperature, counted)) == 0
    same = losses.divergence([student] * number, student, temperature, counted)
    assert float(same) == pytest.approx(0, abs=1e-6)


def test_divergence_of_one_output(batch: Any) -> None:
    labels, logits = batch
    teacher, student = logits[..., :1], logits[..., 1:2]
    p, q = (1 / (1 + np.exp(-x[..., 0].astype(np.float64) / 2)) for x in (teacher, student))
    apart = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    found = losses.divergence([tf.constant(teacher)], tf.constant(student), 2.0, labels != 255)
    assert float(found) == pytest.approx(apart[labels != 255].mean(), rel=1e-5)


def test_dice(batch: Any) -> None:
    labels, logits = batch
    p, valid = softmax(logits), labels != 255
    expected = [
        1
        - 2
        * (p[..., c] * (labels == c))[valid].sum()
        / (p[..., c][valid].sum() + (labels == c).sum())
        for c in range(3)
    ]
    found = losses.dice_loss(labels, tf.constant(logits))
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-5), "class 3 is absent"


def jaccard_loss(truth: set[int], wrong: set[int]) -> float:
    """Return 1 - IoU where the pixels `wrong` are predicted wrongly."""
    return len(wrong) / len(truth | wrong) if truth | wrong else 0.0


def lovasz_extension(truth: set[int], errors: NDArray[np.float64]) -> float:
    """Interpolate the set function by its definition, one pixel after another."""
    order = np.argsort(-errors)
    sets = [set(order[:n].tolist()) for n in range(len(order) + 1)]
    gains = [jaccard_loss(truth, b) - jaccard_loss(truth, a) for a, b in pairwise(sets)]
    return float(np.dot(errors[order], gains))


def test_lovasz(batch: Any) -> None:
    labels, logits = batch
    p, valid = softmax(logits), labels != 255
    expected = []
    for c in range(3):
        truth = labels[valid] == c
        errors = np.abs(truth - p[..., c][valid])
        expected.append(lovasz_extension(set(np.flatnonzero(truth).tolist()), errors))
    found = losses.lovasz_loss(labels, tf.constant(logits))
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-4)


def test_lovasz_of_certain_answers_is_one_minus_iou() -> None:
    labels = np.array([[[0, 0, 1, 1, 1, 255]]], np.uint8)
    logits = 50 * np.eye(2, dtype=np.float32)[[0, 1, 1, 1, 0, 0]][None, None]
    expected = np.mean([1 - 1 / 3, 1 - 2 / 4])
    assert float(losses.lovasz_loss(labels, tf.constant(logits))) == pytest.approx(
        expected, abs=1e-5
    )


def test_saliency_terms(batch: Any) -> None:
    labels, logits = batch
    labels = np.where(labels == 2, 1, labels).astype(np.uint8)
    p, valid = 1 / (1 + np.exp(-logits[..., 0].astype(np.float64))), labels != 255
    entropy = -np.where(labels == 1, np.log(p), np.log(1 - p))[valid].mean()
    ious = []
    for one, truth, known in zip(p, labels == 1, valid, strict=True):
        overlap = one[truth & known].sum()
        ious.append((overlap + 1) / (one[known].sum() + truth.sum() - overlap + 1))
    given = tf.constant(logits[..., :1])
    assert float(losses.binary_cross_entropy(labels, given)) == pytest.approx(entropy, rel=1e-5)
    assert float(losses.soft_iou_loss(labels, given)) == pytest.approx(1 - np.mean(ious), rel=1e-5)
    both = losses.make_loss(LossSettings(iou=0.5), tasks.get("ecssd"), np.array([0.5, 0.5]))
    assert float(both(labels, given)) == pytest.approx(
        entropy + 0.5 * (1 - np.mean(ious)), rel=1e-5
    )


def test_terms_add_up(batch: Any) -> None:
    labels, _ = batch
    logits = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 6, 11)).astype(np.float32))
    shares = np.full(11, 1 / 11)
    task = tasks.get("camvid")
    settings = LossSettings(class_weights="none", dice=0.3, lovasz=0.7)
    expected = losses.cross_entropy(labels, logits, np.ones(11, np.float32))
    expected += 0.3 * losses.dice_loss(labels, logits) + 0.7 * losses.lovasz_loss(labels, logits)
    assert float(losses.make_loss(settings, task, shares)(labels, logits)) == pytest.approx(
        float(expected)
    )


@pytest.mark.parametrize(
    "name", ["cross_entropy", "dice_loss", "lovasz_loss", "binary_cross_entropy", "soft_iou_loss"]
)
def test_ignored_pixels_have_no_gradient_and_others_do(batch: Any, name: str) -> None:
    labels, logits = batch
    labels = np.where(labels == 2, 1, labels).astype(np.uint8)
    binary = name in ("binary_cross_entropy", "soft_iou_loss")
    given = tf.constant(logits[..., :1] if binary else logits)
    extra = [np.ones(4, np.float32)] if name == "cross_entropy" else []
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = getattr(losses, name)(labels, given, *extra)
    gradient = tape.gradient(loss, given).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[labels == 255] == 0).all()
    assert (gradient[labels != 255] != 0).any(-1).mean() > 0.9


@pytest.mark.parametrize(
    "name", ["cross_entropy", "dice_loss", "lovasz_loss", "binary_cross_entropy", "soft_iou_loss"]
)
def test_nothing_labelled_is_no_loss(name: str) -> None:
    labels = np.full((1, 4, 4), 255, np.uint8)
    binary = name in ("binary_cross_entropy", "soft_iou_loss")
    logits = tf.ones((1, 4, 4, 1 if binary else 3))
    extra = [np.ones(3, np.float32)] if name == "cross_entropy" else []
    assert float(getattr(losses, name)(labels, logits, *extra)) == 0


def test_class_weights() -> None:
    shares = np.array([0.7, 0.29, 0.01, 0.0])
    weights = losses.class_weights(shares, "log", cap=8)
    raw = 1 / np.log(1.02 + shares)
    assert weights == pytest.approx(np.minimum(raw / raw[0], 8))
    assert weights[3] == 8
    assert (losses.class_weights(shares, "none") == 1).all()


def kernel_alignment(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the linear CKA of two `[places, channels]`, as the paper defines it: by HSIC.

    Their channels have variance 1.
    """
    places = len(a)
    centering = np.eye(places) - 1 / places
    scaled = (x / x.std(0) for x in (a, b))
    kernels = [centering @ x @ x.T @ centering for x in scaled]
    shared = {(i, j): np.trace(kernels[i] @ kernels[j]) for i in (0, 1) for j in (0, 1)}
    return float(shared[0, 1] / np.sqrt(shared[0, 0] * shared[1, 1]))


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_misalignment(alike: float) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(2, 1, (2, 3, 4, 5))
    b = alike * (a @ rng.normal(0, 1, (5, 3))) + (1 - alike) * rng.normal(0, 1, (2, 3, 4, 3))
    found = losses.misalignment(tf.constant(a, tf.float32), tf.constant(b, tf.float32))
    expected = 1 - kernel_alignment(a.reshape(24, 5), b.reshape(24, 3))
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_what_misalignment_does_not_see() -> None:
    """Neither moved and scaled channels, nor their order, nor a wider map of the same."""
    rng = np.random.default_rng(1)
    a = rng.normal(0, 1, (2, 3, 4, 5))
    moved = a * [3, -1, 200, 0.1, 1] + [7, 0, -7, 0, 1]
    for b in (moved, a[..., ::-1], np.concatenate([a, a], -1)):
        apart = losses.misalignment(tf.constant(a, tf.float32), tf.constant(b, tf.float32))
        assert float(apart) == pytest.approx(0, abs=1e-5)
    flat = tf.zeros((2, 3, 4, 1))
    assert float(losses.misalignment(tf.constant(a, tf.float32), flat)) == 1


def test_one_loud_place_does_not_decide() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(0, 1, (2, 8, 8, 16))
    loud = a.copy()
    loud[..., 0] = 0
    loud[0, 0, 0, 0] = 1e5
    apart = losses.misalignment(tf.constant(a, tf.float32), tf.constant(loud, tf.float32))
    assert float(apart) < 0.2
