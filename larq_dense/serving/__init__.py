"""A server: pictures in by HTTP, masks, overlays, cut-outs or JSON out.

It needs the extra `[serve]`, and no TensorFlow.
"""

from larq_dense.common.extra import needs_extra

with needs_extra(__name__, "serve"):
    from larq_dense.serving.app import Limits, create_app
    from larq_dense.serving.server import serve

__all__ = ["Limits", "create_app", "serve"]
