// Lets a step write the bits that the next binary convolutions read.
//
// A threshold is exact: x + t is negative as a float where x < -t is. Int8 constants are thresholds
// only, for their sum is saturated before anything else happens to it.
#include "fuse.h"

namespace larq_dense {
namespace {

// Below what x + threshold - zero, saturated, lies below zero. That nothing does is -128.
int threshold_limit(int zero, int8_t threshold) {
  const int limit = zero == -128 ? -128 : 2 * zero - threshold;
  return limit > -128 ? limit : -128;
}

// Whether limits can take the place of thresholds: that every int8 lies below is none.
bool has_limits(const Value& thresholds) {
  if (thresholds.type != Type::kInt8) return true;
  const int8_t* t = static_cast<const int8_t*>(thresholds.constant);
  for (size_t i = 0; i < thresholds.bytes; ++i) {
    if (threshold_limit(thresholds.zero_point, t[i]) > 127) return false;
  }
  return true;
}

}  // namespace

// Whether the operator adds constants along the channels and only feeds a quantization: then it is
// that quantization's threshold.
bool Fusion::is_threshold(int index, int* source, int* constants) const {
  const Op& op = ops_[static_cast<size_t>(index)];
  int reader;
  if (op.kind() != OpKind::kAdd || !is_open(op.low, op.high) ||
      !only_consumer(op.output, &reader) ||
      ops_[static_cast<size_t>(reader)].kind() != OpKind::kQuantize) {
    return false;
  }
  for (int k = 0; k < 2; ++k) {
    const Operand operand = operand_of(shape_of(op.inputs[1 - k]), shape_of(op.inputs[k]));
    if (values_[static_cast<size_t>(op.inputs[k])].place == Value::Place::kConstant &&
        values_[static_cast<size_t>(op.inputs[1 - k])].place != Value::Place::kConstant &&
        is_along_channels(operand)) {
      *source = op.inputs[1 - k];
      *constants = op.inputs[k];
      return has_limits(values_[static_cast<size_t>(*constants)]);
    }
  }
  return false;
}

// Sets below what a channel's bit is 1, where `threshold`, if there is one, is added to the source
// before the sign is taken.
const char* Fusion::set_limits(int source, int threshold, size_t padded, Step* step) const {
  const Value& value = values_[static_cast<size_t>(source)];
  const int32_t channels = value.shape.last();
  const int j = step->bit_outputs;
  const Value* constants = threshold < 0 ? nullptr : &values_[static_cast<size_t>(threshold)];
  const bool scalar =
      threshold >= 0 && operand_of(value.shape, constants->shape) == Operand::kScalar;
  const auto constant = [&](int32_t c) { return scalar ? 0 : c % channels; };
  if (value.type == Type::kFloat32) {
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
bool Fusion::never_joined(int value) const {
  const Value& v = values_[static_cast<size_t>(value)];
  if (v.escapes || v.producer < 0) return false;
  const Op& concat = ops_[static_cast<size_t>(v.producer)];
  if (concat.kind() != OpKind::kConcat) return false;
  for (int i = 0; i < concat.input_count; ++i) {
    if (shape_of(concat.inputs[i]).last() % 32 != 0) return false;
  }
  for (size_t i = 0; i < ops_.size(); ++i) {
    const Op& op = ops_[i];
    for (int k = 0; k < op.input_count; ++k) {
      if (op.inputs[k] == value && op.kind() != OpKind::kQuantize && op.kind() != OpKind::kMean) {
        return false;
      }
    }
  }
  return true;
}

int Fusion::readers_of_kind(int value, OpKind kind) const {
  int count = 0;
  for (size_t i = 0; i < ops_.size(); ++i) {
    for (int k = 0; ops_[i].kind() == kind && k < ops_[i].input_count; ++k) {
      count += ops_[i].inputs[k] == value;
    }
  }
  return count;
}

// Whether the operator packs a concatenation of convolutions, each of which can write its own bits.
bool Fusion::quantized_in_parts(int quantize) const {
  const Op& op = ops_[static_cast<size_t>(quantize)];
  if (op.kind() != OpKind::kQuantize || !never_joined(op.inputs[0]) ||
      readers_of_kind(op.inputs[0], OpKind::kQuantize) > kMaxBitOutputs) {
    return false;
  }
  const Op& concat = ops_[static_cast<size_t>(values_[static_cast<size_t>(op.inputs[0])].producer)];
  for (int i = 0; i < concat.input_count; ++i) {
    const Value& part = values_[static_cast<size_t>(concat.inputs[i])];
    if (part.producer < 0 || readers_of_kind(concat.inputs[i], OpKind::kConcat) != 1) return false;
    const Op& conv = ops_[static_cast<size_t>(part.producer)];
    if (conv.kind() != OpKind::kConv ||
        shape_of(conv.inputs[1]).last() != words_for(conv.conv.channels_in)) {
      return false;
    }
  }
  return true;
}

// Lets a convolution write its part of the bits of a concatenation.
const char* Fusion::attach_joined_bits(int part, Step* step) {
  for (size_t i = 0; i < ops_.size() && step->bit_outputs < kMaxBitOutputs; ++i) {
    if (!quantized_in_parts(static_cast<int>(i))) continue;
    const int joined = ops_[i].inputs[0];
    const Op& concat = ops_[static_cast<size_t>(values_[static_cast<size_t>(joined)].producer)];
    int32_t words = 0;
    for (int k = 0; k < concat.input_count; ++k) {
      if (concat.inputs[k] == part) {
        const char* error = set_limits(part, -1, step->conv.padded_segment(), step);
        if (error != nullptr) return error;
        taken_[i] = true;
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
const char* Fusion::attach_bits(int source, Step* step) {
  const Value& value = values_[static_cast<size_t>(source)];
  const int32_t channels = value.shape.last();
  const bool is_conv = step->type == &kBinaryConvStep || step->type == &kConv2dStep;
  size_t padded = static_cast<size_t>(channels);
  if (step->type == &kBinaryConvStep) padded = step->conv.padded_segment();
  if (step->type == &kConv2dStep) padded = step->conv2d.padded_channels();
  // Of a picture split by depth to space, a run of channels holds several pixels, whose bits are
  // side by side only where they fill whole words.
  if (step->block_size != 1 && channels % 32 != 0) return nullptr;
  int readers = value.consumers;
  for (size_t i = 0; i < ops_.size() && step->bit_outputs < kMaxBitOutputs; ++i) {
    const Op& op = ops_[i];
    const int j = step->bit_outputs;
    if (taken_[i]) continue;
    if (op.kind() == OpKind::kQuantize && op.inputs[0] == source) {
      // A convolution's kernels always compare with a row of limits.
      const char* error = is_conv ? set_limits(source, -1, padded, step) : nullptr;
      if (error != nullptr) return error;
      step->bits[j] = op.output;
    } else if (op.kind() == OpKind::kAdd &&
               (op.inputs[0] == source || op.inputs[1] == source)) {
      int read, quantize, threshold;
      if (!is_threshold(static_cast<int>(i), &read, &threshold) || read != source ||
          !only_consumer(op.output, &quantize)) {
        continue;
      }
      const char* error = set_limits(source, threshold, padded, step);
      if (error != nullptr) return error;
      taken_[quantize] = true;
      drop(op.output);
      step->bits[j] = ops_[static_cast<size_t>(quantize)].output;
    } else {
      continue;
    }
    taken_[i] = true;
    ++step->bit_outputs;
    --readers;
  }
  if (step->type != &kQuantizeStep && readers == 0 && !value.escapes) {
    step->output = -1;
    drop(source);
  }
  return nullptr;
}

}  // namespace larq_dense
