// Reads the interpreter's nodes, prepares steps for them and runs those.
#include "partition.h"

#include <math.h>

namespace larq_dense {
namespace {

bool copy_ints(const TfLiteIntArray* from, Array<int>* to) {
  const size_t count = from == nullptr || from->size < 0 ? 0 : static_cast<size_t>(from->size);
  if (!to->allocate(count)) return false;
  for (size_t i = 0; i < count; ++i) (*to)[i] = from->data[i];
  return true;
}

}  // namespace

void Partition::init(TfLiteContext* context, const TfLiteDelegateParams& params,
                     const Kernels* kernels) {
  kernels_ = kernels;
  if (!copy_ints(params.output_tensors, &outputs_)) {
    init_error_ = kNoMemory;
    return;
  }
  const TfLiteIntArray* nodes = params.nodes_to_replace;
  for (int i = 0; i < nodes->size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, nodes->data[i], &node, &registration) !=
        kTfLiteOk) {
      init_error_ = "a node cannot be read";
      return;
    }
    Op op;
    init_error_ = read_op(*context, *node, *registration, &op);
    if (init_error_ == nullptr) init_error_ = append_op(op);
    if (init_error_ != nullptr) return;
  }
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

int Partition::value_of(const TfLiteContext& context, int tensor) {
  for (size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].tensor == tensor) return static_cast<int>(i);
  }
  Value* value = values_.append();
  if (value == nullptr) return -1;
  value->tensor = tensor;
  if (tensor < 0) {
    value->type = kTfLiteFloat32;
    return static_cast<int>(values_.size()) - 1;
  }
  const TfLiteTensor& source = context.tensors[tensor];
  value->type = source.type;
  value->scale = source.params.scale;
  value->zero_point = source.params.zero_point;
  value->place = Value::Place::kInterpreter;
  if (is_constant(source)) {
    value->place = Value::Place::kConstant;
    value->constant = source.data;
  }
  return static_cast<int>(values_.size()) - 1;
}

// Turns the operators' tensor numbers into values, once, and notes who makes and reads each.
const char* Partition::bind(TfLiteContext* context) {
  for (size_t i = 0; i < ops_.size(); ++i) {
    Op& op = ops_[i];
    for (int k = 0; k < op.input_count; ++k) {
      if (op.inputs[k] == -1) continue;
      const int value = value_of(*context, op.inputs[k]);
      if (value < 0) return kNoMemory;
      op.inputs[k] = value;
      ++values_[static_cast<size_t>(value)].consumers;
    }
    const int output = value_of(*context, op.output);
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
      values_[v].place = Value::Place::kInterpreter;
    }
  }
  return nullptr;
}

const char* Partition::resize_outputs(TfLiteContext* context) {
  for (size_t v = 0; v < values_.size(); ++v) {
    const Value& value = values_[v];
    if (!value.escapes || value.producer < 0) continue;
    TfLiteTensor* tensor = &context->tensors[value.tensor];
    Shape now;
    if (read_shape(*tensor, &now) && now == value.shape && tensor->bytes == value.bytes) continue;
    const size_t size = sizeof(TfLiteIntArray) + sizeof(int) * static_cast<size_t>(kMaxDimensions);
    TfLiteIntArray* dims = static_cast<TfLiteIntArray*>(malloc(size));
    if (dims == nullptr) return kNoMemory;
    dims->size = value.shape.rank;
    for (int i = 0; i < value.shape.rank; ++i) dims->data[i] = value.shape.dims[i];
    if (context->ResizeTensor(context, tensor, dims) != kTfLiteOk) {
      return "an output cannot be resized";
    }
  }
  return nullptr;
}

const char* Partition::prepare(TfLiteContext* context) {
  if (init_error_ != nullptr) return init_error_;
  if (values_.size() == 0) {
    const char* error = bind(context);
    if (error != nullptr) {
      init_error_ = error;
      return error;
    }
  }
  for (size_t v = 0; v < values_.size(); ++v) {
    Value& value = values_[v];
    if (value.producer >= 0) continue;
    if (value.tensor < 0) return "an operator reads what none writes";
    const TfLiteTensor& tensor = context->tensors[value.tensor];
    if (tensor.allocation_type == kTfLiteDynamic) return "a tensor of dynamic size is no input";
    if (!read_shape(tensor, &value.shape)) return "a tensor's shape is malformed";
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
    const char* error = infer(*context, op);
    if (error != nullptr) return error;
    Value& output = values_[static_cast<size_t>(op.output)];
    size_t elements;
    if (!count_elements(output.shape, &elements) || elements == 0 ||
        !checked_mul(elements, element_size(output.type), &output.bytes) ||
        output.bytes > PTRDIFF_MAX) {
      return "a tensor is empty or its size overflows";
    }
  }
  const char* error = build_steps(context);
  if (error == nullptr) error = resize_outputs(context);
  if (error == nullptr) error = size_steps();
  if (error == nullptr) error = build_streams();
  if (error == nullptr) error = plan_memory();
  return error;
}

// Finds where each value lies in this run.
const char* Partition::set_pointers(const TfLiteContext& context) {
  for (size_t v = 0; v < values_.size(); ++v) {
    const Value& value = values_[v];
    void* pointer = nullptr;
    if (value.place == Value::Place::kConstant) {
      pointer = const_cast<void*>(value.constant);
    } else if (value.place == Value::Place::kArena) {
      pointer = arena_.data() + value.offset;
    } else if (value.place == Value::Place::kInterpreter) {
      const TfLiteTensor& tensor = context.tensors[value.tensor];
      if (tensor.data == nullptr || tensor.bytes < value.bytes) {
        return "a tensor has no memory or less than was planned";
      }
      pointer = tensor.data;
    }
    pointers_[v] = pointer;
  }
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

const char* Partition::invoke(TfLiteContext* context, ThreadPool* pool) {
  const char* error = set_pointers(*context);
  if (error != nullptr) return error;
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

}  // namespace larq_dense
