// Finds the shape of what an operator computes.
#include "partition.h"

namespace larq_dense {
namespace {

// An operator, its first input, and its output, whose shape is to be set.
struct Inference {
  const Graph& graph;
  const List<Value>& values;
  const Op& op;
  const Value& input;
  Value& output;

  const Value& value(int i) const { return values[static_cast<size_t>(op.inputs[i])]; }
  // Whether the operator goes from floats to floats, or from int8s to int8s.
  bool alike() const {
    return (input.type == Type::kFloat32 || input.type == Type::kInt8) &&
           output.type == input.type;
  }
  // The output's own shape, where the inputs do not settle it.
  bool wanted(Shape* shape) const {
    const Tensor& tensor = graph.tensor(output.tensor);
    *shape = tensor.shape;
    return tensor.has_shape;
  }
  // Sets height and width to those of another picture.
  void resize_to(const Shape& picture) const {
    output.shape = input.shape;
    output.shape.dims[1] = picture.dims[1];
    output.shape.dims[2] = picture.dims[2];
  }
  // Sets height and width by windows that slide over the input.
  bool slide_over(const Window& vertical, const Window& horizontal, bool same_padding) const {
    int32_t padding;
    return slide(vertical, same_padding, input.shape.dims[1], &output.shape.dims[1], &padding) &&
           slide(horizontal, same_padding, input.shape.dims[2], &output.shape.dims[2], &padding);
  }
  // The same by a convolution's filter, whose size its options lack.
  template <class Options>
  bool slide_filter(const Shape& filter, const Options& options) const {
    Window vertical = options.vertical, horizontal = options.horizontal;
    vertical.kernel = filter.dims[1];
    horizontal.kernel = filter.dims[2];
    return slide_over(vertical, horizontal, options.same_padding);
  }
};

bool is_unpacked(Type type) {
  return type == Type::kFloat32 || type == Type::kInt8 || type == Type::kBool;
}

const char* infer_quantize(const Inference& it) {
  if (!is_unpacked(it.input.type) || it.output.type != Type::kInt32) {
    return "LceQuantize: the tensors' types are not supported";
  }
  it.output.shape = it.input.shape;
  it.output.shape.dims[it.input.shape.rank - 1] = words_for(it.input.shape.last());
  return nullptr;
}

const char* infer_dequantize(const Inference& it) {
  if (it.input.type != Type::kInt32 || !is_unpacked(it.output.type)) {
    return "LceDequantize: the tensors' types are not supported";
  }
  if (it.output.type == Type::kInt8 && !(it.output.scale > 0)) {
    return "LceDequantize: the output has no scale";
  }
  // Words do not tell how many channels they hold.
  Shape wanted;
  if (!it.wanted(&wanted) || wanted.rank != it.input.shape.rank ||
      words_for(wanted.last()) != it.input.shape.last()) {
    return "LceDequantize: the shapes do not fit";
  }
  it.output.shape = it.input.shape;
  it.output.shape.dims[wanted.rank - 1] = wanted.last();
  return nullptr;
}

const char* infer_conv(const Inference& it) {
  if (it.input.type != Type::kInt32 || it.input.shape.rank != 4) {
    return "LceBconv2d: the input must be bitpacked with 4 dimensions";
  }
  const Value& filter = it.value(1);
  if (filter.place != Value::Place::kConstant || filter.type != Type::kInt32 ||
      filter.shape.rank != 4) {
    return "LceBconv2d: the filter must be constant and bitpacked with 4 dimensions";
  }
  const Type type = it.output.type;
  if (type != Type::kFloat32 && type != Type::kInt8 && type != Type::kInt32) {
    return "LceBconv2d: the output's type is not supported";
  }
  it.output.shape.rank = 4;
  it.output.shape.dims[0] = it.input.shape.dims[0];
  if (!it.slide_filter(filter.shape, it.op.conv)) {
    return "LceBconv2d: the window does not fit the input";
  }
  const int32_t channels = filter.shape.dims[0];
  if (channels <= 0) return "LceBconv2d: a filter without elements";
  it.output.shape.dims[3] = type == Type::kInt32 ? words_for(channels) : channels;
  return nullptr;
}

const char* infer_conv2d(const Inference& it) {
  const Value& filter = it.value(1);
  it.output.shape = it.input.shape;
  it.output.shape.dims[3] = filter.shape.dims[it.op.conv2d.depthwise ? 3 : 0];
  if (it.input.type != Type::kInt8 || it.output.type != Type::kInt8 || it.input.shape.rank != 4 ||
      filter.shape.rank != 4 || it.input.shape.dims[3] != filter.shape.dims[3] ||
      !it.slide_filter(filter.shape, it.op.conv2d)) {
    return "Conv2D: the shapes or types are not supported here";
  }
  return nullptr;
}

const char* infer_max_pool(const Inference& it) {
  if (it.input.type != Type::kInt32 || it.output.type != Type::kInt32 ||
      it.input.shape.rank != 4) {
    return "LceBMaxPool2d: the tensors must be bitpacked with 4 dimensions";
  }
  it.output.shape = it.input.shape;
  return it.slide_over(it.op.pool_vertical, it.op.pool_horizontal, it.op.same_padding)
             ? nullptr
             : "LceBMaxPool2d: the window does not fit the input";
}

const char* infer_max_pool2d(const Inference& it) {
  it.output.shape = it.input.shape;
  return it.alike() && it.input.shape.rank == 4 &&
                 it.slide_over(it.op.pool_vertical, it.op.pool_horizontal, it.op.same_padding)
             ? nullptr
             : "max pooling: the window does not fit the input";
}

const char* infer_sum_or_product(const Inference& it) {
  const Value& second = it.value(1);
  if (!it.alike() || second.type != it.input.type) {
    return "add, multiply: the tensors' types are not supported here";
  }
  const bool masks = it.op.kind == OpKind::kMul && it.input.type == Type::kInt8;
  if (operand_of(it.input.shape, second.shape) != Operand::kOther) {
    it.output.shape = it.input.shape;
  } else if (!masks && operand_of(second.shape, it.input.shape) != Operand::kOther) {
    it.output.shape = second.shape;
  } else {
    return "add, multiply: this kind of broadcast is not supported here";
  }
  return nullptr;
}

const char* infer_unary(const Inference& it) {
  if (!it.alike()) return "relu or round: the tensors' types are not supported here";
  it.output.shape = it.input.shape;
  return nullptr;
}

const char* infer_depth_to_space(const Inference& it) {
  const int64_t block = it.op.block_size;
  const Shape& shape = it.input.shape;
  if (!it.alike() || shape.rank != 4 || shape.dims[3] % (block * block) != 0 ||
      shape.dims[1] > INT32_MAX / block || shape.dims[2] > INT32_MAX / block) {
    return "depth to space: the shapes or types are not supported here";
  }
  it.output.shape = shape;
  it.output.shape.dims[1] *= it.op.block_size;
  it.output.shape.dims[2] *= it.op.block_size;
  it.output.shape.dims[3] = static_cast<int32_t>(shape.dims[3] / (block * block));
  return nullptr;
}

const char* infer_nearest(const Inference& it) {
  const Shape& shape = it.input.shape;
  Shape wanted;
  if (!it.alike() || shape.rank != 4 || !it.wanted(&wanted) || wanted.rank != 4 ||
      shape.dims[1] <= 0 || shape.dims[2] <= 0 || wanted.dims[1] % shape.dims[1] != 0 ||
      wanted.dims[2] % shape.dims[2] != 0) {
    return "nearest neighbour: only whole factors are supported here";
  }
  it.resize_to(wanted);
  return nullptr;
}

const char* infer_bilinear(const Inference& it) {
  const Shape& shape = it.input.shape;
  Shape wanted;
  if (!it.alike() || it.input.type != Type::kInt8 || shape.rank != 4 || !it.wanted(&wanted) ||
      wanted.rank != 4 || !is_twice(wanted.dims[1], shape.dims[1]) ||
      !is_twice(wanted.dims[2], shape.dims[2])) {
    return "bilinear: only twice the size is supported here";
  }
  it.resize_to(wanted);
  return nullptr;
}

const char* infer_concat(const Inference& it) {
  const Shape& shape = it.input.shape;
  int64_t channels = 0;
  for (int i = 0; i < it.op.input_count; ++i) {
    const Value& part = it.value(i);
    if (part.type != it.input.type || part.shape.rank != 4 || shape.rank != 4 ||
        part.shape.dims[0] != shape.dims[0] || part.shape.dims[1] != shape.dims[1] ||
        part.shape.dims[2] != shape.dims[2] || part.shape.dims[3] <= 0) {
      return "concatenation: the shapes or types are not supported here";
    }
    channels += part.shape.dims[3];
  }
  if (!it.alike() || channels > INT32_MAX) return "concatenation: the output is not supported here";
  it.output.shape = shape;
  it.output.shape.dims[3] = static_cast<int32_t>(channels);
  return nullptr;
}

const char* infer_mean(const Inference& it) {
  const Shape& shape = it.input.shape;
  if (!it.alike() || shape.rank != 4) return "mean: the shapes or types are not supported here";
  if (it.input.type == Type::kInt8 && int64_t{shape.dims[1]} * shape.dims[2] > kMaxMeanPixels) {
    return "mean: the picture is too large";
  }
  it.output.shape = shape;
  it.output.shape.dims[1] = it.output.shape.dims[2] = 1;
  if (!it.op.keep_dims) {
    it.output.shape.rank = 2;
    it.output.shape.dims[1] = shape.dims[3];
  }
  return nullptr;
}

}  // namespace

const char* Partition::infer(const Graph& graph, const Op& op) {
  const Inference it = {graph, values_, op, values_[static_cast<size_t>(op.inputs[0])],
                        values_[static_cast<size_t>(op.output)]};
  if (it.input.shape.rank < 1 && op.input_count == 1) return "an operator on a scalar";
  switch (op.kind) {
    case OpKind::kQuantize:
      return infer_quantize(it);
    case OpKind::kDequantize:
      return infer_dequantize(it);
    case OpKind::kConv:
      return infer_conv(it);
    case OpKind::kConv2d:
      return infer_conv2d(it);
    case OpKind::kMaxPool:
      return infer_max_pool(it);
    case OpKind::kMaxPool2d:
      return infer_max_pool2d(it);
    case OpKind::kAdd:
    case OpKind::kMul:
      return infer_sum_or_product(it);
    case OpKind::kClamp:
    case OpKind::kRound:
      return infer_unary(it);
    case OpKind::kDepthToSpace:
      return infer_depth_to_space(it);
    case OpKind::kNearest:
      return infer_nearest(it);
    case OpKind::kBilinear:
      return infer_bilinear(it);
    case OpKind::kConcat:
      return infer_concat(it);
    case OpKind::kMean:
      return infer_mean(it);
    case OpKind::kAddN:
      break;  // was taken apart
  }
  return "an unknown operator";
}

}  // namespace larq_dense
