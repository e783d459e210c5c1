// Decides what is computed in one pass.
//
// A convolution takes along what follows it as long as nobody else needs what lies between: a
// multiply or add of constants, an activation, adds of other tensors (a residual, the sum of
// parallel branches), a depth to space, and the thresholds that pack the result for the next
// convolutions. Adds and multiplies that no convolution takes form chains in the same way.
//
// A threshold is exact: x + t is negative as a float where x < -t is. Int8 constants are thresholds
// only, for their sum is saturated before anything else happens to it.
#include <math.h>

#include "partition.h"

namespace larq_dense {
namespace {

const char* kNoMemory = "out of memory";

// What a first and then a second clamp do together.
void narrow(float* low, float* high, float then_low, float then_high) {
  const auto clamp = [&](float v) {
    return v < then_low ? then_low : (v > then_high ? then_high : v);
  };
  *low = clamp(*low);
  *high = clamp(*high);
}

bool is_unary(OpKind kind) { return kind == OpKind::kClamp || kind == OpKind::kRound; }

bool is_elementwise(OpKind kind) {
  return kind == OpKind::kAdd || kind == OpKind::kMul || is_unary(kind);
}

// Below what x + threshold - zero, saturated, lies below zero. That nothing does is -128.
int threshold_limit(int zero, int8_t threshold) {
  const int limit = zero == -128 ? -128 : 2 * zero - threshold;
  return limit > -128 ? limit : -128;
}

// Whether limits can take the place of thresholds: that every int8 lies below is none.
bool has_limits(const Value& thresholds) {
  if (thresholds.type != kTfLiteInt8) return true;
  const int8_t* t = static_cast<const int8_t*>(thresholds.constant);
  for (size_t i = 0; i < thresholds.bytes; ++i) {
    if (threshold_limit(thresholds.zero_point, t[i]) > 127) return false;
  }
  return true;
}

bool is_open(float low, float high) { return low == -INFINITY && high == INFINITY; }

}  // namespace

// A convolution on the way to becoming a step. The kernels apply what follows in this order only.
struct ConvFusion {
  enum Stage { kAffine, kClamped, kCombined, kClosed } stage = kAffine;
  Array<float> multiplier, bias;
  int32_t channels = 0;
  bool grouped = false;
};

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
  return v.place == Value::Place::kConstant && v.type == kTfLiteFloat32;
}

// Whether the operator adds constants along the channels and only feeds a quantization: then it is
// that quantization's threshold.
bool Partition::is_threshold(int index, const bool* taken, int* source, int* constants) const {
  const Op& op = ops_[static_cast<size_t>(index)];
  int reader;
  if (op.kind != OpKind::kAdd || !is_open(op.low, op.high) ||
      !only_consumer(op.output, taken, &reader) ||
      ops_[static_cast<size_t>(reader)].kind != OpKind::kQuantize) {
    return false;
  }
  for (int k = 0; k < 2; ++k) {
    const Operand operand = operand_of(shape_of(op.inputs[1 - k]), shape_of(op.inputs[k]));
    if (values_[static_cast<size_t>(op.inputs[k])].place == Value::Place::kConstant &&
        values_[static_cast<size_t>(op.inputs[1 - k])].place != Value::Place::kConstant &&
        (operand == Operand::kChannels || operand == Operand::kScalar)) {
      *source = op.inputs[1 - k];
      *constants = op.inputs[k];
      return has_limits(values_[static_cast<size_t>(*constants)]);
    }
  }
  return false;
}

// Sets below what a channel's bit is 1, where `threshold`, if there is one, is added to the source
// before the sign is taken.
const char* Partition::set_limits(int source, int threshold, size_t padded, Step* step) const {
  const Value& value = values_[static_cast<size_t>(source)];
  const int32_t channels = value.shape.last();
  const int j = step->bit_outputs;
  const Value* constants = threshold < 0 ? nullptr : &values_[static_cast<size_t>(threshold)];
  const bool scalar =
      threshold >= 0 && operand_of(value.shape, constants->shape) == Operand::kScalar;
  const auto constant = [&](int32_t c) { return scalar ? 0 : c % channels; };
  if (value.type == kTfLiteFloat32) {
    if (!step->limits[j].allocate(padded)) return kNoMemory;
    if (threshold < 0) return nullptr;
    const float* t = static_cast<const float*>(constants->constant);
    for (int32_t c = 0; c < channels * step->block_size; ++c) {
      step->limits[j][static_cast<size_t>(c)] = -t[constant(c)];
    }
    return nullptr;
  }
  if (!step->int8_limits[j].allocate(padded)) return kNoMemory;
  for (int32_t c = 0; c < channels * step->block_size; ++c) {
    const int8_t* t = threshold < 0 ? nullptr : static_cast<const int8_t*>(constants->constant);
    step->int8_limits[j][static_cast<size_t>(c)] =
        t == nullptr ? static_cast<int8_t>(value.zero_point)
                     : static_cast<int8_t>(threshold_limit(value.zero_point, t[constant(c)]));
  }
  return nullptr;
}

// Whether a concatenation can stay in its parts, since all that read it can read those.
bool Partition::never_joined(int value) const {
  const Value& v = values_[static_cast<size_t>(value)];
  if (v.escapes || v.producer < 0) return false;
  const Op& concat = ops_[static_cast<size_t>(v.producer)];
  if (concat.kind != OpKind::kConcat) return false;
  for (int i = 0; i < concat.input_count; ++i) {
    if (shape_of(concat.inputs[i]).last() % 32 != 0) return false;
  }
  for (size_t i = 0; i < ops_.size(); ++i) {
    const Op& op = ops_[i];
    for (int k = 0; k < op.input_count; ++k) {
      if (op.inputs[k] == value && op.kind != OpKind::kQuantize && op.kind != OpKind::kMean) {
        return false;
      }
    }
  }
  return true;
}

int Partition::readers_of_kind(int value, OpKind kind) const {
  int count = 0;
  for (size_t i = 0; i < ops_.size(); ++i) {
    for (int k = 0; ops_[i].kind == kind && k < ops_[i].input_count; ++k) {
      count += ops_[i].inputs[k] == value;
    }
  }
  return count;
}

// Whether the operator packs a concatenation of convolutions, each of which can write its own bits.
bool Partition::quantized_in_parts(int quantize) const {
  const Op& op = ops_[static_cast<size_t>(quantize)];
  if (op.kind != OpKind::kQuantize || !never_joined(op.inputs[0]) ||
      readers_of_kind(op.inputs[0], OpKind::kQuantize) > kMaxBitOutputs) {
    return false;
  }
  const Op& concat = ops_[static_cast<size_t>(values_[static_cast<size_t>(op.inputs[0])].producer)];
  for (int i = 0; i < concat.input_count; ++i) {
    const Value& part = values_[static_cast<size_t>(concat.inputs[i])];
    if (part.producer < 0 || readers_of_kind(concat.inputs[i], OpKind::kConcat) != 1) return false;
    const Op& conv = ops_[static_cast<size_t>(part.producer)];
    if (conv.kind != OpKind::kConv ||
        shape_of(conv.inputs[1]).last() != words_for(conv.conv.channels_in)) {
      return false;
    }
  }
  return true;
}

// Lets a convolution write its part of the bits of a concatenation.
const char* Partition::attach_joined_bits(int part, bool* taken, Step* step) {
  for (size_t i = 0; i < ops_.size() && step->bit_outputs < kMaxBitOutputs; ++i) {
    if (!quantized_in_parts(static_cast<int>(i))) continue;
    const int joined = ops_[i].inputs[0];
    const Op& concat = ops_[static_cast<size_t>(values_[static_cast<size_t>(joined)].producer)];
    int32_t words = 0;
    for (int k = 0; k < concat.input_count; ++k) {
      if (concat.inputs[k] == part) {
        const char* error = set_limits(part, -1, step->conv.padded_segment(), step);
        if (error != nullptr) return error;
        taken[i] = true;
        step->bits[step->bit_outputs] = ops_[i].output;
        step->first_word[step->bit_outputs++] = words;
        break;
      }
      words += words_for(shape_of(concat.inputs[k]).last());
    }
  }
  return nullptr;
}

// Lets the step also write the bits for the quantizations of `source`, directly or after an add of
// constants, and drops the floats where nobody else reads them.
const char* Partition::attach_bits(int source, bool* taken, Step* step) {
  const Value& value = values_[static_cast<size_t>(source)];
  const int32_t channels = value.shape.last();
  const bool is_conv = step->kind == StepKind::kConv || step->kind == StepKind::kConv2d;
  size_t padded = static_cast<size_t>(channels);
  if (step->kind == StepKind::kConv) padded = step->conv.padded_segment();
  if (step->kind == StepKind::kConv2d) padded = step->conv2d.padded_channels();
  // Of a picture split by depth to space, a run of channels holds several pixels, whose bits are
  // side by side only where they fill whole words.
  if (step->block_size != 1 && channels % 32 != 0) return nullptr;
  int readers = value.consumers;
  for (size_t i = 0; i < ops_.size() && step->bit_outputs < kMaxBitOutputs; ++i) {
    const Op& op = ops_[i];
    const int j = step->bit_outputs;
    if (taken[i]) continue;
    if (op.kind == OpKind::kQuantize && op.inputs[0] == source) {
      // A convolution's kernels always compare with a row of limits.
      const char* error = is_conv ? set_limits(source, -1, padded, step) : nullptr;
      if (error != nullptr) return error;
      step->bits[j] = op.output;
    } else if (op.kind == OpKind::kAdd &&
               (op.inputs[0] == source || op.inputs[1] == source)) {
      int read, quantize, threshold;
      if (!is_threshold(static_cast<int>(i), taken, &read, &threshold) || read != source ||
          !only_consumer(op.output, taken, &quantize)) {
        continue;
      }
      const char* error = set_limits(source, threshold, padded, step);
      if (error != nullptr) return error;
      taken[quantize] = true;
      drop(op.output);
      step->bits[j] = ops_[static_cast<size_t>(quantize)].output;
    } else {
      continue;
    }
    taken[i] = true;
    ++step->bit_outputs;
    --readers;
  }
  if (step->kind != StepKind::kQuantize && readers == 0 && !value.escapes) {
    step->output = -1;
    drop(source);
  }
  return nullptr;
}

// Whether the value is a tensor times constants along the channels that only one operator reads:
// then that operator can multiply on its own.
const char* Partition::scaled_operand(int value, const bool* taken, int* multiply,
                                      Array<float>* scale, int* source) const {
  *multiply = -1;
  const Value& v = values_[static_cast<size_t>(value)];
  int reader;
  if (v.producer < 0 || taken[v.producer] || !only_consumer(value, taken, &reader)) return nullptr;
  const Op& op = ops_[static_cast<size_t>(v.producer)];
  if (op.kind != OpKind::kMul || !is_open(op.low, op.high)) return nullptr;
  for (int k = 0; k < 2; ++k) {
    const float* data;
    const Operand operand = operand_of(shape_of(op.inputs[1 - k]), shape_of(op.inputs[k]));
    if (!constant_floats(op.inputs[k], &data) ||
        (operand != Operand::kChannels && operand != Operand::kScalar) ||
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

// Takes the only reader of a convolution's result into its step, if the kernels can do it.
bool Partition::extend_conv(int next, bool* taken, Step* step, ConvFusion* fusion) {
  const Op& op = ops_[static_cast<size_t>(next)];
  const Shape& shape = shape_of(step->output);
  if (op.kind == OpKind::kClamp) {
    if (fusion->stage >= ConvFusion::kCombined) {
      narrow(&step->after_min, &step->after_max, op.low, op.high);
      fusion->stage = ConvFusion::kClosed;
    } else {
      narrow(&step->before_min, &step->before_max, op.low, op.high);
      fusion->stage = ConvFusion::kClamped;
    }
  } else if (op.kind == OpKind::kDepthToSpace) {
    if (fusion->grouped || step->block_size != 1) return false;
    // Each segment is padded to whole blocks of channels; not where that wastes much.
    const int32_t segment = fusion->channels / op.block_size;
    const int32_t padded = (segment + kernels_->block - 1) / kernels_->block * kernels_->block;
    if (padded > segment + segment / 2) return false;
    step->block_size = op.block_size;
  } else if (op.kind == OpKind::kAdd || op.kind == OpKind::kMul) {
    const bool multiply = op.kind == OpKind::kMul;
    const int other = op.inputs[0] == step->output ? op.inputs[1] : op.inputs[0];
    const Operand operand = operand_of(shape, shape_of(other));
    const float* data;
    if (constant_floats(other, &data) && fusion->stage == ConvFusion::kAffine &&
        step->block_size == 1 && (operand == Operand::kChannels || operand == Operand::kScalar)) {
      int source, threshold;
      if (is_threshold(next, taken, &source, &threshold)) return false;  // exact in attach_bits
      for (int32_t c = 0; c < fusion->channels; ++c) {
        const size_t i = static_cast<size_t>(c);
        const float v = data[operand == Operand::kScalar ? 0 : c];
        fusion->bias[i] = multiply ? fusion->bias[i] * v : fusion->bias[i] + v;
        if (multiply) fusion->multiplier[i] *= v;
      }
      if (!is_open(op.low, op.high)) {
        narrow(&step->before_min, &step->before_max, op.low, op.high);
        fusion->stage = ConvFusion::kClamped;
      }
    } else if (operand == Operand::kSame && other != step->output &&
               !(multiply && is_int8(other)) && fusion->stage != ConvFusion::kClosed &&
               step->links.size() < kMaxOthers) {
      Link* link = step->links.append();
      if (link == nullptr) return false;
      link->op = multiply ? Combination::kMultiply : Combination::kAdd;
      link->value = other;
      link->layout = step->block_size == 1 ? OtherLayout::kPlain : OtherLayout::kSplit;
      // A picture enlarged only to be added here need not be enlarged.
      const Value& second = values_[static_cast<size_t>(other)];
      int reader;
      if (second.producer >= 0 && !taken[second.producer] &&
          only_consumer(other, taken, &reader) && step->block_size != 1 &&
          shape.last() % kernels_->block == 0) {
        const Op& nearest = ops_[static_cast<size_t>(second.producer)];
        const Shape& small = shape_of(nearest.inputs[0]);
        if (nearest.kind == OpKind::kNearest &&
            small.dims[1] * step->block_size == shape.dims[1] &&
            small.dims[2] * step->block_size == shape.dims[2]) {
          link->value = nearest.inputs[0];
          link->layout = OtherLayout::kNearest;
          taken[second.producer] = true;
          drop(other);
        }
      }
      fusion->stage = ConvFusion::kCombined;
      if (!is_open(op.low, op.high)) {
        narrow(&step->after_min, &step->after_max, op.low, op.high);
        fusion->stage = ConvFusion::kClosed;
      }
    } else {
      return false;
    }
  } else {
    return false;
  }
  drop(step->output);
  step->output = op.output;
  step->op = next;
  taken[next] = true;
  return true;
}

const char* Partition::build_conv(int index, bool* taken) {
  const Op& op = ops_[static_cast<size_t>(index)];
  const Value& filter = values_[static_cast<size_t>(op.inputs[1])];
  const Value& produced = values_[static_cast<size_t>(op.output)];
  ConvFusion fusion;
  const int32_t channels = fusion.channels = filter.shape.dims[0];
  const auto input = [&](int i) -> const Value* {
    return op.inputs[i] < 0 ? nullptr : &values_[static_cast<size_t>(op.inputs[i])];
  };
  const auto vector = [&](const Value* value, int type) {
    return value != nullptr && value->place == Value::Place::kConstant && value->type == type &&
           value->shape.rank == 1 && value->shape.dims[0] == channels;
  };

  ConvConstants constants;
  constants.filter = static_cast<const uint32_t*>(filter.constant);
  constants.channels_out = channels;
  constants.filter_words = filter.shape.dims[3];
  ConvKind kind = ConvKind::kFloat;
  if (produced.type == kTfLiteInt32) {
    kind = ConvKind::kBits;
    if (!vector(input(4), kTfLiteInt32)) return "LceBconv2d: malformed thresholds";
    constants.threshold = static_cast<const int32_t*>(input(4)->constant);
  } else {
    if (!vector(input(2), kTfLiteFloat32) || !vector(input(3), kTfLiteFloat32)) {
      return "LceBconv2d: malformed multiplier or bias";
    }
    const size_t count = static_cast<size_t>(channels);
    if (!fusion.multiplier.allocate(count) || !fusion.bias.allocate(count)) return kNoMemory;
    memcpy(fusion.multiplier.data(), input(2)->constant, count * sizeof(float));
    memcpy(fusion.bias.data(), input(3)->constant, count * sizeof(float));
    constants.multiplier = fusion.multiplier.data();
    constants.bias = fusion.bias.data();
    if (produced.type == kTfLiteInt8) {
      kind = ConvKind::kInt8;
      constants.output_scale = produced.scale;
      constants.output_zero_point = produced.zero_point;
      if (!(produced.scale > 0) || isinf(produced.scale)) {
        return "LceBconv2d: the output has no scale";
      }
    }
  }

  Step* step = steps_.append();
  if (step == nullptr) return kNoMemory;
  step->kind = StepKind::kConv;
  step->op = index;
  step->input = op.inputs[0];
  step->output = op.output;
  step->before_min = step->after_min = -INFINITY;
  step->before_max = step->after_max = INFINITY;
  taken[index] = true;

  ConvOptions options = op.conv;
  options.vertical.kernel = filter.shape.dims[1];
  options.horizontal.kernel = filter.shape.dims[2];
  fusion.grouped = constants.filter_words != words_for(options.channels_in);
  int next;
  while (kind != ConvKind::kBits && only_consumer(step->output, taken, &next) &&
         extend_conv(next, taken, step, &fusion)) {
  }

  const char* error = step->conv.configure(kernels_, options, kind, constants, step->block_size);
  if (error == nullptr) error = step->conv.set_input(shape_of(step->input));
  if (error != nullptr) return error;
  if (!(step->conv.output() == produced.shape)) return "LceBconv2d: the shapes disagree";
  if (kind != ConvKind::kBits && !fusion.grouped) {
    error = attach_joined_bits(step->output, taken, step);
    if (error == nullptr) error = attach_bits(step->output, taken, step);
    if (error != nullptr) return error;
  }
  step->post = fusion.stage != ConvFusion::kAffine || step->bit_outputs > 0;
  return nullptr;
}

const char* Partition::build_conv2d(TfLiteContext* context, int index, bool* taken) {
  const Op& op = ops_[static_cast<size_t>(index)];
  Op tensors = op;
  for (int i = 0; i < 3; ++i) tensors.inputs[i] = values_[static_cast<size_t>(op.inputs[i])].tensor;
  tensors.output = values_[static_cast<size_t>(op.output)].tensor;
  Conv2dConstants constants;
  if (!read_conv2d(context->tensors, tensors, &constants)) return "Conv2D: malformed constants";
  Step* step = steps_.append();
  if (step == nullptr) return kNoMemory;
  step->kind = StepKind::kConv2d;
  step->op = index;
  step->input = op.inputs[0];
  step->output = op.output;
  step->before_min = op.low;
  step->before_max = op.high;
  step->after_min = -INFINITY;
  step->after_max = INFINITY;
  taken[index] = true;
  const char* error = step->conv2d.configure(kernels_, op.conv2d, constants);
  if (error == nullptr) error = step->conv2d.set_input(shape_of(step->input));
  if (error == nullptr) error = attach_bits(step->output, taken, step);
  step->post = !is_open(op.low, op.high) || step->bit_outputs > 0;
  return error;
}

// Adds an operator to a chain. False, without an error, where it does not fit.
bool Partition::extend_chain(int next, bool* taken, Step* step, const char** error) {
  const Op& op = ops_[static_cast<size_t>(next)];
  const Shape& shape = shape_of(step->output);
  if (!is_elementwise(op.kind) || !(shape_of(op.output) == shape)) return false;
  int other = -1;
  if (!is_unary(op.kind)) {
    other = op.inputs[0] == step->output ? op.inputs[1] : op.inputs[0];
    int source, threshold;
    if (is_threshold(next, taken, &source, &threshold)) return false;
    // Of int8 the second input is the mask.
    if (op.kind == OpKind::kMul && is_int8(other) && other != op.inputs[1]) return false;
  }
  Link* link = step->links.append();
  if (link == nullptr) {
    *error = kNoMemory;
    return false;
  }
  link->low = op.low;
  link->high = op.high;
  if (op.kind == OpKind::kRound) link->op = Combination::kRound;
  if (other >= 0) {
    link->op = op.kind == OpKind::kAdd ? Combination::kAdd : Combination::kMultiply;
    link->value = other;
    link->operand = operand_of(shape, shape_of(other));
    int multiply, source = -1;
    *error = scaled_operand(other, taken, &multiply, &link->scale, &source);
    if (*error != nullptr) return false;
    if (multiply >= 0 && link->operand == Operand::kSame) {
      taken[multiply] = true;
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
  taken[next] = true;
  return true;
}

const char* Partition::build_chain(int index, bool* taken) {
  const Op& op = ops_[static_cast<size_t>(index)];
  Step* step = steps_.append();
  if (step == nullptr) return kNoMemory;
  step->kind = StepKind::kChain;
  step->op = index;
  step->input = op.inputs[0];
  if (!is_unary(op.kind) &&
      operand_of(shape_of(op.inputs[0]), shape_of(op.inputs[1])) == Operand::kOther) {
    step->input = op.inputs[1];
  }
  step->output = step->input;
  const char* error = nullptr;
  if (!extend_chain(index, taken, step, &error)) {
    return error != nullptr ? error : "a chain that cannot begin";
  }
  int next;
  while (only_consumer(step->output, taken, &next)) {
    if (!extend_chain(next, taken, step, &error)) break;
  }
  return error != nullptr ? error : attach_bits(step->output, taken, step);
}

const char* Partition::build_other(int index, bool* taken) {
  const Op& op = ops_[static_cast<size_t>(index)];
  int source = op.inputs[0], constants;
  const bool threshold = is_threshold(index, taken, &source, &constants);
  if (is_elementwise(op.kind) && !threshold) return build_chain(index, taken);

  // What reads a concatenation that stays in its parts is given those.
  const bool joined = op.kind == OpKind::kConcat || !never_joined(source);
  if (op.kind == OpKind::kConcat && never_joined(op.output)) {
    taken[index] = true;
    drop(op.output);
    return nullptr;
  }

  Step* step = steps_.append();
  if (step == nullptr) return kNoMemory;
  step->op = index;
  step->input = source;
  step->output = op.output;
  step->block_size = op.kind == OpKind::kDepthToSpace ? op.block_size : 1;
  step->parts = 1;
  step->part[0] = source;
  if (op.kind == OpKind::kConcat) {
    step->parts = op.input_count;
    for (int i = 0; i < op.input_count; ++i) step->part[i] = op.inputs[i];
  } else if (!joined) {
    const Op& concat = ops_[static_cast<size_t>(values_[static_cast<size_t>(source)].producer)];
    step->parts = concat.input_count;
    for (int i = 0; i < concat.input_count; ++i) step->part[i] = concat.inputs[i];
    step->input = concat.inputs[0];
  }
  const Value& value = values_[static_cast<size_t>(source)];
  if (threshold || (op.kind == OpKind::kQuantize && joined && value.type != kTfLiteBool)) {
    step->kind = StepKind::kQuantize;
    step->output = -1;
    const char* error = attach_bits(source, taken, step);
    return error == nullptr && !taken[index] ? "a quantization was left out" : error;
  }
  taken[index] = true;
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
    case OpKind::kMaxPool: {
      step->kind = StepKind::kMaxPool;
      step->vertical = op.pool_vertical;
      step->horizontal = op.pool_horizontal;
      int32_t size;
      slide(op.pool_vertical, op.same_padding, value.shape.dims[1], &size, &step->pad_top);
      slide(op.pool_horizontal, op.same_padding, value.shape.dims[2], &size, &step->pad_left);
      return nullptr;
    }
    case OpKind::kDepthToSpace:
      step->kind = StepKind::kDepthToSpace;
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

const char* Partition::build_steps(TfLiteContext* context) {
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
    if (ops_[i].kind == OpKind::kConv2d) error = build_conv2d(context, index, taken.data());
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
