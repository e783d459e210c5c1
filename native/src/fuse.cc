#include "fuse.h"

namespace larq_dense {

bool Fusion::only_consumer(int value, int* op) const {
  const Value& v = values_[static_cast<size_t>(value)];
  if (v.escapes || v.consumers != 1) return false;
  for (size_t i = 0; i < ops_.size(); ++i) {
    for (int k = 0; k < ops_[i].input_count; ++k) {
      if (ops_[i].inputs[k] == value) {
        *op = static_cast<int>(i);
        return !taken_[i];
      }
    }
  }
  return false;
}

bool Fusion::constant_floats(int value, const float** data) const {
  const Value& v = values_[static_cast<size_t>(value)];
  *data = static_cast<const float*>(v.constant);
  return v.place == Value::Place::kConstant && v.type == Type::kFloat32;
}

// A step that reads an operator's first input and writes its output; null where memory is short.
Step* Fusion::new_step(const StepType& type, int op) {
  Step* step = steps_.append();
  if (step == nullptr) return nullptr;
  step->type = &type;
  step->op = op;
  step->input = ops_[static_cast<size_t>(op)].inputs[0];
  step->output = ops_[static_cast<size_t>(op)].output;
  return step;
}

// Lets the step read the parts of a concatenation.
void Fusion::read_in_parts(int concatenation, Step* step) const {
  const Op& concat = ops_[static_cast<size_t>(concatenation)];
  step->parts = concat.input_count;
  for (int i = 0; i < concat.input_count; ++i) step->part[i] = concat.inputs[i];
  step->input = concat.inputs[0];
}

const char* Fusion::build_alone(int index, const StepType& type, Step** made) {
  Step* step = new_step(type, index);
  if (step == nullptr) return kNoMemory;
  step->parts = 1;
  step->part[0] = step->input;
  taken_[index] = true;
  if (made != nullptr) *made = step;
  return nullptr;
}

const char* Fusion::build_on_parts(int index, const StepType& type, Step** made) {
  Step* step = nullptr;
  const char* error = build_alone(index, type, &step);
  if (error != nullptr) return error;
  if (never_joined(step->input)) {
    read_in_parts(values_[static_cast<size_t>(step->input)].producer, step);
  }
  if (made != nullptr) *made = step;
  return nullptr;
}

const char* Fusion::build_concat(int index, const StepType& type) {
  if (never_joined(op(index).output)) {
    taken_[index] = true;
    drop(op(index).output);
    return nullptr;
  }
  Step* step = nullptr;
  const char* error = build_alone(index, type, &step);
  if (error == nullptr) read_in_parts(index, step);
  return error;
}

const char* Fusion::build_quantize(int index) {
  Step* step = nullptr;
  const int source = op(index).inputs[0];
  if (never_joined(source) || values_[static_cast<size_t>(source)].type == Type::kBool) {
    const char* error = build_on_parts(index, kQuantizeStep, &step);
    if (error != nullptr) return error;
    step->output = -1;
    step->bit_outputs = 1;
    step->bits[0] = op(index).output;
    return nullptr;
  }
  const char* error = build_alone(index, kQuantizeStep, &step);
  if (error != nullptr) return error;
  taken_[index] = false;
  step->output = -1;
  error = attach_bits(source, step);
  return error == nullptr && !taken_[index] ? "a quantization was left out" : error;
}

const char* Fusion::build_elementwise(int index) {
  int source, constants;
  if (!is_threshold(index, &source, &constants)) return build_chain(index);
  Step* step = new_step(kQuantizeStep, index);
  if (step == nullptr) return kNoMemory;
  step->input = source;
  step->output = -1;
  step->parts = 1;
  step->part[0] = source;
  const char* error = attach_bits(source, step);
  return error == nullptr && !taken_[index] ? "a quantization was left out" : error;
}

const char* Fusion::build() {
  steps_.clear();
  for (size_t v = 0; v < values_.size(); ++v) {
    if (values_[v].producer >= 0 && !values_[v].escapes) values_[v].place = Value::Place::kArena;
  }
  if (!taken_.allocate(ops_.size())) return kNoMemory;
  for (size_t i = ops_.size(); i-- > 0;) {
    const Operator& row = *ops_[i].row;
    const char* error = row.takes_followers ? row.build(this, static_cast<int>(i)) : nullptr;
    if (error != nullptr) return error;
  }
  for (size_t i = 0; i < ops_.size(); ++i) {
    if (taken_[i]) continue;
    const char* error = ops_[i].row->build(this, static_cast<int>(i));
    if (error != nullptr) return error;
  }
  // A step runs where the last of its operators stood.
  for (size_t i = 1; i < steps_.size(); ++i) {
    for (size_t k = i; k > 0 && steps_[k].op < steps_[k - 1].op; --k) steps_.swap(k, k - 1);
  }
  return nullptr;
}

}  // namespace larq_dense
