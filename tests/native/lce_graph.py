"""Writes small `.tflite` files with LCE's operators directly, without a converter.

A case takes milliseconds, so thousands of shapes can be tried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from flatbuffers import flexbuffers

try:  # light: LCE's copy of the same schema imports TensorFlow
    from ai_edge_litert import schema_py_generated as schema
except ImportError:
    from larq_compute_engine.mlir.python import tflite_schema as schema

_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.uint32): schema.TensorType.INT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.bool_): schema.TensorType.BOOL,
}
_BUILTINS = {
    "ABS": 101,
    "ADD_N": 106,
    "CONCATENATION": 2,
    "MEAN": 40,
    "RESIZE_BILINEAR": 23,
    "RESIZE_NEAREST_NEIGHBOR": 97,
    "ADD": 0,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "DEPTH_TO_SPACE": 5,
    "MAX_POOL_2D": 17,
    "MUL": 18,
    "RELU": 19,
    "RELU6": 21,
    "ROUND": 116,
}
ACTIVATIONS = {"NONE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}


def words_for(channels: int) -> int:
    return (channels + 31) // 32


def pack_bits(signs: np.ndarray) -> np.ndarray:
    """Packs the last axis, -1 or +1, into int32 words: bit 1 for -1."""
    channels = signs.shape[-1]
    bits = np.zeros((*signs.shape[:-1], words_for(channels) * 32), np.uint8)
    bits[..., :channels] = signs < 0
    return np.packbits(bits, axis=-1, bitorder="little").view(np.int32)


@dataclass
class Graph:
    """A model under construction: tensors, operators, inputs and outputs."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    operators: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    metadata: dict[str, bytes] = field(default_factory=dict)

    def tensor(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        data: np.ndarray | None = None,
        scale: float | list[float] | None = None,
        zero_point: int = 0,
        dimension: int = 0,
    ) -> int:
        """Add a tensor; more than one scale are those along a dimension."""
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = _TYPES[np.dtype(dtype)]
        tensor.name = f"t{len(self.tensors)}".encode()
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        if scale is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = scale if isinstance(scale, list) else [scale]
            quantization.zeroPoint = [zero_point] * len(quantization.scale)
            quantization.quantizedDimension = dimension
            tensor.quantization = quantization
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, data: np.ndarray, **quantization: Any) -> int:
        return self.tensor(data.shape, data.dtype, data, **quantization)

    def input(self, shape: tuple[int, ...], dtype: Any = np.float32, **options: Any) -> int:
        index = self.tensor(shape, dtype, **options)
        self.inputs.append(index)
        return index

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self.tensors[tensor].shape)

    def _code(self, name: str) -> int:
        for i, code in enumerate(self.codes):
            if code.name == name:
                return i
        code = schema.OperatorCodeT()
        code.name = name
        code.version = 1
        if name in _BUILTINS:
            code.builtinCode = code.deprecatedBuiltinCode = _BUILTINS[name]
        else:
            code.builtinCode = code.deprecatedBuiltinCode = 32
            code.customCode = name.encode()
        self.codes.append(code)
        return len(self.codes) - 1

    def custom(
        self, name: str, inputs: list[int], output: int, options: dict[str, int] | bytes | None
    ) -> int:
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name)
        operator.inputs = inputs
        operator.outputs = [output]
        if isinstance(options, bytes):
            operator.customOptions = np.frombuffer(options, np.uint8)
        elif options is not None:
            builder = flexbuffers.Builder()
            builder.MapFromElements(options)
            operator.customOptions = np.frombuffer(bytes(builder.Finish()), np.uint8)
        self.operators.append(operator)
        return output

    def builtin(
        self,
        name: str,
        inputs: list[int],
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        scale: float | None = None,
        zero_point: int = 0,
        **options: int,
    ) -> int:
        output = self.tensor(shape, dtype, scale=scale, zero_point=zero_point)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code(name)
        operator.inputs = inputs
        operator.outputs = [output]
        kind = {
            "ADD": "AddOptions",
            "MAX_POOL_2D": "Pool2DOptions",
            "MUL": "MulOptions",
            "DEPTH_TO_SPACE": "DepthToSpaceOptions",
            "CONCATENATION": "ConcatenationOptions",
            "MEAN": "ReducerOptions",
            "RESIZE_BILINEAR": "ResizeBilinearOptions",
            "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
        }.get(name)
        if kind is not None:
            table = getattr(schema, f"{kind}T")()
            for key, value in options.items():
                setattr(table, key, value)
            operator.builtinOptions = table
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        self.operators.append(operator)
        return output

    def convolution(
        self,
        inputs: list[int],
        output: int,
        stride: int,
        padding: str = "SAME",
        activation: str = "NONE",
        depthwise: bool = False,
    ) -> int:
        """Add an ordinary or a depthwise convolution."""
        kind = "DepthwiseConv2D" if depthwise else "Conv2D"
        operator = schema.OperatorT()
        operator.opcodeIndex = self._code("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D")
        operator.inputs = inputs
        operator.outputs = [output]
        options = getattr(schema, f"{kind}OptionsT")()
        if depthwise:
            options.depthMultiplier = 1
        options.padding = 0 if padding == "SAME" else 1
        options.fusedActivationFunction = ACTIVATIONS[activation]
        options.strideH = options.strideW = stride
        options.dilationHFactor = options.dilationWFactor = 1
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{kind}Options")
        self.operators.append(operator)
        return output

    def quantize(self, source: int) -> int:
        shape = self.shape(source)
        output = self.tensor((*shape[:-1], words_for(shape[-1])), np.int32)
        return self.custom("LceQuantize", [source], output, None)

    def dequantize(self, source: int, channels: int, dtype: Any = np.float32, **quant: Any) -> int:
        output = self.tensor((*self.shape(source)[:-1], channels), dtype, **quant)
        return self.custom("LceDequantize", [source], output, None)

    def conv(
        self,
        source: int,
        channels_in: int,
        signs: np.ndarray,
        *,
        out: str = "float32",
        multiplier: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        thresholds: np.ndarray | None = None,
        strides: tuple[int, int] = (1, 1),
        dilations: tuple[int, int] = (1, 1),
        padding: str = "SAME",
        pad_values: int = 1,
        activation: str = "NONE",
        scale: float | None = None,
        zero_point: int = 0,
    ) -> int:
        """`signs` is the filter, `[out, height, width, in / groups]`, of -1 and +1."""
        batch, height, width, _ = self.shape(source)
        channels, kh, kw, _ = signs.shape
        oh, ow = (
            -(-size // stride)
            if padding == "SAME"
            else (size - (k - 1) * dilation - 1) // stride + 1
            for size, k, stride, dilation in (
                (height, kh, strides[0], dilations[0]),
                (width, kw, strides[1], dilations[1]),
            )
        )
        filters = self.constant(pack_bits(signs))
        extra = [-1, -1, -1]
        if multiplier is not None and bias is not None:
            # Of no use to a bitpacked output, but LCE reads them with zero padding all the same.
            extra[0] = self.constant(multiplier.astype(np.float32))
            extra[1] = self.constant(bias.astype(np.float32))
        if out == "bitpacked":
            assert thresholds is not None
            extra[2] = self.constant(thresholds.astype(np.int32))
            output = self.tensor((batch, oh, ow, words_for(channels)), np.int32)
        else:
            assert multiplier is not None and bias is not None
            dtype = np.int8 if out == "int8" else np.float32
            output = self.tensor(
                (batch, oh, ow, channels), dtype, scale=scale, zero_point=zero_point
            )
        options = {
            "stride_height": strides[0],
            "stride_width": strides[1],
            "dilation_height_factor": dilations[0],
            "dilation_width_factor": dilations[1],
            "padding": 0 if padding == "SAME" else 1,
            "pad_values": pad_values,
            "channels_in": channels_in,
            "fused_activation_function": ACTIVATIONS[activation],
        }
        return self.custom("LceBconv2d", [source, filters, *extra], output, options)

    def max_pool(
        self,
        source: int,
        size: tuple[int, int],
        strides: tuple[int, int],
        padding: str = "SAME",
    ) -> int:
        batch, height, width, words = self.shape(source)
        oh, ow = (
            -(-n // s) if padding == "SAME" else (n - k) // s + 1
            for n, k, s in ((height, size[0], strides[0]), (width, size[1], strides[1]))
        )
        output = self.tensor((batch, oh, ow, words), np.int32)
        options = {
            "filter_height": size[0],
            "filter_width": size[1],
            "stride_height": strides[0],
            "stride_width": strides[1],
            "padding": 0 if padding == "SAME" else 1,
        }
        return self.custom("LceBMaxPool2d", [source], output, options)

    def build(self, *outputs: int) -> bytes:
        subgraph = schema.SubGraphT()
        subgraph.tensors = self.tensors
        subgraph.operators = self.operators
        subgraph.inputs = self.inputs
        subgraph.outputs = list(outputs)
        subgraph.name = b"main"
        model = schema.ModelT()
        model.version = 3
        model.subgraphs = [subgraph]
        model.buffers = self.buffers
        model.operatorCodes = self.codes
        model.description = b"test"
        model.metadata = []
        for name, data in self.metadata.items():
            entry, buffer = schema.MetadataT(), schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            entry.name, entry.buffer = name.encode(), len(model.buffers)
            model.buffers = [*model.buffers, buffer]
            model.metadata.append(entry)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
