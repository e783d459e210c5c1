"""Networks without floating point: ranges, rounding, int8 fine-tuning."""

from larq_dense.common.extra import needs_tensorflow

with needs_tensorflow(__name__):
    from larq_dense.quantization.quantize import QuantizedModel, calibrate, is_quantized, quantize

__all__ = ["QuantizedModel", "calibrate", "is_quantized", "quantize"]
