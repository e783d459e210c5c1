// Convolutions, and what their kernels do with the result before it is written.
#include "fuse.h"

namespace larq_dense {

// A convolution on the way to becoming a step. The kernels apply what follows in this order only.
struct ConvFusion {
  enum Stage { kAffine, kClamped, kCombined, kClosed } stage = kAffine;
  Array<float> multiplier, bias;
  int32_t channels = 0;
  bool grouped = false;
};

namespace {

// What a first and then a second clamp do together.
void narrow(float* low, float* high, float then_low, float then_high) {
  const auto clamp = [&](float v) {
    return v < then_low ? then_low : (v > then_high ? then_high : v);
  };
  *low = clamp(*low);
  *high = clamp(*high);
}

void take_clamp(float low, float high, Step* step, ConvFusion* fusion) {
  if (fusion->stage >= ConvFusion::kCombined) {
    narrow(&step->after_min, &step->after_max, low, high);
    fusion->stage = ConvFusion::kClosed;
  } else {
    narrow(&step->before_min, &step->before_max, low, high);
    fusion->stage = ConvFusion::kClamped;
  }
}

}  // namespace

// Whether a depth to space can go into the step: the kernels then write the segments of channels to
// rows of their own. Each is padded to whole blocks of channels; not where that wastes much.
bool Fusion::can_split(int block_size, const Step& step, const ConvFusion& fusion) const {
  const int32_t segment = fusion.channels / block_size;
  const int32_t padded = (segment + kernels_->block - 1) / kernels_->block * kernels_->block;
  return !fusion.grouped && step.block_size == 1 && padded <= segment + segment / 2;
}

// Makes constants that are added or multiplied part of the convolution's own. False, and nothing
// done, where they are not that, or are a threshold, which is exact in attach_bits.
bool Fusion::fold_constants(int next, int other, const Step& step,
                               ConvFusion* fusion) const {
  const Operand operand = operand_of(shape_of(step.output), shape_of(other));
  const float* data;
  int source, threshold;
  if (!constant_floats(other, &data) || fusion->stage != ConvFusion::kAffine ||
      step.block_size != 1 || !is_along_channels(operand) ||
      is_threshold(next, &source, &threshold)) {
    return false;
  }
  const bool multiply = ops_[static_cast<size_t>(next)].kind() == OpKind::kMul;
  for (int32_t c = 0; c < fusion->channels; ++c) {
    const size_t i = static_cast<size_t>(c);
    const float v = data[operand == Operand::kScalar ? 0 : c];
    fusion->bias[i] = multiply ? fusion->bias[i] * v : fusion->bias[i] + v;
    if (multiply) fusion->multiplier[i] *= v;
  }
  return true;
}

// Links another tensor that is added or multiplied, element by element. False, and nothing done,
// where the kernels cannot do it.
bool Fusion::link_other(const Op& op, int other, Step* step, ConvFusion* fusion) {
  const bool multiply = op.kind() == OpKind::kMul;
  if (operand_of(shape_of(step->output), shape_of(other)) != Operand::kSame ||
      other == step->output || (multiply && is_int8(other)) ||
      fusion->stage == ConvFusion::kClosed || step->links.size() >= kMaxOthers) {
    return false;
  }
  Link* link = step->links.append();
  if (link == nullptr) return false;
  link->op = multiply ? Combination::kMultiply : Combination::kAdd;
  link->value = other;
  link->layout = step->block_size == 1 ? OtherLayout::kPlain : OtherLayout::kSplit;
  fusion->stage = ConvFusion::kCombined;
  link_before_nearest(*step, link);
  return true;
}

// A picture enlarged only to be added to one that is split need not be enlarged.
void Fusion::link_before_nearest(const Step& step, Link* link) {
  const Value& large = values_[static_cast<size_t>(link->value)];
  int reader;
  if (step.block_size == 1 || large.producer < 0 || taken_[large.producer] ||
      !only_consumer(link->value, &reader) || large.shape.last() % kernels_->block != 0) {
    return;
  }
  const Op& nearest = ops_[static_cast<size_t>(large.producer)];
  const Shape& small = shape_of(nearest.inputs[0]);
  if (nearest.kind() != OpKind::kNearest ||
      small.dims[1] * step.block_size != large.shape.dims[1] ||
      small.dims[2] * step.block_size != large.shape.dims[2]) {
    return;
  }
  taken_[large.producer] = true;
  drop(link->value);
  link->value = nearest.inputs[0];
  link->layout = OtherLayout::kNearest;
}

// Takes the only reader of a convolution's result into its step, if the kernels can do it.
bool Fusion::extend_conv(int next, Step* step, ConvFusion* fusion) {
  const Op& op = ops_[static_cast<size_t>(next)];
  if (op.kind() == OpKind::kClamp) {
    take_clamp(op.low, op.high, step, fusion);
  } else if (op.kind() == OpKind::kDepthToSpace) {
    if (!can_split(op.block_size, *step, *fusion)) return false;
    step->block_size = op.block_size;
  } else if (op.kind() == OpKind::kAdd || op.kind() == OpKind::kMul) {
    const int other = op.inputs[0] == step->output ? op.inputs[1] : op.inputs[0];
    if (!fold_constants(next, other, *step, fusion) &&
        !link_other(op, other, step, fusion)) {
      return false;
    }
    if (!is_open(op.low, op.high)) take_clamp(op.low, op.high, step, fusion);
  } else {
    return false;
  }
  drop(step->output);
  step->output = op.output;
  step->op = next;
  taken_[next] = true;
  return true;
}

// Reads the operator's constants. The multiplier and the bias are copied, for what follows may
// become part of them.
const char* Fusion::read_constants(const Op& op, ConvFusion* fusion, ConvConstants* constants,
                                      ConvKind* kind) const {
  const Value& filter = values_[static_cast<size_t>(op.inputs[1])];
  const Value& produced = values_[static_cast<size_t>(op.output)];
  fusion->channels = filter.shape.dims[0];
  fusion->grouped = filter.shape.dims[3] != words_for(op.conv.channels_in);
  constants->filter = static_cast<const uint32_t*>(filter.constant);
  constants->channels_out = fusion->channels;
  constants->filter_words = filter.shape.dims[3];
  // An input that holds one constant a channel, or null.
  const auto vector = [&](int i, Type type) -> const void* {
    if (op.inputs[i] < 0) return nullptr;
    const Value& value = values_[static_cast<size_t>(op.inputs[i])];
    const bool fits = value.place == Value::Place::kConstant && value.type == type &&
                      value.shape.rank == 1 && value.shape.dims[0] == fusion->channels;
    return fits ? value.constant : nullptr;
  };
  if (produced.type == Type::kInt32) {
    *kind = ConvKind::kBits;
    constants->threshold = static_cast<const int32_t*>(vector(4, Type::kInt32));
    return constants->threshold == nullptr ? "LceBconv2d: malformed thresholds" : nullptr;
  }
  const void* multiplier = vector(2, Type::kFloat32);
  const void* bias = vector(3, Type::kFloat32);
  if (multiplier == nullptr || bias == nullptr) return "LceBconv2d: malformed multiplier or bias";
  const size_t count = static_cast<size_t>(fusion->channels);
  if (!fusion->multiplier.allocate(count) || !fusion->bias.allocate(count)) return kNoMemory;
  memcpy(fusion->multiplier.data(), multiplier, count * sizeof(float));
  memcpy(fusion->bias.data(), bias, count * sizeof(float));
  constants->multiplier = fusion->multiplier.data();
  constants->bias = fusion->bias.data();
  *kind = produced.type == Type::kInt8 ? ConvKind::kInt8 : ConvKind::kFloat;
  if (*kind == ConvKind::kInt8) {
    constants->output_scale = produced.scale;
    constants->output_zero_point = produced.zero_point;
    if (!(produced.scale > 0) || isinf(produced.scale)) {
      return "LceBconv2d: the output has no scale";
    }
  }
  return nullptr;
}

const char* Fusion::build_conv(int index) {
  const Op& op = ops_[static_cast<size_t>(index)];
  ConvFusion fusion;
  ConvConstants constants;
  ConvKind kind;
  const char* error = read_constants(op, &fusion, &constants, &kind);
  if (error != nullptr) return error;

  Step* step = new_step(kBinaryConvStep, index);
  if (step == nullptr) return kNoMemory;
  taken_[index] = true;
  int next;
  while (kind != ConvKind::kBits && only_consumer(step->output, &next) &&
         extend_conv(next, step, &fusion)) {
  }

  const Shape& filter = shape_of(op.inputs[1]);
  ConvOptions options = op.conv;
  options.vertical.kernel = filter.dims[1];
  options.horizontal.kernel = filter.dims[2];
  error = step->conv.configure(kernels_, options, kind, constants, step->block_size);
  if (error == nullptr) error = step->conv.set_input(shape_of(step->input));
  if (error != nullptr) return error;
  if (!(step->conv.output() == shape_of(op.output))) return "LceBconv2d: the shapes disagree";
  if (kind != ConvKind::kBits && !fusion.grouped) {
    error = attach_joined_bits(step->output, step);
    if (error == nullptr) error = attach_bits(step->output, step);
    if (error != nullptr) return error;
  }
  step->post = fusion.stage != ConvFusion::kAffine || step->bit_outputs > 0;
  return nullptr;
}

const char* Fusion::build_conv2d(int index) {
  const Op& op = ops_[static_cast<size_t>(index)];
  Op tensors = op;
  for (int i = 0; i < 3; ++i) tensors.inputs[i] = values_[static_cast<size_t>(op.inputs[i])].tensor;
  tensors.output = values_[static_cast<size_t>(op.output)].tensor;
  Conv2dConstants constants;
  if (!read_conv2d(graph_, tensors, &constants)) return "Conv2D: malformed constants";
  Step* step = new_step(kConv2dStep, index);
  if (step == nullptr) return kNoMemory;
  step->before_min = op.low;
  step->before_max = op.high;
  taken_[index] = true;
  const char* error = step->conv2d.configure(kernels_, op.conv2d, constants);
  if (error == nullptr) error = step->conv2d.set_input(shape_of(step->input));
  if (error == nullptr) error = attach_bits(step->output, step);
  step->post = !is_open(op.low, op.high) || step->bit_outputs > 0;
  return error;
}

}  // namespace larq_dense
