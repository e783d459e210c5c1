// Reads a graph's nodes, prepares steps for them and runs those.
#include "partition.h"

#include <math.h>

#include "float_mode.h"

namespace larq_dense {
const char* Partition::init(const Graph& graph, const Kernels* kernels, const Array<int>& outputs) {
  kernels_ = kernels;
  if (!outputs_.allocate(outputs.size())) return kNoMemory;
  for (size_t i = 0; i < outputs.size(); ++i) outputs_[i] = outputs[i];
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    Op op;
    const char* error = read_op(graph, graph.nodes[i], &op);
    if (error == nullptr) error = append_op(op);
    if (error != nullptr) return error;
  }
  return bind(graph);
}

const char* Partition::append_op(const Op& op) {
  if (op.kind != OpKind::kAddN) {
    Op* added = ops_.append();
    if (added == nullptr) return kNoMemory;
    *added = op;
    return nullptr;
  }
  // A sum of many is a row of adds; tensors of our own, with negative numbers, lie in between.
  int sum = op.inputs[0];
  for (int i = 1; i < op.input_count; ++i) {
    Op add;
    add.kind = OpKind::kAdd;
    add.input_count = 2;
    add.inputs[0] = sum;
    add.inputs[1] = op.inputs[i];
    add.low = -INFINITY;
    add.high = INFINITY;
    add.output = i + 1 == op.input_count ? op.output : -2 - static_cast<int>(ops_.size());
    sum = add.output;
    Op* added = ops_.append();
    if (added == nullptr) return kNoMemory;
    *added = add;
  }
  return nullptr;
}

int Partition::value_of(const Graph& graph, int tensor) {
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].tensor == tensor) return static_cast<int>(i);
  }
  Value* value = values_.append();
  if (value == nullptr) return -1;
  value->tensor = tensor;
  if (tensor < 0) {
    value->type = Type::kFloat32;
    return static_cast<int>(values_.size()) - 1;
  }
  const Tensor& source = graph.tensor(tensor);
  value->type = source.type;
  value->scale = source.scale;
  value->zero_point = source.zero_point;
  value->place = source.constant != nullptr ? Value::Place::kConstant : Value::Place::kOutside;
  value->constant = source.constant;
  return static_cast<int>(values_.size()) - 1;
}

// Turns the operators' tensor numbers into values, once, and notes who makes and reads each.
const char* Partition::bind(const Graph& graph) {
  for (size_t i = 0; i < ops_.size(); ++i) {
    Op& op = ops_[i];
    for (int k = 0; k < op.input_count; ++k) {
      if (op.inputs[k] == -1) continue;
      const int value = value_of(graph, op.inputs[k]);
      if (value < 0) return kNoMemory;
      op.inputs[k] = value;
      ++values_[static_cast<size_t>(value)].consumers;
    }
    const int output = value_of(graph, op.output);
    if (output < 0) return kNoMemory;
    Value& value = values_[static_cast<size_t>(output)];
    if (value.place == Value::Place::kConstant || value.producer >= 0 || value.consumers > 0) {
      return "an operator writes a tensor that is constant or already in use";
    }
    value.producer = static_cast<int>(i);
    value.place = Value::Place::kArena;
    op.output = output;
  }
  for (size_t i = 0; i < outputs_.size(); ++i) {
    for (size_t v = 0; v < values_.size(); ++v) {
      if (values_[v].tensor != outputs_[i]) continue;
      values_[v].escapes = true;
      values_[v].place = Value::Place::kOutside;
    }
  }
  return nullptr;
}

const char* Partition::prepare(const Graph& graph) {
  for (size_t v = 0; v < values_.size(); ++v) {
    Value& value = values_[v];
    if (value.producer >= 0) continue;
    if (value.tensor < 0) return "an operator reads what none writes";
    const Tensor& tensor = graph.tensor(value.tensor);
    if (tensor.is_dynamic) return "a tensor of dynamic size is no input";
    if (!tensor.has_shape) return "a tensor's shape is malformed";
    value.shape = tensor.shape;
    size_t bytes;
    if (!count_elements(value.shape, &bytes) || element_size(value.type) == 0 ||
        !checked_mul(bytes, element_size(value.type), &bytes)) {
      return "a tensor's shape or type is not supported";
    }
    value.bytes = bytes;
    if (value.place == Value::Place::kConstant && tensor.bytes < bytes) {
      return "a constant tensor is shorter than its shape";
    }
  }
  for (size_t i = 0; i < ops_.size(); ++i) {
    const Op& op = ops_[i];
    const char* error = infer(graph, op);
    if (error != nullptr) return error;
    Value& output = values_[static_cast<size_t>(op.output)];
    size_t elements;
    if (!count_elements(output.shape, &elements) || elements == 0 ||
        !checked_mul(elements, element_size(output.type), &output.bytes) ||
        output.bytes > PTRDIFF_MAX) {
      return "a tensor is empty or its size overflows";
    }
  }
  const char* error = build_steps(graph);
  if (error == nullptr) error = size_steps();
  if (error == nullptr) error = build_streams();
  if (error == nullptr) error = plan_memory();
  return error;
}

bool Partition::reserve_workspaces(int workers) {
  if (workers <= workspace_threads_) return true;
  size_t bytes;
  if (!checked_mul(workspace_stride_, static_cast<size_t>(workers), &bytes) ||
      !workspace_.allocate(bytes)) {
    return false;
  }
  workspace_threads_ = workers;
  return true;
}

// Runs the tasks of one step, on all of the pool's threads where there is one.
void Partition::run_step(const Step& step, ThreadPool* pool) const {
  if (pool == nullptr || step.tasks == 1) {
    for (int64_t task = 0; task < step.tasks; ++task) run_task(step, task, 0);
    return;
  }
  struct Job {
    const Partition* partition;
    const Step* step;
  } job = {this, &step};
  pool->run(
      step.tasks,
      [](void* argument, int64_t task, int worker) {
        const Job* work = static_cast<Job*>(argument);
        work->partition->run_task(*work->step, task, worker);
      },
      &job);
}

const char* Partition::run_steps(ThreadPool* pool) {
  const DefaultFloatMode mode;
  const char* error = nullptr;
  const bool shared = pool->begin();
  if (reserve_workspaces(shared ? pool->threads() : 1)) {
    for (size_t s = 0; s < steps_.size(); ++s) {
      if (shared && steps_[s].stream >= 0) {
        Stream& stream = streams_[static_cast<size_t>(steps_[s].stream)];
        run_stream(&stream, pool);
        s = static_cast<size_t>(stream.end) - 1;
      } else {
        run_step(steps_[s], shared ? pool : nullptr);
      }
    }
  } else {
    error = kNoMemory;
  }
  if (shared) pool->end();
  return error;
}

const char* Partition::own_constants() {
  Array<bool> read;
  if (!read.allocate(values_.size())) return kNoMemory;
  for (size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    const auto mark = [&](int value) {
      if (value >= 0) read[static_cast<size_t>(value)] = true;
    };
    mark(step.input);
    for (size_t j = 0; j < step.links.size(); ++j) mark(step.links[j].value);
    for (int j = 0; j < step.parts; ++j) mark(step.part[j]);
  }
  const auto place_of = [&](size_t v) { return (values_[v].bytes + kAlignment - 1) / kAlignment * kAlignment; };
  size_t total = 0;
  for (size_t v = 0; v < values_.size(); ++v) {
    if (values_[v].place == Value::Place::kConstant && read[v]) total += place_of(v);
  }
  if (!constants_.allocate(total)) return kNoMemory;
  uint8_t* next = constants_.data();
  for (size_t v = 0; v < values_.size(); ++v) {
    Value& value = values_[v];
    if (value.place != Value::Place::kConstant) continue;
    if (read[v]) {
      memcpy(next, value.constant, value.bytes);
      value.constant = next;
      next += place_of(v);
    } else {
      value.constant = nullptr;
    }
  }
  return nullptr;
}

}  // namespace larq_dense
