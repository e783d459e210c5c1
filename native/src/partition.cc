// Reads a graph's nodes, prepares steps for them and runs those.
#include "partition.h"

#include <math.h>

#include "float_mode.h"
#include "fuse.h"

namespace larq_dense {
namespace {

// Runs the tasks of one step, on all of the pool's threads where there is one.
void run_step(const Run& run, const Step& step, ThreadPool* pool) {
  if (pool == nullptr || step.tasks == 1) {
    for (int64_t task = 0; task < step.tasks; ++task) step.type->run(run, step, task, 0);
    return;
  }
  struct Job {
    const Run* run;
    const Step* step;
  } job = {&run, &step};
  pool->run(
      step.tasks,
      [](void* argument, int64_t task, int worker) {
        const Job* work = static_cast<Job*>(argument);
        work->step->type->run(*work->run, *work->step, task, worker);
      },
      &job);
}

}  // namespace

const char* Partition::init(const Graph& graph, const Kernels* kernels, const Array<int>& outputs) {
  plan_.kernels = kernels;
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
  if (op.kind() != OpKind::kAdd || op.input_count == 2) {
    Op* added = plan_.ops.append();
    if (added == nullptr) return kNoMemory;
    *added = op;
    return nullptr;
  }
  // A sum of many is a row of adds; tensors of our own, with negative numbers, lie in between.
  int sum = op.inputs[0];
  for (int i = 1; i < op.input_count; ++i) {
    Op add;
    add.row = op.row;
    add.input_count = 2;
    add.inputs[0] = sum;
    add.inputs[1] = op.inputs[i];
    add.output = i + 1 == op.input_count ? op.output : -2 - static_cast<int>(plan_.ops.size());
    sum = add.output;
    Op* added = plan_.ops.append();
    if (added == nullptr) return kNoMemory;
    *added = add;
  }
  return nullptr;
}

int Partition::value_of(const Graph& graph, int tensor) {
  for (size_t i = 0; i < plan_.values.size(); ++i) {
    if (plan_.values[i].tensor == tensor) return static_cast<int>(i);
  }
  Value* value = plan_.values.append();
  if (value == nullptr) return -1;
  value->tensor = tensor;
  if (tensor < 0) {
    value->type = Type::kFloat32;
    return static_cast<int>(plan_.values.size()) - 1;
  }
  const Tensor& source = graph.tensor(tensor);
  value->type = source.type;
  value->scale = source.scale;
  value->zero_point = source.zero_point;
  value->place = source.constant != nullptr ? Value::Place::kConstant : Value::Place::kOutside;
  value->constant = source.constant;
  return static_cast<int>(plan_.values.size()) - 1;
}

// Turns the operators' tensor numbers into values, once, and notes who makes and reads each.
const char* Partition::bind(const Graph& graph) {
  for (size_t i = 0; i < plan_.ops.size(); ++i) {
    Op& op = plan_.ops[i];
    for (int k = 0; k < op.input_count; ++k) {
      if (op.inputs[k] == -1) continue;
      const int value = value_of(graph, op.inputs[k]);
      if (value < 0) return kNoMemory;
      op.inputs[k] = value;
      ++plan_.value(value).consumers;
    }
    const int output = value_of(graph, op.output);
    if (output < 0) return kNoMemory;
    Value& value = plan_.value(output);
    if (value.is_constant() || value.producer >= 0 || value.consumers > 0) {
      return "an operator writes a tensor that is constant or already in use";
    }
    value.producer = static_cast<int>(i);
    value.place = Value::Place::kArena;
    op.output = output;
  }
  for (size_t i = 0; i < outputs_.size(); ++i) {
    for (size_t v = 0; v < plan_.values.size(); ++v) {
      if (plan_.values[v].tensor != outputs_[i]) continue;
      plan_.values[v].escapes = true;
      plan_.values[v].place = Value::Place::kOutside;
    }
  }
  return nullptr;
}

// Of the tensors that no operator here writes.
const char* Partition::read_shapes(const Graph& graph) {
  for (size_t v = 0; v < plan_.values.size(); ++v) {
    Value& value = plan_.values[v];
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
    if (value.is_constant() && tensor.bytes < bytes) {
      return "a constant tensor is shorter than its shape";
    }
  }
  return nullptr;
}

const char* Partition::infer_shapes(const Graph& graph) {
  for (size_t i = 0; i < plan_.ops.size(); ++i) {
    const Op& op = plan_.ops[i];
    Value& output = plan_.value(op.output);
    const Inference inference = {graph, plan_.values, op, plan_.value(op.inputs[0]), output};
    if (inference.input.shape.rank < 1 && op.input_count == 1) return "an operator on a scalar";
    const char* error = op.row->infer(inference);
    if (error != nullptr) return error;
    size_t elements;
    if (!count_elements(output.shape, &elements) || elements == 0 ||
        !checked_mul(elements, element_size(output.type), &output.bytes) ||
        output.bytes > PTRDIFF_MAX) {
      return "a tensor is empty or its size overflows";
    }
  }
  return nullptr;
}

const char* Partition::prepare(const Graph& graph) {
  const char* error = read_shapes(graph);
  if (error == nullptr) error = infer_shapes(graph);
  if (error == nullptr) error = Fusion(graph, &plan_).build();
  if (error == nullptr) error = size_steps(&plan_, &workspace_stride_);
  if (error == nullptr) error = build_streams(&plan_, &streams_);
  size_t arena = 0;
  if (error == nullptr) error = place_values(&plan_, streams_, &arena);
  if (error != nullptr) return error;
  if (!arena_.allocate(arena, Fill::kNothing) || !pointers_.allocate(plan_.values.size())) {
    return "out of memory for the tensors between operators";
  }
  workspace_threads_ = 0;
  return nullptr;
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

const char* Partition::run_steps(ThreadPool* pool) {
  const DefaultFloatMode mode;
  const char* error = nullptr;
  const bool shared = pool->begin();
  if (reserve_workspaces(shared ? pool->threads() : 1)) {
    const Run run(plan_, pointers_.data(), workspace_.data(), workspace_stride_);
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      if (shared && plan_.steps[s].stream >= 0) {
        Stream& stream = streams_[static_cast<size_t>(plan_.steps[s].stream)];
        run_stream(run, &stream, pool);
        s = static_cast<size_t>(stream.end) - 1;
      } else {
        run_step(run, plan_.steps[s], shared ? pool : nullptr);
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
  if (!read.allocate(plan_.values.size())) return kNoMemory;
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    const Step& step = plan_.steps[s];
    const auto mark = [&](int value) {
      if (value >= 0) read[static_cast<size_t>(value)] = true;
    };
    mark(step.input);
    for (size_t j = 0; j < step.links.size(); ++j) mark(step.links[j].value);
    for (int j = 0; j < step.parts; ++j) mark(step.part[j]);
  }
  const auto place_of = [&](size_t v) {
    return (plan_.values[v].bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  size_t total = 0;
  for (size_t v = 0; v < plan_.values.size(); ++v) {
    if (plan_.values[v].is_constant() && read[v]) total += place_of(v);
  }
  if (!constants_.allocate(total)) return kNoMemory;
  uint8_t* next = constants_.data();
  for (size_t v = 0; v < plan_.values.size(); ++v) {
    Value& value = plan_.values[v];
    if (!value.is_constant()) continue;
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
