"""Networks without floating point: ranges, rounding, fine-tuning in eight bits."""

from larq_dense.quantization.quantize import calibrate, is_quantized, quantize

__all__ = ["calibrate", "is_quantized", "quantize"]
