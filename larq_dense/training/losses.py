"""Losses for label maps and for saliency; each takes (labels, logits) of the same size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from larq_dense.common.errors import RecipeError
from larq_dense.common.keras2 import tf
from larq_dense.training.pictures import IGNORE

if TYPE_CHECKING:
    from larq_dense.tasks import Task
    from larq_dense.training.settings import LossSettings

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def make_loss(settings: LossSettings, task: Task, shares: NDArray[np.float64]) -> Loss:
    """Return a task's loss.

    Args:
        settings: Its terms.
        task: Its kind decides between label maps and saliency.
        shares: Each class's share of the training pixels, float64 `[classes]`.

    Returns:
        A function of labels (uint8 `[batch, height, width]`, 255 ignored) and logits (float32
        `[batch, height, width, outputs]`) to a scalar.
    """
    smoothing = settings.label_smoothing
    if task.kind == "saliency":

        def saliency_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            total = binary_cross_entropy(labels, logits, smoothing, settings.focal)
            if settings.iou:
                total += settings.iou * soft_iou_loss(labels, logits)
            return total

        return saliency_loss
    weights = _weights(settings, task, shares)

    def loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        total = cross_entropy(labels, logits, weights, smoothing, settings.focal)
        if settings.dice:
            total += settings.dice * dice_loss(labels, logits)
        if settings.lovasz:
            total += settings.lovasz * lovasz_loss(labels, logits)
        if settings.tversky:
            total += settings.tversky * tversky_loss(labels, logits, settings.tversky_alpha)
        return total

    return loss


def _weights(
    settings: LossSettings, task: Task, shares: NDArray[np.float64]
) -> NDArray[np.float32]:
    given = settings.class_weights
    if isinstance(given, str):
        return class_weights(shares, given, settings.weight_cap)
    if len(given) != len(task.classes):
        raise RecipeError(
            f"loss.class_weights holds {len(given)} weights, but {task.name} has "
            f"{len(task.classes)} classes: {', '.join(task.class_names)}."
        )
    return np.array(given, np.float32)


def class_weights(
    shares: NDArray[np.float64], balance: str = "log", cap: float = 10.0
) -> NDArray[np.float32]:
    """Weigh rare classes up.

    Args:
        shares: Each class's share of the pixels.
        balance: `"log"`: 1 / log(1.02 + share), as ENet (arXiv 1606.02147), or `"none"`.
        cap: Largest weight, as a multiple of the smallest.

    Returns:
        float32 `[classes]`, the smallest 1.
    """
    if balance == "none":
        return np.ones(len(shares), np.float32)
    weights = 1 / np.log(1.02 + shares)
    return np.minimum(weights / weights.min(), cap).astype(np.float32)


def cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    weights: NDArray[np.float32],
    smoothing: float = 0.0,
    focal: float = 0.0,
) -> tf.Tensor:
    """Return the weighted mean cross-entropy over the labelled pixels.

    Args:
        labels: uint8 `[batch, height, width]`, 255 ignored.
        logits: float32 `[batch, height, width, classes]`.
        weights: float32 `[classes]`.
        smoothing: Share of the label that is spread evenly over all classes, 0…1.
        focal: Exponent by which well-known pixels count less; 0 for all equally.

    Returns:
        A scalar; 0 where nothing is labelled.
    """
    valid, classes = _split(labels)
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits)
    doubt = _doubt(entropy, focal)
    if smoothing:
        uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), -1)
        entropy = (1 - smoothing) * entropy + smoothing * uniform
    weight = tf.gather(tf.constant(weights), classes) * valid
    return tf.math.divide_no_nan(tf.reduce_sum(weight * doubt * entropy), tf.reduce_sum(weight))


def _doubt(entropy: tf.Tensor, focal: float) -> tf.Tensor | float:
    """Return (1 - p)^focal of pixels whose true class has the probability p = exp(-entropy)."""
    if not focal:
        return 1.0
    # At 0 the power has no gradient.
    return tf.pow(tf.maximum(-tf.math.expm1(-entropy), 1e-6), focal)


def dice_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return 1 - the soft Dice coefficient, a mean over the classes that the batch holds.

    Args and result as for `cross_entropy`.
    """
    return tversky_loss(labels, logits, 0.5)


def tversky_loss(labels: tf.Tensor, logits: tf.Tensor, alpha: float) -> tf.Tensor:
    """Return 1 - the soft Tversky index, a mean over the classes that the batch holds.

    The index is TP / (TP + alpha FP + (1 - alpha) FN) (Salehi et al., arXiv 1706.05721).

    Args:
        labels: As for `cross_entropy`.
        logits: Likewise.
        alpha: What a false positive counts, 0…1.

    Returns:
        A scalar; 0 where nothing is labelled.
    """
    valid, classes = _split(labels)
    truth = tf.one_hot(classes, logits.shape[-1]) * valid[..., None]
    guess = tf.nn.softmax(logits) * valid[..., None]
    axes = (0, 1, 2)
    overlap = tf.reduce_sum(truth * guess, axes)
    sizes = alpha * tf.reduce_sum(guess, axes) + (1 - alpha) * tf.reduce_sum(truth, axes)
    present = tf.cast(tf.reduce_any(truth > 0, axes), tf.float32)
    lost = 1 - tf.math.divide_no_nan(overlap, sizes)
    return tf.math.divide_no_nan(tf.reduce_sum(lost * present), tf.reduce_sum(present))


def lovasz_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the Lovász-softmax loss, a mean over the classes that the batch holds.

    The convex surrogate of 1 - IoU (Berman, Triki, Blaschko, arXiv 1705.08790), over the batch
    as one picture. Args and result as for `cross_entropy`.
    """
    valid, classes = _split(labels)
    count = logits.shape[-1]
    valid = tf.reshape(valid, [-1])
    truth = tf.transpose(tf.one_hot(tf.reshape(classes, [-1]), count)) * valid
    guess = tf.transpose(tf.reshape(tf.nn.softmax(logits), [-1, count]))
    # An ignored pixel has error 0, so that it comes last and weighs nothing.
    errors, order = tf.math.top_k(tf.abs(truth - guess) * valid, k=tf.shape(valid)[0])
    truth_sorted = tf.gather(truth, order, batch_dims=1)
    total = tf.reduce_sum(truth_sorted, 1, keepdims=True)
    intersection = total - tf.cumsum(truth_sorted, 1)
    union = total + tf.cumsum(1 - truth_sorted, 1)
    jaccard = 1 - tf.math.divide_no_nan(intersection, union)
    gradient = jaccard - tf.pad(jaccard[:, :-1], [[0, 0], [1, 0]])
    lost = tf.reduce_sum(errors * tf.stop_gradient(gradient), 1)
    present = tf.cast(total[:, 0] > 0, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(lost * present), tf.reduce_sum(present))


def binary_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, smoothing: float = 0.0, focal: float = 0.0
) -> tf.Tensor:
    """Return the mean binary cross-entropy over the labelled pixels.

    Args:
        labels: uint8 `[batch, height, width]`: 0, 1, or 255 ignored.
        logits: float32 `[batch, height, width, 1]`.
        smoothing: Share of the label that is spread evenly over both classes, 0…1.
        focal: As for `cross_entropy`.
    """
    valid, classes = _split(labels)
    hard = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(classes, tf.float32), logits[..., 0])
    doubt = _doubt(hard, focal) * valid
    truth = (1 - smoothing) * tf.cast(classes, tf.float32) + smoothing / 2
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits[..., 0])
    return tf.math.divide_no_nan(tf.reduce_sum(entropy * doubt), tf.reduce_sum(valid))


def soft_iou_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return 1 - the soft intersection over union, a mean over the pictures.

    A picture without an object counts through one smoothing pixel. Args as for
    `binary_cross_entropy`.
    """
    valid, classes = _split(labels)
    truth = tf.cast(classes, tf.float32) * valid
    guess = tf.sigmoid(logits[..., 0]) * valid
    overlap = tf.reduce_sum(truth * guess, (1, 2))
    union = tf.reduce_sum(truth + guess, (1, 2)) - overlap
    return tf.reduce_mean(1 - (overlap + 1) / (union + 1))


def divergence(
    teachers: Sequence[tf.Tensor], student: tf.Tensor, temperature: float, counted: tf.Tensor
) -> tf.Tensor:
    """Return the mean of KL(teachers ‖ student) over the pixels that count.

    Args:
        teachers: Each one's logits, float32 `[batch, height, width, outputs]`; one output means
            two classes, of which the first has the logit 0. Their probabilities are averaged.
        student: Likewise, of one network.
        temperature: Divides all.
        counted: bool `[batch, height, width]`.

    Returns:
        A scalar; 0 where nothing counts.
    """
    if student.shape[-1] == 1:
        sides = [[0, 0], [0, 0], [0, 0], [1, 0]]
        teachers, student = [tf.pad(each, sides) for each in teachers], tf.pad(student, sides)
    each_known = tf.stack([tf.nn.log_softmax(teacher / temperature) for teacher in teachers])
    known = tf.reduce_logsumexp(each_known, 0) - math.log(len(teachers))
    guess = tf.nn.log_softmax(student / temperature)
    apart = tf.reduce_sum(tf.exp(known) * (known - guess), -1)
    weight = tf.cast(counted, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(weight * apart), tf.reduce_sum(weight))


def energy_distance(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """Return how differently two feature maps spread their energy over a picture.

    The squared distance of the channels' mean squares, each map of unit length (attention
    transfer: Zagoruyko, Komodakis, arXiv 1612.03928), a mean over the pictures: 0…2.

    Args:
        teacher: float32 `[batch, height, width, channels]`.
        student: Of that size, with any channels.
    """

    def energy(features: tf.Tensor) -> tf.Tensor:
        energy = tf.reduce_mean(tf.square(features), -1)
        return tf.math.l2_normalize(energy, (1, 2))

    distance = tf.square(energy(teacher) - energy(student))
    return tf.reduce_mean(tf.reduce_sum(distance, (1, 2)))


def misalignment(teacher: tf.Tensor, student: tf.Tensor) -> tf.Tensor:
    """Return how little two maps of features agree on which places of a batch are alike.

    1 - CKA, linear centered kernel alignment (Kornblith, Norouzi, Lee, Hinton, arXiv 1905.00414),
    over all places of all pictures. Every channel is brought to variance 1 before: some of a binary
    network's are 0 but at a few places, and so large there that they alone would be compared.

    Args:
        teacher: float32 `[batch, height, width, channels]`.
        student: Of that size, with any channels.

    Returns:
        A scalar, 0…1; 1 where one of them is the same everywhere.
    """

    def standardized(features: tf.Tensor) -> tf.Tensor:
        places = tf.reshape(features, (-1, features.shape[-1]))
        mean, variance = tf.nn.moments(places, 0)
        return tf.math.divide_no_nan(places - mean, tf.sqrt(variance))

    def shared(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        return tf.norm(tf.matmul(a, b, transpose_a=True))

    a, b = standardized(teacher), standardized(student)
    alone = tf.sqrt(shared(a, a) * shared(b, b))
    return 1 - tf.square(tf.math.divide_no_nan(shared(a, b), alone))


def _split(labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return what is labelled (float32 0 or 1) and class ids that are safe to look up (int32)."""
    valid = tf.not_equal(labels, IGNORE)
    return tf.cast(valid, tf.float32), tf.cast(tf.where(valid, labels, 0), tf.int32)
