// Decides what is computed in one pass.
//
// A convolution takes along what follows it as long as nobody else needs what lies between: a
// multiply or add of constants, an activation, adds of other tensors (a residual, the sum of
// parallel branches), a depth to space, and the thresholds that pack the result for the next
// convolutions. Adds and multiplies that no convolution takes form chains in the same way.
#include "fuse.h"

namespace larq_dense {
namespace {

// What a step of one operator does to an input of some shape.
const char* set_kind(const Op& op, const Shape& input, Step* step) {
  switch (op.kind) {
    case OpKind::kQuantize:
      step->kind = StepKind::kQuantize;
      step->output = -1;
      step->bit_outputs = 1;
      step->bits[0] = op.output;
      return nullptr;
    case OpKind::kDequantize:
      step->kind = StepKind::kDequantize;
      return nullptr;
    case OpKind::kMaxPool:
    case OpKind::kMaxPool2d: {
      step->kind = op.kind == OpKind::kMaxPool ? StepKind::kMaxPool : StepKind::kMaxPool2d;
      step->before_min = op.low;
      step->before_max = op.high;
      step->vertical = op.pool_vertical;
      step->horizontal = op.pool_horizontal;
      int32_t size;
      slide(op.pool_vertical, op.same_padding, input.dims[1], &size, &step->pad_top);
      slide(op.pool_horizontal, op.same_padding, input.dims[2], &size, &step->pad_left);
      return nullptr;
    }
    case OpKind::kDepthToSpace:
      step->kind = StepKind::kDepthToSpace;
      step->block_size = op.block_size;
      return nullptr;
    case OpKind::kNearest:
      step->kind = StepKind::kNearest;
      return nullptr;
    case OpKind::kBilinear:
      step->kind = StepKind::kBilinear;
      return nullptr;
    case OpKind::kConcat:
      step->kind = StepKind::kConcat;
      return nullptr;
    case OpKind::kMean:
      step->kind = StepKind::kMean;
      return nullptr;
    default:
      return "an operator of an unknown kind";
  }
}

}  // namespace

bool Partition::only_consumer(int value, const bool* taken, int* op) const {
  const Value& v = values_[static_cast<size_t>(value)];
  if (v.escapes || v.consumers != 1) return false;
  for (size_t i = 0; i < ops_.size(); ++i) {
    for (int k = 0; k < ops_[i].input_count; ++k) {
      if (ops_[i].inputs[k] == value) {
        *op = static_cast<int>(i);
        return !taken[i];
      }
    }
  }
  return false;
}

bool Partition::constant_floats(int value, const float** data) const {
  const Value& v = values_[static_cast<size_t>(value)];
  *data = static_cast<const float*>(v.constant);
  return v.place == Value::Place::kConstant && v.type == Type::kFloat32;
}

// A step that reads an operator's first input and writes its output; null where memory is short.
Step* Partition::new_step(StepKind kind, int op) {
  Step* step = steps_.append();
  if (step == nullptr) return nullptr;
  step->kind = kind;
  step->op = op;
  step->input = ops_[static_cast<size_t>(op)].inputs[0];
  step->output = ops_[static_cast<size_t>(op)].output;
  return step;
}

// Lets the step read the parts of a concatenation.
void Partition::read_in_parts(int concatenation, Step* step) const {
  const Op& concat = ops_[static_cast<size_t>(concatenation)];
  step->parts = concat.input_count;
  for (int i = 0; i < concat.input_count; ++i) step->part[i] = concat.inputs[i];
  step->input = concat.inputs[0];
}

// Makes a step of an operator that no convolution took.
const char* Partition::build_other(int index, bool* taken) {
  const Op& op = ops_[static_cast<size_t>(index)];
  int source = op.inputs[0], constants;
  const bool threshold = is_threshold(index, taken, &source, &constants);
  if (is_elementwise(op.kind) && !threshold) return build_chain(index, taken);
  if (op.kind == OpKind::kConcat && never_joined(op.output)) {
    taken[index] = true;
    drop(op.output);
    return nullptr;
  }

  Step* step = new_step(StepKind::kQuantize, index);
  if (step == nullptr) return kNoMemory;
  step->input = source;
  step->parts = 1;
  step->part[0] = source;
  const Value& value = values_[static_cast<size_t>(source)];
  // What reads a concatenation that stays in its parts is given those.
  const bool joined = op.kind == OpKind::kConcat || !never_joined(source);
  if (op.kind == OpKind::kConcat) {
    read_in_parts(index, step);
  } else if (!joined) {
    read_in_parts(value.producer, step);
  }
  if (threshold || (op.kind == OpKind::kQuantize && joined && value.type != Type::kBool)) {
    step->output = -1;
    const char* error = attach_bits(source, taken, step);
    return error == nullptr && !taken[index] ? "a quantization was left out" : error;
  }
  taken[index] = true;
  return set_kind(op, value.shape, step);
}

const char* Partition::build_steps(const Graph& graph) {
  steps_.clear();
  for (size_t v = 0; v < values_.size(); ++v) {
    if (values_[v].producer >= 0 && !values_[v].escapes) values_[v].place = Value::Place::kArena;
  }
  Array<bool> taken;
  if (!taken.allocate(ops_.size())) return kNoMemory;
  // From the last to the first: in a sum of branches the last convolution then adds what the
  // others left, and goes on to what follows the sum.
  for (size_t i = ops_.size(); i-- > 0;) {
    const int index = static_cast<int>(i);
    const char* error = nullptr;
    if (ops_[i].kind == OpKind::kConv) error = build_conv(index, taken.data());
    if (ops_[i].kind == OpKind::kConv2d) error = build_conv2d(graph, index, taken.data());
    if (error != nullptr) return error;
  }
  for (size_t i = 0; i < ops_.size(); ++i) {
    if (taken[i]) continue;
    const char* error = build_other(static_cast<int>(i), taken.data());
    if (error != nullptr) return error;
  }
  // A step runs where the last of its operators stood.
  for (size_t i = 1; i < steps_.size(); ++i) {
    for (size_t k = i; k > 0 && steps_[k].op < steps_[k - 1].op; --k) steps_.swap(k, k - 1);
  }
  return nullptr;
}

}  // namespace larq_dense
