// Repacks the weights of a binary convolution for the kernels.
#include "bconv2d.h"

namespace larq_dense {
namespace {

// Whether an int8 output lies just between two integers for any dot product, short by `depth`; of
// those only every `step`-th can be. None may be too large for an int32.
bool has_tie(int32_t depth, int32_t step, float multiplier, float bias) {
  const auto bound = [&](float v) {
    const float least = static_cast<float>(-2 * depth);
    return v > least ? (v < 0 ? v : 0.0f) : least;
  };
  // What lies farther from 0 than this saturates, however it is rounded.
  constexpr float kReach = 130.0f;
  int32_t first = -2 * depth, last = 0;
  if (multiplier != 0) {
    const int32_t one = static_cast<int32_t>(bound((-kReach - bias) / multiplier));
    const int32_t other = static_cast<int32_t>(bound((kReach - bias) / multiplier));
    first = (one < other ? one : other) / step * step;
    last = one < other ? other : one;
  }
  int32_t odd = 0;
  for (int32_t i = 0; i <= (last - first) / step; ++i) {
    const float doubled = 2 * (static_cast<float>(first + i * step) * multiplier + bias);
    const int32_t whole = static_cast<int32_t>(doubled);
    odd |= static_cast<float>(whole) == doubled ? whole : 0;
  }
  return odd & 1;
}

// Without the processor's instruction the compiler's builtin would call into its own library.
int32_t count_bits(uint32_t v) {
  v -= (v >> 1) & 0x55555555u;
  v = (v & 0x33333333u) + ((v >> 2) & 0x33333333u);
  return static_cast<int32_t>((((v + (v >> 4)) & 0x0f0f0f0fu) * 0x01010101u) >> 24);
}

}  // namespace

const char* BinaryConv::pack(const ConvConstants& constants) {
  const size_t block = static_cast<size_t>(kernels_->block);
  const size_t taps = static_cast<size_t>(options_.horizontal.kernel);
  const size_t all_taps = taps * static_cast<size_t>(options_.vertical.kernel);
  segment_blocks_ = (static_cast<size_t>(segment_channels_) + block - 1) / block;
  size_t blocks, channels, weights, sums;
  if (!checked_mul(segment_blocks_, static_cast<size_t>(segments_), &blocks) ||
      !checked_mul(blocks, block, &channels) ||
      !checked_mul(channels, taps * static_cast<size_t>(column_words_), &weights) ||
      !checked_mul(channels, all_taps, &sums) || channels > INT32_MAX) {
    return "LceBconv2d: the filter's size overflows";
  }
  const bool zero_padding = options_.same_padding && !options_.pad_with_one;
  if (!weights_.allocate(weights) || !zeros_.allocate(static_cast<size_t>(group_words_)) ||
      !offset_.allocate(channels) || !half_offset_.allocate(channels) ||
      (zero_padding && !tap_sums_.allocate(sums)) ||
      (kind_ == ConvKind::kBits &&
       (!limits_[0].allocate(channels) || !limits_[1].allocate(channels))) ||
      !multiplier_.allocate(channels) || !bias_.allocate(channels) ||
      (misaligned_bits() && !float_limit_.allocate(static_cast<size_t>(channels_out_)))) {
    return "LceBconv2d: out of memory for the weights";
  }
  for (int32_t segment = 0; segment < segments_; ++segment) {
    for (size_t b = 0; b < segment_blocks_; ++b) {
      const int32_t first = static_cast<int32_t>(b * block);
      const int32_t left = segment_channels_ - first;
      const int32_t channels_here = left < kernels_->block ? left : kernels_->block;
      pack_block(constants, segment * segment_channels_ + first, channels_here,
                 static_cast<size_t>(segment) * segment_blocks_ + b);
    }
  }
  return has_few_channels() ? pack_few() : nullptr;
}

// Puts the weights of each channel, which lie in lanes, side by side.
const char* BinaryConv::pack_few() {
  const size_t block = static_cast<size_t>(kernels_->block);
  const size_t words =
      static_cast<size_t>(triples_) * static_cast<size_t>(options_.horizontal.kernel);
  const size_t padded = (words + kFewWords - 1) / kFewWords * kFewWords;
  if (!few_weights_.allocate(3 * padded * static_cast<size_t>(channels_out_))) {
    return "LceBconv2d: out of memory for the weights";
  }
  for (size_t c = 0; c < static_cast<size_t>(channels_out_); ++c) {
    for (size_t plane = 0; plane < 3; ++plane) {
      uint32_t* to = few_weights_.data() + (3 * c + plane) * padded;
      for (size_t i = 0; i < words; ++i) to[i] = weights_[(3 * i + plane) * block + c];
    }
  }
  return nullptr;
}

void BinaryConv::pack_block(const ConvConstants& constants, int32_t first_channel,
                            int32_t channels, size_t block_index) {
  const size_t block = static_cast<size_t>(kernels_->block);
  const size_t width = static_cast<size_t>(options_.horizontal.kernel);
  const size_t filter_words = static_cast<size_t>(options_.vertical.kernel) * width *
                              static_cast<size_t>(group_words_);
  uint32_t* weights =
      weights_.data() + block_index * block * width * static_cast<size_t>(column_words_);
  for (size_t lane = 0; lane < static_cast<size_t>(channels); ++lane) {
    const size_t channel = static_cast<size_t>(first_channel) + lane;
    const size_t slot = block_index * block + lane;
    const uint32_t* filter = constants.filter + channel * filter_words;
    pack_weights(filter, weights + lane);
    offset_[slot] = static_cast<int32_t>(
        depth_ - base_ - int64_t{64} * (triples_ + singles_) * static_cast<int64_t>(width));
    half_offset_[slot] = floor_half(offset_[slot]);
    if (tap_sums_.size() != 0) sum_taps(filter, slot);
    set_output(constants, channel, slot);
  }
}

// Puts the words of a channel's filter into a lane.
void BinaryConv::pack_weights(const uint32_t* filter, uint32_t* out) const {
  const size_t block = static_cast<size_t>(kernels_->block);
  const size_t width = static_cast<size_t>(options_.horizontal.kernel);
  const size_t words = static_cast<size_t>(group_words_);
  const size_t column = static_cast<size_t>(column_words_);
  const size_t triples = static_cast<size_t>(triples_);
  for (size_t x = 0; x < width; ++x) {
    // Word i of a column lies in kernel row i / words.
    const auto word = [&](size_t i) {
      return filter[((i / words) * width + x) * words + i % words];
    };
    for (size_t i = 0; i < triples; ++i) {
      const uint32_t a = word(i);
      const uint32_t parity = a ^ word(i + triples);
      out[0] = a;
      out[block] = parity;
      out[2 * block] = ~(parity ^ word(i + 2 * triples));
      out += 3 * block;
    }
    for (size_t i = 3 * triples; i < column; ++i) {
      out[0] = ~word(i);
      out += block;
    }
  }
}

// Sums a channel's weights at each tap.
void BinaryConv::sum_taps(const uint32_t* filter, size_t slot) {
  const size_t words = static_cast<size_t>(group_words_);
  const size_t stride = offset_.size();
  for (size_t tap = 0; tap * stride < tap_sums_.size(); ++tap) {
    int32_t negative = 0;
    for (size_t i = 0; i < words; ++i) negative += count_bits(filter[tap * words + i]);
    tap_sums_[tap * stride + slot] = options_.channels_in / groups_ - 2 * negative;
  }
}

// Sets what makes a channel's output of a dot product.
void BinaryConv::set_output(const ConvConstants& constants, size_t channel, size_t slot) {
  const int64_t depth = depth_;
  switch (kind_) {
    case ConvKind::kFloat:
      multiplier_[slot] = constants.multiplier[channel];
      bias_[slot] = constants.bias[channel];
      return;
    case ConvKind::kInt8: {
      // LCE's formula to the last bit, but for the sign: it works on depth - dot.
      const double scale = constants.output_scale;
      const double multiplier = constants.multiplier[channel];
      const double bias = constants.bias[channel];
      multiplier_[slot] = static_cast<float>(multiplier / scale);
      bias_[slot] = static_cast<float>((bias + static_cast<double>(depth) * multiplier) / scale +
                                       constants.output_zero_point);
      const double most = 2.0 * static_cast<double>(depth) * __builtin_fabs(multiplier / scale) +
                          __builtin_fabs(static_cast<double>(bias_[slot]));
      fits_int_ = fits_int_ && most < (1 << 30);
      has_ties_ = has_ties_ || !fits_int_ ||
                  has_tie(depth_, tap_sums_.size() == 0 ? 2 : 1, multiplier_[slot], bias_[slot]);
      return;
    }
    case ConvKind::kBits: {
      // LCE: (depth - dot) / 2 > threshold.
      const int32_t limit = clamp_to_int32(depth - 2 * int64_t{constants.threshold[channel]},
                                           -depth - 1, depth + 1);
      limits_[0][slot] = floor_half(limit + 1);
      limits_[1][slot] = floor_half(limit);
      multiplier_[slot] = 1.0f;
      if (float_limit_.size() != 0) float_limit_[channel] = static_cast<float>(limit);
      return;
    }
  }
}

}  // namespace larq_dense
