"""Models: encoders, the FPN decoder, and `build`, which joins them."""

from larq_dense.models.builder import build
from larq_dense.models.encoders import ENCODERS
from larq_dense.models.inspect import binary_kernels, binary_layers

__all__ = ["ENCODERS", "binary_kernels", "binary_layers", "build"]
