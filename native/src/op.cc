// Reads operators from a graph's nodes.
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
    case kActNone:
      return true;
    case kActRelu:
      *low = 0;
      return true;
    case kActReluN1To1:
      *low = -1;
      *high = 1;
      return true;
    case kActRelu6:
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

struct BuiltinKind {
  int32_t code;
  OpKind kind;
  const char* name;
};
constexpr BuiltinKind kBuiltinKinds[] = {
    {kBuiltinAdd, OpKind::kAdd, "ADD"},
    {kBuiltinAddN, OpKind::kAddN, "ADD_N"},
    {kBuiltinConcatenation, OpKind::kConcat, "CONCATENATION"},
    {kBuiltinConv2d, OpKind::kConv2d, "CONV_2D"},
    {kBuiltinDepthToSpace, OpKind::kDepthToSpace, "DEPTH_TO_SPACE"},
    {kBuiltinDepthwiseConv2d, OpKind::kConv2d, "DEPTHWISE_CONV_2D"},
    {kBuiltinMaxPool2d, OpKind::kMaxPool2d, "MAX_POOL_2D"},
    {kBuiltinMean, OpKind::kMean, "MEAN"},
    {kBuiltinMul, OpKind::kMul, "MUL"},
    {kBuiltinRelu, OpKind::kClamp, "RELU"},
    {kBuiltinRelu6, OpKind::kClamp, "RELU6"},
    {kBuiltinResizeBilinear, OpKind::kBilinear, "RESIZE_BILINEAR"},
    {kBuiltinResizeNearestNeighbor, OpKind::kNearest, "RESIZE_NEAREST_NEIGHBOR"},
    {kBuiltinRound, OpKind::kRound, "ROUND"},
};

const BuiltinKind* builtin_kind(int32_t code) {
  for (const BuiltinKind& kind : kBuiltinKinds) {
    if (kind.code == code) return &kind;
  }
  return nullptr;
}

bool read_conv2d_options(const BuiltinOptions& options, Op* op) {
  if (options.stride_width <= 0 || options.stride_height <= 0 || options.dilation_width != 1 ||
      options.dilation_height != 1 || options.depth_multiplier != 1 || !options.known_padding) {
    return false;
  }
  op->conv2d.vertical.stride = options.stride_height;
  op->conv2d.horizontal.stride = options.stride_width;
  op->conv2d.same_padding = options.same_padding;
  return activation_limits(options.activation, &op->low, &op->high);
}

bool read_pool_options(const BuiltinOptions& options, Op* op) {
  if (options.stride_width <= 0 || options.stride_height <= 0 || options.filter_width <= 0 ||
      options.filter_height <= 0 || !options.known_padding) {
    return false;
  }
  op->pool_vertical = {options.filter_height, options.stride_height, 1};
  op->pool_horizontal = {options.filter_width, options.stride_width, 1};
  op->same_padding = options.same_padding;
  return activation_limits(options.activation, &op->low, &op->high);
}

bool read_builtin(const Node& node, Op* op) {
  const BuiltinKind* kind = builtin_kind(node.code);
  if (kind == nullptr) return false;
  op->kind = kind->kind;
  op->low = -INFINITY;
  op->high = INFINITY;
  const BuiltinOptions& options = node.options;
  switch (op->kind) {
    case OpKind::kClamp:
      return activation_limits(node.code == kBuiltinRelu ? kActRelu : kActRelu6, &op->low,
                               &op->high);
    case OpKind::kAddN:
    case OpKind::kRound:
      return true;
    default:
      break;
  }
  if (!node.has_options) return false;
  switch (op->kind) {
    case OpKind::kAdd:
    case OpKind::kMul:
      return activation_limits(options.activation, &op->low, &op->high);
    case OpKind::kConv2d:
      op->conv2d.depthwise = node.code == kBuiltinDepthwiseConv2d;
      return read_conv2d_options(options, op);
    case OpKind::kMaxPool2d:
      return read_pool_options(options, op);
    case OpKind::kConcat:
      op->axis = options.axis;
      return options.activation == kActNone;
    case OpKind::kMean:
      op->keep_dims = options.keep_dims;
      return true;
    case OpKind::kBilinear:
      return options.half_pixel_centers && !options.align_corners;
    case OpKind::kNearest:
      return !options.align_corners;
    default:
      op->block_size = options.block_size;
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
float in_steps(float limit, const Tensor& range) {
  if (limit == -INFINITY || limit == INFINITY) return limit;
  const float steps = limit / range.scale;
  if (!(steps > -256.0f)) return -INFINITY;
  if (!(steps < 256.0f)) return INFINITY;
  const int32_t whole = static_cast<int32_t>(steps + (steps < 0 ? -0.5f : 0.5f));
  return static_cast<float>(range.zero_point) + static_cast<float>(whole);
}

}  // namespace

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

const char* name_of(const Node& node) {
  if (node.custom_name != nullptr) return node.custom_name;
  const BuiltinKind* kind = builtin_kind(node.code);
  return kind == nullptr ? nullptr : kind->name;
}

bool is_lce_node(const Node& node) {
  OpKind kind;
  return node.custom_name != nullptr && custom_kind(node.custom_name, &kind);
}

bool read_conv2d(const Graph& graph, const Op& op, Conv2dConstants* constants) {
  const Tensor& input = graph.tensor(op.inputs[0]);
  const Tensor& filter = graph.tensor(op.inputs[1]);
  const Tensor& bias = graph.tensor(op.inputs[2]);
  const Tensor& output = graph.tensor(op.output);
  const Shape& shape = filter.shape;
  constants->depthwise = op.conv2d.depthwise;
  constants->filter_shape = shape;
  size_t size;
  if (filter.constant == nullptr || filter.type != Type::kInt8 || !filter.has_shape ||
      shape.rank != 4 || (constants->depthwise && shape.dims[0] != 1) ||
      !count_elements(shape, &size) || size == 0 || filter.bytes < size ||
      bias.constant == nullptr || bias.type != Type::kInt32 || !bias.has_shape ||
      bias.shape.rank != 1 || bias.shape.dims[0] != constants->channels_out() ||
      bias.bytes < sizeof(int32_t) * static_cast<size_t>(bias.shape.dims[0]) ||
      filter.scales == nullptr || !filter.all_zero_points_zero ||
      (filter.scale_count != 1 && (filter.scale_count != constants->channels_out() ||
                                   filter.scale_dimension != (constants->depthwise ? 3 : 0)))) {
    return false;
  }
  constants->filter = static_cast<const int8_t*>(filter.constant);
  constants->bias = static_cast<const int32_t*>(bias.constant);
  constants->scales = filter.scales;
  constants->scale_count = filter.scale_count;
  constants->input_scale = input.scale;
  constants->input_zero_point = input.zero_point;
  constants->output_scale = output.scale;
  constants->output_zero_point = output.zero_point;
  return true;
}

const char* read_op(const Graph& graph, const Node& node, Op* op) {
  if (node.custom_name != nullptr) {
    if (!custom_kind(node.custom_name, &op->kind)) return "an unknown custom operator";
    if (op->kind == OpKind::kConv || op->kind == OpKind::kMaxPool) {
      FlexMap map;
      if (!map.parse(node.custom_options, node.custom_size)) {
        return op->kind == OpKind::kConv ? "LceBconv2d: malformed options"
                                         : "LceBMaxPool2d: malformed options";
      }
      const char* error =
          op->kind == OpKind::kConv ? read_conv(map, &op->conv) : read_pool(map, op);
      if (error != nullptr) return error;
    }
  } else if (!read_builtin(node, op)) {
    return "an unknown built-in operator";
  }
  if (!input_count_fits(op->kind, node.input_count) || node.output_count != 1) {
    return "an operator with the wrong number of inputs or outputs";
  }
  op->input_count = node.input_count;
  for (int i = 0; i < op->input_count; ++i) {
    op->inputs[i] = node.inputs[i];
    // Inputs of a convolution that its kind of output does not need may be left out (-1).
    const bool optional = op->kind == OpKind::kConv && i >= 2 && op->inputs[i] == -1;
    if (!optional && !graph.has(op->inputs[i])) return "an operator with an input out of range";
  }
  op->output = node.output;
  if (!graph.has(op->output)) return "an operator with an output out of range";
  const Tensor& output = graph.tensor(op->output);
  if (output.type == Type::kInt8) {
    op->low = in_steps(op->low, output);
    op->high = in_steps(op->high, output);
  }
  return nullptr;
}

}  // namespace larq_dense
