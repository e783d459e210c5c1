"""Models: encoders and decoders by name, and `build_model`, which joins two of them."""

from larq_dense.common.extra import needs_tensorflow

with needs_tensorflow(__name__):
    # Each of these registers what it holds.
    from larq_dense.models import (  # noqa: F401
        compact,
        decoder,
        efficientnet,
        light,
        lraspp,
        mobilenet,
        quicknet,
    )
    from larq_dense.models.builder import build, build_model, settings
    from larq_dense.models.dense import DenseModel
    from larq_dense.models.inspect import binary_kernels, binary_layers
    from larq_dense.models.registry import DECODERS, ENCODERS, register_decoder, register_encoder

__all__ = [
    "DECODERS",
    "ENCODERS",
    "DenseModel",
    "binary_kernels",
    "binary_layers",
    "build",
    "build_model",
    "register_decoder",
    "register_encoder",
    "settings",
]
