// Reads operators from a graph's nodes.
#include "op.h"

#include "operator.h"

namespace larq_dense {
namespace {

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

OpKind Op::kind() const { return row->kind; }

const char* name_of(const Node& node) {
  if (node.custom_name != nullptr) return node.custom_name;
  const Operator* row = find_operator(node);
  return row == nullptr ? nullptr : row->name;
}

bool is_lce_node(const Node& node) {
  const Operator* row = find_operator(node);
  return row != nullptr && row->claim == nullptr;
}

bool is_tflite_node(const Graph& graph, const Kernels& kernels, const Node& node) {
  const Operator* row = find_operator(node);
  Op op;
  if (row == nullptr || row->claim == nullptr || read_op(graph, node, &op) != nullptr) return false;
  const Claim claim = {graph, kernels, op};
  const Tensor& output = claim.output();
  size_t count;
  return (output.type == Type::kInt8 || output.type == Type::kFloat32) && !output.is_dynamic &&
         output.has_shape && count_elements(output.shape, &count) && count != 0 &&
         claim.reads(0) && row->claim(claim);
}

const char* read_op(const Graph& graph, const Node& node, Op* op) {
  const Operator* row = find_operator(node);
  if (row == nullptr) return "an unknown operator";
  op->row = row;
  const char* error = row->read == nullptr ? nullptr : row->read(node, op);
  if (error != nullptr) return error;
  if (node.input_count < row->least_inputs || node.input_count > row->most_inputs ||
      node.output_count != 1) {
    return "an operator with the wrong number of inputs or outputs";
  }
  op->input_count = node.input_count;
  for (int i = 0; i < op->input_count; ++i) {
    op->inputs[i] = node.inputs[i];
    // Inputs of a convolution that its kind of output does not need may be left out (-1).
    const bool optional = op->kind() == OpKind::kConv && i >= 2 && op->inputs[i] == -1;
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
