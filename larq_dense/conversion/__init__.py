"""Keras model → Larq Compute Engine's `.tflite`: conversion, audit, parity, metadata."""

from larq_dense.common.extra import needs_tensorflow

with needs_tensorflow(__name__):
    from larq_dense.conversion.audit import AuditedLayer, AuditReport, audit
    from larq_dense.conversion.convert import ConversionResult, convert
    from larq_dense.conversion.flatbuffer import to_flatbuffer
    from larq_dense.conversion.metadata import add_metadata
    from larq_dense.conversion.parity import Parity, parity

__all__ = [
    "AuditReport",
    "AuditedLayer",
    "ConversionResult",
    "Parity",
    "add_metadata",
    "audit",
    "convert",
    "parity",
    "to_flatbuffer",
]
