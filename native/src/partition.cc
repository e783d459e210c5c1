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

const char* kNoMemory = "out of memory";

bool is_glue_type(int type) { return type == kTfLiteFloat32 || type == kTfLiteInt8; }

}  // namespace

void Partition::init(TfLiteContext* context, const TfLiteDelegateParams& params,
                     const Kernels* kernels) {
  kernels_ = kernels;
  if (!copy_ints(params.input_tensors, &inputs_) || !copy_ints(params.output_tensors, &outputs_)) {
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

const char* Partition::infer(const TfLiteContext& context, const Op& op) {
  const Value& input = values_[static_cast<size_t>(op.inputs[0])];
  Value& output = values_[static_cast<size_t>(op.output)];
  if (input.shape.rank < 1 && op.input_count == 1) return "an operator on a scalar";
  const bool alike = is_glue_type(input.type) && output.type == input.type;
  switch (op.kind) {
    case OpKind::kQuantize:
      if ((input.type != kTfLiteFloat32 && input.type != kTfLiteInt8 &&
           input.type != kTfLiteBool) ||
          output.type != kTfLiteInt32) {
        return "LceQuantize: the tensors' types are not supported";
      }
      output.shape = input.shape;
      output.shape.dims[input.shape.rank - 1] = words_for(input.shape.last());
      return nullptr;
    case OpKind::kDequantize: {
      if (input.type != kTfLiteInt32 ||
          (output.type != kTfLiteFloat32 && output.type != kTfLiteInt8 &&
           output.type != kTfLiteBool)) {
        return "LceDequantize: the tensors' types are not supported";
      }
      if (output.type == kTfLiteInt8 && !(output.scale > 0)) {
        return "LceDequantize: the output has no scale";
      }
      // Words do not tell how many channels they hold; the output's own shape does.
      Shape wanted;
      if (!read_shape(context.tensors[output.tensor], &wanted) ||
          wanted.rank != input.shape.rank ||
          words_for(wanted.last()) != input.shape.last()) {
        return "LceDequantize: the shapes do not fit";
      }
      output.shape = input.shape;
      output.shape.dims[wanted.rank - 1] = wanted.last();
      return nullptr;
    }
    case OpKind::kConv: {
      if (input.type != kTfLiteInt32 || input.shape.rank != 4) {
        return "LceBconv2d: the input must be bitpacked with 4 dimensions";
      }
      const Value& filter = values_[static_cast<size_t>(op.inputs[1])];
      if (filter.place != Value::Place::kConstant || filter.type != kTfLiteInt32 ||
          filter.shape.rank != 4) {
        return "LceBconv2d: the filter must be constant and bitpacked with 4 dimensions";
      }
      if (output.type != kTfLiteFloat32 && output.type != kTfLiteInt8 &&
          output.type != kTfLiteInt32) {
        return "LceBconv2d: the output's type is not supported";
      }
      Window vertical = op.conv.vertical, horizontal = op.conv.horizontal;
      vertical.kernel = filter.shape.dims[1];
      horizontal.kernel = filter.shape.dims[2];
      int32_t padding;
      output.shape.rank = 4;
      output.shape.dims[0] = input.shape.dims[0];
      if (!slide(vertical, op.conv.same_padding, input.shape.dims[1], &output.shape.dims[1],
                 &padding) ||
          !slide(horizontal, op.conv.same_padding, input.shape.dims[2], &output.shape.dims[2],
                 &padding)) {
        return "LceBconv2d: the window does not fit the input";
      }
      const int32_t channels = filter.shape.dims[0];
      if (channels <= 0) return "LceBconv2d: a filter without elements";
      output.shape.dims[3] = output.type == kTfLiteInt32 ? words_for(channels) : channels;
      return nullptr;
    }
    case OpKind::kConv2d: {
      const Value& filter = values_[static_cast<size_t>(op.inputs[1])];
      Window vertical = op.conv2d.vertical, horizontal = op.conv2d.horizontal;
      vertical.kernel = filter.shape.dims[1];
      horizontal.kernel = filter.shape.dims[2];
      int32_t padding;
      output.shape = input.shape;
      output.shape.dims[3] = filter.shape.dims[op.conv2d.depthwise ? 3 : 0];
      if (input.type != kTfLiteInt8 || output.type != kTfLiteInt8 || input.shape.rank != 4 ||
          filter.shape.rank != 4 || input.shape.dims[3] != filter.shape.dims[3] ||
          !slide(vertical, op.conv2d.same_padding, input.shape.dims[1], &output.shape.dims[1],
                 &padding) ||
          !slide(horizontal, op.conv2d.same_padding, input.shape.dims[2], &output.shape.dims[2],
                 &padding)) {
        return "Conv2D: the shapes or types are not supported here";
      }
      return nullptr;
    }
    case OpKind::kMaxPool: {
      if (input.type != kTfLiteInt32 || output.type != kTfLiteInt32 || input.shape.rank != 4) {
        return "LceBMaxPool2d: the tensors must be bitpacked with 4 dimensions";
      }
      int32_t padding;
      output.shape = input.shape;
      if (!slide(op.pool_vertical, op.same_padding, input.shape.dims[1], &output.shape.dims[1],
                 &padding) ||
          !slide(op.pool_horizontal, op.same_padding, input.shape.dims[2], &output.shape.dims[2],
                 &padding)) {
        return "LceBMaxPool2d: the window does not fit the input";
      }
      return nullptr;
    }
    case OpKind::kAdd:
    case OpKind::kMul: {
      const Value& second = values_[static_cast<size_t>(op.inputs[1])];
      if (!alike || second.type != input.type) {
        return "add, multiply: the tensors' types are not supported here";
      }
      if (operand_of(input.shape, second.shape) != Operand::kOther) {
        output.shape = input.shape;
      } else if (operand_of(second.shape, input.shape) != Operand::kOther &&
                 !(op.kind == OpKind::kMul && input.type == kTfLiteInt8)) {
        output.shape = second.shape;
      } else {
        return "add, multiply: this kind of broadcast is not supported here";
      }
      return nullptr;
    }
    case OpKind::kClamp:
    case OpKind::kRound:
      if (!alike) return "relu or round: the tensors' types are not supported here";
      output.shape = input.shape;
      return nullptr;
    case OpKind::kDepthToSpace: {
      const int64_t block = op.block_size;
      if (!alike || input.shape.rank != 4 || input.shape.dims[3] % (block * block) != 0 ||
          input.shape.dims[1] > INT32_MAX / block || input.shape.dims[2] > INT32_MAX / block) {
        return "depth to space: the shapes or types are not supported here";
      }
      output.shape = input.shape;
      output.shape.dims[1] *= op.block_size;
      output.shape.dims[2] *= op.block_size;
      output.shape.dims[3] = static_cast<int32_t>(input.shape.dims[3] / (block * block));
      return nullptr;
    }
    case OpKind::kNearest: {
      Shape wanted;
      if (!alike || input.shape.rank != 4 ||
          !read_shape(context.tensors[output.tensor], &wanted) ||
          wanted.rank != 4 || input.shape.dims[1] <= 0 || input.shape.dims[2] <= 0 ||
          wanted.dims[1] % input.shape.dims[1] != 0 || wanted.dims[2] % input.shape.dims[2] != 0) {
        return "nearest neighbour: only whole factors are supported here";
      }
      output.shape = input.shape;
      output.shape.dims[1] = wanted.dims[1];
      output.shape.dims[2] = wanted.dims[2];
      return nullptr;
    }
    case OpKind::kBilinear: {
      Shape wanted;
      if (!alike || input.type != kTfLiteInt8 || input.shape.rank != 4 ||
          !read_shape(context.tensors[output.tensor], &wanted) || wanted.rank != 4 ||
          !is_twice(wanted.dims[1], input.shape.dims[1]) ||
          !is_twice(wanted.dims[2], input.shape.dims[2])) {
        return "bilinear: only twice the size is supported here";
      }
      output.shape = input.shape;
      output.shape.dims[1] = wanted.dims[1];
      output.shape.dims[2] = wanted.dims[2];
      return nullptr;
    }
    case OpKind::kConcat: {
      int64_t channels = 0;
      for (int i = 0; i < op.input_count; ++i) {
        const Value& part = values_[static_cast<size_t>(op.inputs[i])];
        if (part.type != input.type || part.shape.rank != 4 || input.shape.rank != 4 ||
            part.shape.dims[0] != input.shape.dims[0] ||
            part.shape.dims[1] != input.shape.dims[1] ||
            part.shape.dims[2] != input.shape.dims[2]) {
          return "concatenation: the shapes or types are not supported here";
        }
        channels += part.shape.dims[3];
      }
      if (!alike || channels > INT32_MAX) {
        return "concatenation: the output is not supported here";
      }
      output.shape = input.shape;
      output.shape.dims[3] = static_cast<int32_t>(channels);
      return nullptr;
    }
    case OpKind::kMean:
      if (!alike || input.shape.rank != 4) {
        return "mean: the shapes or types are not supported here";
      }
      if (input.type == kTfLiteInt8 &&
          int64_t{input.shape.dims[1]} * input.shape.dims[2] > kMaxMeanPixels) {
        return "mean: the picture is too large";
      }
      output.shape = input.shape;
      output.shape.dims[1] = output.shape.dims[2] = 1;
      if (!op.keep_dims) {
        output.shape.rank = 2;
        output.shape.dims[1] = input.shape.dims[3];
      }
      return nullptr;
    case OpKind::kAddN:
      break;  // was taken apart
  }
  return "an unknown operator";
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

const char* Partition::invoke(TfLiteContext* context, ThreadPool* pool) {
  for (size_t v = 0; v < values_.size(); ++v) {
    const Value& value = values_[v];
    void* pointer = nullptr;
    if (value.place == Value::Place::kConstant) {
      pointer = const_cast<void*>(value.constant);
    } else if (value.place == Value::Place::kArena) {
      pointer = arena_.data() + value.offset;
    } else if (value.place == Value::Place::kInterpreter) {
      const TfLiteTensor& tensor = context->tensors[value.tensor];
      if (tensor.data == nullptr || tensor.bytes < value.bytes) {
        return "a tensor has no memory or less than was planned";
      }
      pointer = tensor.data;
    }
    pointers_[v] = pointer;
  }

  const bool shared = pool->begin();
  const int workers = shared ? pool->threads() : 1;
  if (workers > workspace_threads_) {
    size_t bytes;
    if (!checked_mul(workspace_stride_, static_cast<size_t>(workers), &bytes) ||
        !workspace_.allocate(bytes)) {
      if (shared) pool->end();
      return kNoMemory;
    }
    workspace_threads_ = workers;
  }
  struct Job {
    const Partition* partition;
    const Step* step;
  };
  for (size_t s = 0; s < steps_.size(); ++s) {
    if (shared && steps_[s].stream >= 0) {
      Stream& stream = streams_[static_cast<size_t>(steps_[s].stream)];
      run_stream(&stream, pool);
      s = static_cast<size_t>(stream.end) - 1;
      continue;
    }
    Job job = {this, &steps_[s]};
    if (shared && job.step->tasks > 1) {
      pool->run(
          job.step->tasks,
          [](void* argument, int64_t task, int worker) {
            const Job* work = static_cast<Job*>(argument);
            work->partition->run_task(*work->step, task, worker);
          },
          &job);
    } else {
      for (int64_t task = 0; task < job.step->tasks; ++task) run_task(*job.step, task, 0);
    }
  }
  if (shared) pool->end();
  return nullptr;
}

}  // namespace larq_dense
