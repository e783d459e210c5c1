"""Networks without floating point: ranges, rounding, fine-tuning in eight bits."""

from larq_dense.quantization.quantize import calibrate, quantize

__all__ = ["calibrate", "quantize"]
