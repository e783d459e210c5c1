"""Whether K parallel branches cost less than K times one."""

from collections.abc import Mapping

from larq_dense.common.keras2 import tf
from larq_dense.experiments.verdict import Verdict
from larq_dense.layers import GatedMerge, ParallelConv2D

BRANCHES = (1, 2, 3, 5)

# Written down before the figures were seen. A layer of K branches computes K convolutions, so on
# one thread less than 1 can only come from what they share.
CHEAPER, NO_GAIN = 0.75, 0.95


def parallel_layer(branches: int, height: int, width: int, filters: int) -> tf.keras.Model:
    """Return a network of one parallel convolution and its merge, with random weights.

    Args:
        branches: K.
        height: Rows of its input.
        width: Columns of its input.
        filters: Channels of input and output.
    """
    inputs = tf.keras.Input((height, width, filters))
    maps = ParallelConv2D(filters, branches=branches, name="conv")(inputs)
    return tf.keras.Model(inputs, GatedMerge(name="merge")(maps), name=f"parallel_{branches}")


def relative_cost(milliseconds: Mapping[int, float]) -> dict[int, float]:
    """Return each K's time over K times that of one branch.

    Args:
        milliseconds: By K, 1 among them.
    """
    return {k: time / (k * milliseconds[1]) for k, time in milliseconds.items()}


def verdict(milliseconds: Mapping[int, float]) -> Verdict:
    """Judge by the mean relative cost of several branches."""
    several = [cost for k, cost in relative_cost(milliseconds).items() if k > 1]
    mean = sum(several) / len(several)
    if mean <= CHEAPER:
        return "supported"
    return "refuted" if mean >= NO_GAIN else "unclear"
