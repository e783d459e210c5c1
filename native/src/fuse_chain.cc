// Chains of adds, multiplies and activations that no convolution takes.
#include "fuse.h"

namespace larq_dense {

// Whether the value is a tensor times constants along the channels that only one operator reads:
// then that operator can multiply on its own.
const char* Fusion::scaled_operand(int value, int* multiply,
                                      Array<float>* scale, int* source) const {
  *multiply = -1;
  const Value& v = values_[static_cast<size_t>(value)];
  int reader;
  if (v.producer < 0 || taken_[v.producer] || !only_consumer(value, &reader)) return nullptr;
  const Op& op = ops_[static_cast<size_t>(v.producer)];
  if (op.kind() != OpKind::kMul || !is_open(op.low, op.high)) return nullptr;
  for (int k = 0; k < 2; ++k) {
    const float* data;
    const Operand operand = operand_of(shape_of(op.inputs[1 - k]), shape_of(op.inputs[k]));
    if (!constant_floats(op.inputs[k], &data) ||
        !is_along_channels(operand) ||
        !(shape_of(op.inputs[1 - k]) == v.shape)) {
      continue;
    }
    const size_t channels = static_cast<size_t>(v.shape.last());
    if (!scale->allocate(channels)) return kNoMemory;
    for (size_t c = 0; c < channels; ++c) {
      (*scale)[c] = data[operand == Operand::kScalar ? 0 : c];
    }
    *multiply = v.producer;
    *source = op.inputs[1 - k];
    return nullptr;
  }
  return nullptr;
}

// Adds an operator to a chain. False, without an error, where it does not fit.
bool Fusion::extend_chain(int next, Step* step, const char** error) {
  const Op& op = ops_[static_cast<size_t>(next)];
  const Shape& shape = shape_of(step->output);
  if (!is_elementwise(op.kind()) || !(shape_of(op.output) == shape)) return false;
  int other = -1;
  if (!is_unary(op.kind())) {
    other = op.inputs[0] == step->output ? op.inputs[1] : op.inputs[0];
    int source, threshold;
    if (is_threshold(next, &source, &threshold)) return false;
    // Of int8 the second input is the mask.
    if (op.kind() == OpKind::kMul && is_int8(other) && other != op.inputs[1]) return false;
  }
  Link* link = step->links.append();
  if (link == nullptr) {
    *error = kNoMemory;
    return false;
  }
  link->low = op.low;
  link->high = op.high;
  if (op.kind() == OpKind::kRound) link->op = Combination::kRound;
  if (other >= 0) {
    link->op = op.kind() == OpKind::kAdd ? Combination::kAdd : Combination::kMultiply;
    link->value = other;
    link->operand = operand_of(shape, shape_of(other));
    int multiply, source = -1;
    *error = scaled_operand(other, &multiply, &link->scale, &source);
    if (*error != nullptr) return false;
    if (multiply >= 0 && link->operand == Operand::kSame) {
      taken_[multiply] = true;
      drop(other);
      link->value = source;
    } else if (multiply >= 0 && !link->scale.allocate(0)) {
      *error = kNoMemory;
      return false;
    }
  }
  if (step->op != next) drop(step->output);
  step->output = op.output;
  step->op = next;
  taken_[next] = true;
  return true;
}

const char* Fusion::build_chain(int index) {
  const Op& op = ops_[static_cast<size_t>(index)];
  Step* step = new_step(kChainStep, index);
  if (step == nullptr) return kNoMemory;
  if (!is_unary(op.kind()) &&
      operand_of(shape_of(op.inputs[0]), shape_of(op.inputs[1])) == Operand::kOther) {
    step->input = op.inputs[1];
  }
  step->output = step->input;
  const char* error = nullptr;
  if (!extend_chain(index, step, &error)) {
    return error != nullptr ? error : "a chain that cannot begin";
  }
  int next;
  while (only_consumer(step->output, &next)) {
    if (!extend_chain(next, step, &error)) break;
  }
  return error != nullptr ? error : attach_bits(step->output, step);
}

}  // namespace larq_dense
