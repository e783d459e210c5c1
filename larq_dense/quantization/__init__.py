"""Networks without floating point: ranges, rounding, fine-tuning in eight bits."""

from larq_dense.quantization.quantize import QuantizedModel, calibrate, is_quantized, quantize

__all__ = ["QuantizedModel", "calibrate", "is_quantized", "quantize"]
