"""The layers of arXiv 2405.17776: Keras layers that know nothing of tasks, data or files."""

from larq_dense.common.extra import needs_tensorflow

with needs_tensorflow(__name__):
    from larq_dense.layers.affine import Affine
    from larq_dense.layers.attention import BinaryAttention
    from larq_dense.layers.depth_to_space import DepthToSpace
    from larq_dense.layers.fixed_point import FixedPoint
    from larq_dense.layers.gate import GatedMerge, Merge, SoftGate
    from larq_dense.layers.nearest import NearestUpsampling2D
    from larq_dense.layers.parallel_conv import ParallelConv2D
    from larq_dense.layers.parallel_upsampling import ParallelUpsampling2D
    from larq_dense.layers.threshold import Threshold

__all__ = [
    "Affine",
    "BinaryAttention",
    "DepthToSpace",
    "FixedPoint",
    "GatedMerge",
    "Merge",
    "NearestUpsampling2D",
    "ParallelConv2D",
    "ParallelUpsampling2D",
    "SoftGate",
    "Threshold",
]
