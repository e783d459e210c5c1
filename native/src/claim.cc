// Decides which operators of TensorFlow Lite between the binary ones are computed here.
#include <math.h>
#include <string.h>

#include "op.h"

namespace larq_dense {
namespace {

bool same_range(const TfLiteTensor& a, const TfLiteTensor& b) {
  return a.params.scale > 0 && a.params.scale < INFINITY && a.params.scale == b.params.scale &&
         a.params.zero_point >= -128 && a.params.zero_point <= 127 &&
         a.params.zero_point == b.params.zero_point;
}

// The node that writes a tensor, or null.
const TfLiteNode* producer_of(TfLiteContext* context, const TfLiteIntArray& plan, int tensor,
                              TfLiteRegistration** registration) {
  for (int i = 0; i < plan.size; ++i) {
    TfLiteNode* node = nullptr;
    if (context->GetNodeAndRegistration(context, plan.data[i], &node, registration) == kTfLiteOk &&
        node->outputs != nullptr && node->outputs->size == 1 && node->outputs->data[0] == tensor) {
      return node;
    }
  }
  return nullptr;
}

// Whether a tensor holds nothing but 0 and 1, by the way it is made: signs cut off below 0.
bool is_mask(TfLiteContext* context, const TfLiteIntArray& plan, int tensor) {
  const int made_by[] = {kTfLiteBuiltinRelu, kTfLiteBuiltinCustom};
  for (const int code : made_by) {
    // The steps for 1 must be a number of them.
    const TfLiteTensor& mask = context->tensors[tensor];
    const float one = 1.0f / mask.params.scale;
    if (mask.type != kTfLiteInt8 || mask.params.zero_point != 0 ||
        !(one == 1 || one == 2 || one == 4 || one == 8 || one == 16 || one == 32 || one == 64)) {
      return false;
    }
    TfLiteRegistration* registration = nullptr;
    const TfLiteNode* node = producer_of(context, plan, tensor, &registration);
    if (node == nullptr || registration->builtin_code != code || node->inputs == nullptr ||
        node->inputs->size != 1 || !valid_index(*context, node->inputs->data[0])) {
      return false;
    }
    if (code == kTfLiteBuiltinCustom) {
      return registration->custom_name != nullptr &&
             strcmp(registration->custom_name, "LceDequantize") == 0;
    }
    if (!same_range(mask, context->tensors[node->inputs->data[0]])) return false;
    tensor = node->inputs->data[0];
  }
  return false;
}

// Whether an operator on int8 gives, without rounding, what the interpreter's gives: where all
// tensors share a range, a product is one with a mask, and a mean the interpreter's own formula.
bool can_be_int8(TfLiteContext* context, const TfLiteIntArray& plan, const Op& op) {
  const TfLiteTensor& output = context->tensors[op.output];
  const auto alike = [&](int i) {
    const TfLiteTensor& input = context->tensors[op.inputs[i]];
    return input.type == kTfLiteInt8 && same_range(input, output);
  };
  switch (op.kind) {
    case OpKind::kClamp:
    case OpKind::kDepthToSpace:
    case OpKind::kNearest:
    case OpKind::kBilinear:
      return alike(0);
    case OpKind::kAdd:
      return alike(0) && alike(1);
    case OpKind::kMul:
      return alike(0) && is_mask(context, plan, op.inputs[1]);
    case OpKind::kConv2d: {
      const TfLiteTensor& input = context->tensors[op.inputs[0]];
      Conv2dConstants constants;
      return input.type == kTfLiteInt8 && same_range(input, input) &&
             same_range(output, output) && read_conv2d(context->tensors, op, &constants) &&
             rounds_safely(constants);
    }
    case OpKind::kConcat:
      for (int i = 0; i < op.input_count; ++i) {
        if (!alike(i)) return false;
      }
      return true;
    case OpKind::kMean: {
      // The interpreter's kernels agree where the sum is not made smaller, and so rounded once.
      const TfLiteTensor& input = context->tensors[op.inputs[0]];
      Shape shape;
      if (!op.keep_dims || !read_shape(input, &shape) || shape.rank != 4) return false;
      const float pixels = static_cast<float>(shape.dims[1]) * static_cast<float>(shape.dims[2]);
      const float finer = input.params.scale / output.params.scale;
      return same_range(input, input) && same_range(output, output) && pixels <= kMaxMeanPixels &&
             finer <= (1 << 23) && finer / pixels >= 0.5f;
    }
    default:
      return false;
  }
}

}  // namespace

bool is_glue_node(TfLiteContext* context, const Kernels& kernels, const TfLiteIntArray& plan,
                  const TfLiteNode& node, const TfLiteRegistration& registration) {
  Op op;
  if (registration.custom_name != nullptr ||
      read_op(*context, node, registration, &op) != nullptr) {
    return false;
  }
  const TfLiteTensor& result = context->tensors[op.output];
  const bool is_int8 = result.type == kTfLiteInt8;
  if (is_int8 && !can_be_int8(context, plan, op)) return false;
  const auto shape_of = [&](int index, Shape* shape) {
    const TfLiteTensor& tensor = context->tensors[index];
    size_t count;
    return tensor.type == (is_int8 ? kTfLiteInt8 : kTfLiteFloat32) &&
           tensor.allocation_type != kTfLiteDynamic && read_shape(tensor, shape) &&
           count_elements(*shape, &count) && count != 0;
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
             first.dims[3] == context->tensors[op.inputs[1]].dims->data[3];
    case OpKind::kDepthToSpace:
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
      return first.rank == 4 && output.rank >= 2 &&
             is_over_pixels(context->tensors[op.inputs[1]]);
    case OpKind::kBilinear:
      return is_int8 && first.rank == 4 && output.rank == 4 &&
             is_twice(output.dims[1], first.dims[1]) && is_twice(output.dims[2], first.dims[2]) &&
             is_constant(context->tensors[op.inputs[1]]);
    case OpKind::kNearest:
      return first.rank == 4 && output.rank == 4 && output.dims[1] % first.dims[1] == 0 &&
             output.dims[2] % first.dims[2] == 0 && is_constant(context->tensors[op.inputs[1]]);
    case OpKind::kAdd:
    case OpKind::kMul: {
      Shape second;
      if (!shape_of(op.inputs[1], &second) ||
          (is_constant(context->tensors[op.inputs[0]]) &&
           is_constant(context->tensors[op.inputs[1]]))) {
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
