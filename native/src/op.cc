// Reads operators from the interpreter's nodes.
#include "op.h"

#include <math.h>
#include <string.h>

#include "flexbuffer.h"

namespace larq_dense {
namespace {

bool activation_limits(int activation, float* low, float* high) {
  *low = -INFINITY;
  *high = INFINITY;
  switch (activation) {
    case kTfLiteActNone:
      return true;
    case kTfLiteActRelu:
      *low = 0;
      return true;
    case kTfLiteActReluN1To1:
      *low = -1;
      *high = 1;
      return true;
    case kTfLiteActRelu6:
      *low = 0;
      *high = 6;
      return true;
    default:
      return false;
  }
}

const char* read_conv(const FlexMap& map, ConvOptions* options) {
  int32_t padding, pad_value, activation;
  if (!map.get("stride_height", &options->vertical.stride) ||
      !map.get("stride_width", &options->horizontal.stride) ||
      !map.get("dilation_height_factor", &options->vertical.dilation) ||
      !map.get("dilation_width_factor", &options->horizontal.dilation) ||
      !map.get("padding", &padding) || !map.get("pad_values", &pad_value) ||
      !map.get("channels_in", &options->channels_in) ||
      !map.get("fused_activation_function", &activation)) {
    return "LceBconv2d: an option is missing or no 32-bit integer";
  }
  if (options->vertical.stride <= 0 || options->horizontal.stride <= 0 ||
      options->vertical.dilation <= 0 || options->horizontal.dilation <= 0) {
    return "LceBconv2d: strides and dilations must be positive";
  }
  if (padding != 0 && padding != 1) return "LceBconv2d: unknown padding";
  if (pad_value != 0 && pad_value != 1) return "LceBconv2d: pad_values must be 0 or 1";
  if (options->channels_in <= 0) return "LceBconv2d: channels_in must be positive";
  options->same_padding = padding == 0;
  options->pad_with_one = pad_value == 1;
  options->activation = activation;
  return nullptr;
}

const char* read_pool(const FlexMap& map, Op* op) {
  int32_t padding;
  if (!map.get("filter_height", &op->pool_vertical.kernel) ||
      !map.get("filter_width", &op->pool_horizontal.kernel) ||
      !map.get("stride_height", &op->pool_vertical.stride) ||
      !map.get("stride_width", &op->pool_horizontal.stride) || !map.get("padding", &padding)) {
    return "LceBMaxPool2d: an option is missing or no 32-bit integer";
  }
  if (op->pool_vertical.kernel <= 0 || op->pool_horizontal.kernel <= 0 ||
      op->pool_vertical.stride <= 0 || op->pool_horizontal.stride <= 0) {
    return "LceBMaxPool2d: sizes and strides must be positive";
  }
  if (padding != 0 && padding != 1) return "LceBMaxPool2d: unknown padding";
  op->same_padding = padding == 0;
  return nullptr;
}

bool input_count_fits(OpKind kind, int count) {
  switch (kind) {
    case OpKind::kConv:
      return count == 5;
    case OpKind::kConv2d:
      return count == 3;
    case OpKind::kAdd:
    case OpKind::kMul:
    case OpKind::kNearest:
    case OpKind::kBilinear:
    case OpKind::kMean:
      return count == 2;
    case OpKind::kAddN:
    case OpKind::kConcat:
      return count >= 2 && count <= kMaxInputs;
    default:
      return count == 1;
  }
}

bool builtin_kind(int code, OpKind* kind) {
  switch (code) {
    case kTfLiteBuiltinAdd:
      *kind = OpKind::kAdd;
      return true;
    case kTfLiteBuiltinConv2d:
    case kTfLiteBuiltinDepthwiseConv2d:
      *kind = OpKind::kConv2d;
      return true;
    case kTfLiteBuiltinMul:
      *kind = OpKind::kMul;
      return true;
    case kTfLiteBuiltinRelu:
    case kTfLiteBuiltinRelu6:
      *kind = OpKind::kClamp;
      return true;
    case kTfLiteBuiltinRound:
      *kind = OpKind::kRound;
      return true;
    case kTfLiteBuiltinDepthToSpace:
      *kind = OpKind::kDepthToSpace;
      return true;
    case kTfLiteBuiltinAddN:
      *kind = OpKind::kAddN;
      return true;
    case kTfLiteBuiltinConcatenation:
      *kind = OpKind::kConcat;
      return true;
    case kTfLiteBuiltinMean:
      *kind = OpKind::kMean;
      return true;
    case kTfLiteBuiltinResizeBilinear:
      *kind = OpKind::kBilinear;
      return true;
    case kTfLiteBuiltinResizeNearestNeighbor:
      *kind = OpKind::kNearest;
      return true;
    default:
      return false;
  }
}

template <class Options>
bool read_conv2d_options(const Options& options, Op* op) {
  if (options.stride_width <= 0 || options.stride_height <= 0 || options.dilation_width != 1 ||
      options.dilation_height != 1 ||
      (options.padding != kTfLitePaddingSame && options.padding != kTfLitePaddingValid)) {
    return false;
  }
  op->conv2d.vertical.stride = options.stride_height;
  op->conv2d.horizontal.stride = options.stride_width;
  op->conv2d.same_padding = options.padding == kTfLitePaddingSame;
  return activation_limits(options.activation, &op->low, &op->high);
}

bool read_depthwise_options(const TfLiteDepthwiseConvParams& options, Op* op) {
  op->conv2d.depthwise = true;
  return options.depth_multiplier == 1 && read_conv2d_options(options, op);
}

bool read_builtin(const TfLiteNode& node, int code, Op* op) {
  if (!builtin_kind(code, &op->kind)) return false;
  op->low = -INFINITY;
  op->high = INFINITY;
  switch (op->kind) {
    case OpKind::kAdd:
      return node.builtin_data != nullptr &&
             activation_limits(static_cast<const TfLiteAddParams*>(node.builtin_data)->activation,
                               &op->low, &op->high);
    case OpKind::kMul:
      return node.builtin_data != nullptr &&
             activation_limits(static_cast<const TfLiteMulParams*>(node.builtin_data)->activation,
                               &op->low, &op->high);
    case OpKind::kClamp:
      return activation_limits(code == kTfLiteBuiltinRelu ? kTfLiteActRelu : kTfLiteActRelu6,
                               &op->low, &op->high);
    case OpKind::kAddN:
    case OpKind::kRound:
      return true;
    case OpKind::kConv2d:
      return node.builtin_data != nullptr &&
             (code == kTfLiteBuiltinConv2d
                  ? read_conv2d_options(*static_cast<const TfLiteConvParams*>(node.builtin_data),
                                        op)
                  : read_depthwise_options(
                        *static_cast<const TfLiteDepthwiseConvParams*>(node.builtin_data), op));
    case OpKind::kConcat: {
      if (node.builtin_data == nullptr) return false;
      const auto* options = static_cast<const TfLiteConcatenationParams*>(node.builtin_data);
      op->axis = options->axis;
      return options->activation == kTfLiteActNone;
    }
    case OpKind::kMean:
      if (node.builtin_data == nullptr) return false;
      op->keep_dims = static_cast<const TfLiteReducerParams*>(node.builtin_data)->keep_dims;
      return true;
    case OpKind::kBilinear: {
      const auto* options = static_cast<const TfLiteResizeBilinearParams*>(node.builtin_data);
      return options != nullptr && options->half_pixel_centers && !options->align_corners;
    }
    case OpKind::kNearest:
      return node.builtin_data != nullptr &&
             !static_cast<const TfLiteResizeNearestNeighborParams*>(node.builtin_data)
                  ->align_corners;
    default:
      if (node.builtin_data == nullptr) return false;
      op->block_size = static_cast<const TfLiteDepthToSpaceParams*>(node.builtin_data)->block_size;
      return op->block_size > 0 && op->block_size <= 64;
  }
}

bool custom_kind(const char* name, OpKind* kind) {
  if (strcmp(name, "LceQuantize") == 0) {
    *kind = OpKind::kQuantize;
  } else if (strcmp(name, "LceDequantize") == 0) {
    *kind = OpKind::kDequantize;
  } else if (strcmp(name, "LceBconv2d") == 0) {
    *kind = OpKind::kConv;
  } else if (strcmp(name, "LceBMaxPool2d") == 0) {
    *kind = OpKind::kMaxPool;
  } else {
    return false;
  }
  return true;
}

// An activation's limit as TensorFlow Lite finds it, in steps.
float in_steps(float limit, const TfLiteQuantizationParams& range) {
  if (limit == -INFINITY || limit == INFINITY) return limit;
  const float steps = limit / range.scale;
  if (!(steps > -256.0f)) return -INFINITY;
  if (!(steps < 256.0f)) return INFINITY;
  const int32_t whole = static_cast<int32_t>(steps + (steps < 0 ? -0.5f : 0.5f));
  return static_cast<float>(range.zero_point) + static_cast<float>(whole);
}

}  // namespace

size_t element_size(int type) {
  switch (type) {
    case kTfLiteFloat32:
    case kTfLiteInt32:
      return 4;
    case kTfLiteInt8:
    case kTfLiteBool:
      return 1;
    default:
      return 0;
  }
}

bool is_constant(const TfLiteTensor& tensor) {
  return tensor.allocation_type == kTfLiteMmapRo && tensor.data != nullptr &&
         tensor.sparsity == nullptr;
}

bool read_shape(const TfLiteTensor& tensor, Shape* shape) {
  if (tensor.dims == nullptr || tensor.dims->size < 0 || tensor.dims->size > kMaxDimensions) {
    return false;
  }
  shape->rank = tensor.dims->size;
  for (int i = 0; i < shape->rank; ++i) shape->dims[i] = tensor.dims->data[i];
  size_t count;
  return count_elements(*shape, &count);
}

Operand operand_of(const Shape& first, const Shape& second) {
  if (first == second) return Operand::kSame;
  size_t count;
  if (!count_elements(second, &count) || second.rank > first.rank) return Operand::kOther;
  if (count == 1) return Operand::kScalar;
  if (second.rank > 0 && second.last() == first.last() &&
      count == static_cast<size_t>(second.last())) {
    return Operand::kChannels;
  }
  Shape rows = first;
  if (rows.rank > 0) rows.dims[rows.rank - 1] = 1;
  return rows == second ? Operand::kRows : Operand::kOther;
}

bool is_lce_node(const TfLiteRegistration& registration) {
  OpKind kind;
  return registration.custom_name != nullptr && custom_kind(registration.custom_name, &kind);
}

bool read_conv2d(const TfLiteTensor* tensors, const Op& op, Conv2dConstants* constants) {
  const TfLiteTensor& input = tensors[op.inputs[0]];
  const TfLiteTensor& filter = tensors[op.inputs[1]];
  const TfLiteTensor& bias = tensors[op.inputs[2]];
  const TfLiteTensor& output = tensors[op.output];
  Shape* shape = &constants->filter_shape;
  constants->depthwise = op.conv2d.depthwise;
  Shape biases;
  size_t size;
  const auto* range = static_cast<const TfLiteAffineParams*>(filter.quantization_params);
  if (!is_constant(filter) || filter.type != kTfLiteInt8 || !read_shape(filter, shape) ||
      shape->rank != 4 || (constants->depthwise && shape->dims[0] != 1) ||
      !count_elements(*shape, &size) || size == 0 || filter.bytes < size || !is_constant(bias) ||
      bias.type != kTfLiteInt32 || !read_shape(bias, &biases) || biases.rank != 1 ||
      biases.dims[0] != constants->channels_out() ||
      bias.bytes < sizeof(int32_t) * static_cast<size_t>(biases.dims[0]) ||
      filter.quantization_type != kTfLiteAffineQuantization || range == nullptr ||
      range->scale == nullptr ||
      (range->scale->size != 1 && (range->scale->size != constants->channels_out() ||
                                   range->dimension != (constants->depthwise ? 3 : 0)))) {
    return false;
  }
  for (int i = 0; range->zero_point != nullptr && i < range->zero_point->size; ++i) {
    if (range->zero_point->data[i] != 0) return false;
  }
  constants->filter = static_cast<const int8_t*>(filter.data);
  constants->bias = static_cast<const int32_t*>(bias.data);
  constants->scales = range->scale->data;
  constants->scale_count = range->scale->size;
  constants->input_scale = input.params.scale;
  constants->input_zero_point = input.params.zero_point;
  constants->output_scale = output.params.scale;
  constants->output_zero_point = output.params.zero_point;
  return true;
}

bool is_over_pixels(const TfLiteTensor& axes) {
  if (!is_constant(axes) || axes.type != kTfLiteInt32 || axes.bytes != 2 * sizeof(int32_t)) {
    return false;
  }
  int32_t axis[2];
  memcpy(axis, axes.data, sizeof axis);
  for (int32_t& a : axis) a = a < 0 ? a + 4 : a;
  return (axis[0] == 1 && axis[1] == 2) || (axis[0] == 2 && axis[1] == 1);
}

const char* read_op(const TfLiteContext& context, const TfLiteNode& node,
                    const TfLiteRegistration& registration, Op* op) {
  if (registration.custom_name != nullptr) {
    if (!custom_kind(registration.custom_name, &op->kind)) return "an unknown custom operator";
    if (op->kind == OpKind::kConv || op->kind == OpKind::kMaxPool) {
      FlexMap map;
      if (node.custom_initial_data_size <= 0 ||
          !map.parse(node.custom_initial_data,
                     static_cast<size_t>(node.custom_initial_data_size))) {
        return op->kind == OpKind::kConv ? "LceBconv2d: malformed options"
                                         : "LceBMaxPool2d: malformed options";
      }
      const char* error =
          op->kind == OpKind::kConv ? read_conv(map, &op->conv) : read_pool(map, op);
      if (error != nullptr) return error;
    }
  } else if (!read_builtin(node, registration.builtin_code, op)) {
    return "an unknown built-in operator";
  }
  if (node.inputs == nullptr || node.outputs == nullptr ||
      !input_count_fits(op->kind, node.inputs->size) || node.outputs->size != 1) {
    return "an operator with the wrong number of inputs or outputs";
  }
  op->input_count = node.inputs->size;
  for (int i = 0; i < op->input_count; ++i) {
    op->inputs[i] = node.inputs->data[i];
    // Inputs of a convolution that its kind of output does not need may be left out (-1).
    const bool optional = op->kind == OpKind::kConv && i >= 2 && op->inputs[i] == -1;
    if (!optional && !valid_index(context, op->inputs[i])) {
      return "an operator with an input out of range";
    }
  }
  op->output = node.outputs->data[0];
  if (!valid_index(context, op->output)) return "an operator with an output out of range";
  const TfLiteTensor& output = context.tensors[op->output];
  if (output.type == kTfLiteInt8) {
    op->low = in_steps(op->low, output.params);
    op->high = in_steps(op->high, output.params);
  }
  return nullptr;
}

}  // namespace larq_dense
