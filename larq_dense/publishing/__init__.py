"""From a training run to an entry of the zoo: weights, measurements, card and plots."""

from larq_dense.publishing.publish import publish

__all__ = ["publish"]
