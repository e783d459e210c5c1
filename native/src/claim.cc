// Decides which operators of TensorFlow Lite between the binary ones are computed here.
#include <math.h>
#include <string.h>

#include "op.h"

namespace larq_dense {
namespace {

bool same_range(const Tensor& a, const Tensor& b) {
  return a.scale > 0 && a.scale < INFINITY && a.scale == b.scale && a.zero_point >= -128 &&
         a.zero_point <= 127 && a.zero_point == b.zero_point;
}

// Whether a tensor holds nothing but 0 and 1, by the way it is made: signs cut off below 0.
bool is_mask(const Graph& graph, int tensor) {
  const int made_by[] = {kBuiltinRelu, kBuiltinCustom};
  for (const int code : made_by) {
    // The steps for 1 must be a number of them.
    const Tensor& mask = graph.tensor(tensor);
    const float one = 1.0f / mask.scale;
    if (mask.type != Type::kInt8 || mask.zero_point != 0 ||
        !(one == 1 || one == 2 || one == 4 || one == 8 || one == 16 || one == 32 || one == 64)) {
      return false;
    }
    const Node* node = graph.producer_of(tensor);
    if (node == nullptr || node->code != code || node->input_count != 1 ||
        !graph.has(node->inputs[0])) {
      return false;
    }
    if (code == kBuiltinCustom) {
      return node->custom_name != nullptr && strcmp(node->custom_name, "LceDequantize") == 0;
    }
    if (!same_range(mask, graph.tensor(node->inputs[0]))) return false;
    tensor = node->inputs[0];
  }
  return false;
}

// Whether an operator on int8 gives, without rounding, what the interpreter's gives: where all
// tensors share a range, a product is one with a mask, and a mean the interpreter's own formula.
bool can_be_int8(const Graph& graph, const Op& op) {
  const Tensor& output = graph.tensor(op.output);
  const auto alike = [&](int i) {
    const Tensor& input = graph.tensor(op.inputs[i]);
    return input.type == Type::kInt8 && same_range(input, output);
  };
  switch (op.kind) {
    case OpKind::kClamp:
    case OpKind::kDepthToSpace:
    case OpKind::kMaxPool2d:
    case OpKind::kNearest:
    case OpKind::kBilinear:
      return alike(0);
    case OpKind::kAdd:
      return alike(0) && alike(1);
    case OpKind::kMul:
      return alike(0) && is_mask(graph, op.inputs[1]);
    case OpKind::kConv2d: {
      const Tensor& input = graph.tensor(op.inputs[0]);
      Conv2dConstants constants;
      return input.type == Type::kInt8 && same_range(input, input) &&
             same_range(output, output) && read_conv2d(graph, op, &constants) &&
             rounds_safely(constants);
    }
    case OpKind::kConcat:
      for (int i = 0; i < op.input_count; ++i) {
        if (!alike(i)) return false;
      }
      return true;
    case OpKind::kMean: {
      // The interpreter's kernels agree where the sum is not made smaller, and so rounded once.
      const Tensor& input = graph.tensor(op.inputs[0]);
      const Shape& shape = input.shape;
      if (!op.keep_dims || !input.has_shape || shape.rank != 4) return false;
      const float pixels = static_cast<float>(shape.dims[1]) * static_cast<float>(shape.dims[2]);
      const float finer = input.scale / output.scale;
      return same_range(input, input) && same_range(output, output) && pixels <= kMaxMeanPixels &&
             finer <= (1 << 23) && finer / pixels >= 0.5f;
    }
    default:
      return false;
  }
}

// Whether a constant holds two integers, and these.
bool holds(const Tensor& tensor, int32_t* first, int32_t* second) {
  if (tensor.constant == nullptr || tensor.type != Type::kInt32 ||
      tensor.bytes != 2 * sizeof(int32_t)) {
    return false;
  }
  memcpy(first, tensor.constant, sizeof *first);
  memcpy(second, static_cast<const char*>(tensor.constant) + sizeof *first, sizeof *second);
  return true;
}

// Whether a mean's axes are height and width.
bool is_over_pixels(const Tensor& axes) {
  int32_t a, b;
  if (!holds(axes, &a, &b)) return false;
  a = a < 0 ? a + 4 : a;
  b = b < 0 ? b + 4 : b;
  return (a == 1 && b == 2) || (a == 2 && b == 1);
}

// Whether a resize is to the output's size.
bool is_size_of(const Tensor& sizes, const Shape& output) {
  int32_t height, width;
  return holds(sizes, &height, &width) && height == output.dims[1] && width == output.dims[2];
}

}  // namespace

bool is_glue_node(const Graph& graph, const Kernels& kernels, const Node& node) {
  Op op;
  if (node.custom_name != nullptr || read_op(graph, node, &op) != nullptr) return false;
  const bool is_int8 = graph.tensor(op.output).type == Type::kInt8;
  if (is_int8 && !can_be_int8(graph, op)) return false;
  const auto shape_of = [&](int index, Shape* shape) {
    const Tensor& tensor = graph.tensor(index);
    size_t count;
    *shape = tensor.shape;
    return tensor.type == (is_int8 ? Type::kInt8 : Type::kFloat32) && !tensor.is_dynamic &&
           tensor.has_shape && count_elements(*shape, &count) && count != 0;
  };
  Shape first, output;
  if (!shape_of(op.inputs[0], &first) || !shape_of(op.output, &output)) return false;
  switch (op.kind) {
    case OpKind::kClamp:
    case OpKind::kRound:
      return first.rank >= 1;
    case OpKind::kConv2d:
      // The filter's rank is known; with fewer channels than the input it would be in groups.
      return is_int8 && kernels.conv_bytes != nullptr && first.rank == 4 && output.rank == 4 &&
             first.dims[3] == graph.tensor(op.inputs[1]).shape.dims[3];
    case OpKind::kDepthToSpace:
    case OpKind::kMaxPool2d:
      return first.rank == 4;
    case OpKind::kAddN:
      for (int i = 1; i < op.input_count; ++i) {
        Shape shape;
        if (!shape_of(op.inputs[i], &shape) || !(shape == first)) return false;
      }
      return true;
    case OpKind::kConcat:
      for (int i = 1; i < op.input_count; ++i) {
        Shape shape;
        if (!shape_of(op.inputs[i], &shape)) return false;
      }
      return first.rank == 4 && (op.axis == 3 || op.axis == -1);
    case OpKind::kMean:
      return first.rank == 4 && output.rank >= 2 && is_over_pixels(graph.tensor(op.inputs[1]));
    case OpKind::kBilinear:
      return is_int8 && first.rank == 4 && output.rank == 4 &&
             is_twice(output.dims[1], first.dims[1]) && is_twice(output.dims[2], first.dims[2]) &&
             is_size_of(graph.tensor(op.inputs[1]), output);
    case OpKind::kNearest:
      return first.rank == 4 && output.rank == 4 && output.dims[1] % first.dims[1] == 0 &&
             output.dims[2] % first.dims[2] == 0 && is_size_of(graph.tensor(op.inputs[1]), output);
    case OpKind::kAdd:
    case OpKind::kMul: {
      Shape second;
      if (!shape_of(op.inputs[1], &second) ||
          (graph.tensor(op.inputs[0]).constant != nullptr &&
           graph.tensor(op.inputs[1]).constant != nullptr)) {
        return false;
      }
      return operand_of(first, second) != Operand::kOther ||
             (operand_of(second, first) != Operand::kOther &&
              !(is_int8 && op.kind == OpKind::kMul));
    }
    default:
      return false;
  }
}

}  // namespace larq_dense
