#include "conv2d.h"

#include <string.h>

namespace larq_dense {
namespace {

// Up to here an integer is exact in a float.
constexpr int64_t kMostExact = 1 << 24;

// A power of two has no other bits in its fraction.
bool is_power_of_two(float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  return v > 0 && v < __builtin_inff() && (bits & 0x7fffff) == 0 && bits >= 0x00800000;
}

size_t filter_row(const Shape& filter) {
  return static_cast<size_t>(filter.dims[2]) * static_cast<size_t>(filter.dims[3]);
}

size_t filter_size(const Shape& filter) {
  return static_cast<size_t>(filter.dims[1]) * filter_row(filter);
}

}  // namespace

float Conv2dConstants::multiplier(int32_t channel) const {
  return input_scale * scales[scale_count == 1 ? 0 : channel] / output_scale;
}

bool rounds_safely(const Conv2dConstants& c) {
  if (!is_power_of_two(c.input_scale) || !is_power_of_two(c.output_scale)) return false;
  const size_t size = filter_size(c.filter_shape);
  for (int32_t channel = 0; channel < c.filter_shape.dims[0]; ++channel) {
    const float multiplier = c.multiplier(channel);
    // A sum is 2 beyond a multiple of 4, which is a half only of 4.
    if (!is_power_of_two(multiplier) || multiplier == 0.25f || multiplier > 1.0f) return false;
    const int8_t* weights = c.filter + static_cast<size_t>(channel) * size;
    int64_t most = c.bias[channel] < 0 ? -int64_t{c.bias[channel]} : int64_t{c.bias[channel]};
    int any = 0;
    for (size_t i = 0; i < size; ++i) {
      any |= weights[i];
      most += int64_t{255} * (weights[i] < 0 ? -weights[i] : weights[i]);
    }
    if ((any & 3) != 0 || (c.bias[channel] & 3) != 2 || most >= kMostExact) return false;
  }
  return true;
}

const char* Conv2d::configure(const Kernels* kernels, const Conv2dOptions& options,
                              const Conv2dConstants& constants) {
  kernels_ = kernels;
  options_ = options;
  const Shape& filter = constants.filter_shape;
  options_.vertical.kernel = filter.dims[1];
  options_.horizontal.kernel = filter.dims[2];
  channels_out_ = filter.dims[0];
  channels_in_ = filter.dims[3];
  input_zero_point_ = constants.input_zero_point;
  output_zero_point_ = constants.output_zero_point;
  const size_t block = static_cast<size_t>(kernels->block);
  const size_t quads = (filter_row(filter) + 3) / 4;
  size_t channels, weights;
  if (!checked_round_up(static_cast<size_t>(channels_out_), block, &channels) ||
      channels > INT32_MAX || quads > INT32_MAX / 4 ||
      !checked_mul(4 * quads, static_cast<size_t>(filter.dims[1]), &weights) ||
      !checked_mul(weights, channels, &weights)) {
    return "Conv2D: the filter's size overflows";
  }
  quads_ = static_cast<int32_t>(quads);
  if (!weights_.allocate(weights) || !offset_.allocate(channels) ||
      !multiplier_.allocate(channels) || !bias_.allocate(channels)) {
    return "Conv2D: out of memory for the weights";
  }
  pack(constants);
  return nullptr;
}

// For each block of channels and row of the window, four weights of each channel after the other.
void Conv2d::pack(const Conv2dConstants& constants) {
  const size_t block = static_cast<size_t>(kernels_->block);
  const size_t row = filter_row(constants.filter_shape);
  const size_t size = filter_size(constants.filter_shape);
  const size_t rows = size / row, quads = static_cast<size_t>(quads_);
  for (size_t c = 0; c < static_cast<size_t>(channels_out_); ++c) {
    const int8_t* from = constants.filter + c * size;
    int8_t* to = weights_.data() + (c / block * rows * quads * block + c % block) * 4;
    int32_t sum = 0;
    for (size_t y = 0; y < rows; ++y) {
      for (size_t i = 0; i < row; ++i) {
        to[(y * quads + i / 4) * block * 4 + i % 4] = from[y * row + i];
        sum += from[y * row + i];
      }
    }
    // The bytes are 128 more than the int8s, of which the zero point is to be taken away.
    offset_[c] = constants.bias[c] - sum * (128 + input_zero_point_);
    multiplier_[c] = constants.multiplier(static_cast<int32_t>(c));
    bias_[c] = static_cast<float>(output_zero_point_);
  }
}

const char* Conv2d::set_input(const Shape& input) {
  if (input.rank != 4 || input.dims[0] <= 0 || input.dims[3] != channels_in_) {
    return "Conv2D: the input's shape does not fit the filter's";
  }
  input_ = input;
  output_.rank = 4;
  output_.dims[0] = input.dims[0];
  output_.dims[3] = channels_out_;
  if (!slide(options_.vertical, options_.same_padding, input.dims[1], &output_.dims[1],
             &pad_top_) ||
      !slide(options_.horizontal, options_.same_padding, input.dims[2], &output_.dims[2],
             &pad_left_)) {
    return "Conv2D: the window does not fit the input";
  }
  const size_t columns = static_cast<size_t>(output_.dims[2] - 1) *
                             static_cast<size_t>(options_.horizontal.stride) +
                         static_cast<size_t>(options_.horizontal.kernel);
  size_t elements;
  if (!count_elements(output_, &elements) ||
      !checked_mul(columns, static_cast<size_t>(channels_in_), &row_bytes_) ||
      !checked_round_up(row_bytes_ + 3, kAlignment, &row_bytes_) ||
      !checked_mul(row_bytes_, static_cast<size_t>(options_.vertical.kernel),
                   &workspace_bytes_) ||
      workspace_bytes_ > size_t{256} << 20) {
    return "Conv2D: the window is too large";
  }
  return nullptr;
}

// Copies the rows of the input that a row of the output is made of, padded, as bytes.
void Conv2d::prepare_row(int64_t row, const int8_t* input, uint8_t* window) const {
  const int64_t height = input_.dims[1], width = input_.dims[2];
  const int64_t picture = row / output_.dims[1] * height;
  const int64_t top = row % output_.dims[1] * options_.vertical.stride - pad_top_;
  const size_t pixel = static_cast<size_t>(channels_in_);
  const int64_t columns = int64_t{output_.dims[2] - 1} * options_.horizontal.stride +
                          options_.horizontal.kernel;
  const int64_t left = pad_left_ < columns ? pad_left_ : columns;
  const int64_t rest = columns - left < width ? columns - left : width;
  const uint8_t zero = static_cast<uint8_t>(input_zero_point_ + 128);
  for (int64_t y = 0; y < options_.vertical.kernel; ++y, window += row_bytes_) {
    if (top + y < 0 || top + y >= height) {
      memset(window, zero, row_bytes_);
      continue;
    }
    const int8_t* from = input + static_cast<size_t>((picture + top + y) * width) * pixel;
    uint8_t* to = window + static_cast<size_t>(left) * pixel;
    const size_t inside = static_cast<size_t>(rest) * pixel;
    memset(window, zero, static_cast<size_t>(left) * pixel);
    for (size_t i = 0; i < inside; ++i) to[i] = static_cast<uint8_t>(from[i]) ^ 0x80;
    memset(to + inside, zero, static_cast<size_t>(window + row_bytes_ - (to + inside)));
  }
}

void Conv2d::run_row(int64_t row, const int8_t* input, const ConvTarget& target,
                     void* workspace) const {
  const int64_t width = output_.dims[2];
  if (channels_out_ % 32 != 0) {
    // The kernels write whole bytes only; the rest of the last word must be zero.
    const int64_t words = width * words_for(channels_out_);
    for (int j = 0; j < target.bit_outputs; ++j) {
      memset(target.bits[j] + row * words, 0, static_cast<size_t>(words) * 4);
    }
  }
  uint8_t* window = static_cast<uint8_t*>(workspace);
  prepare_row(row, input, window);
  ByteTile tile;
  tile.x = window;
  tile.pixel = ptrdiff_t{options_.horizontal.stride} * channels_in_;
  tile.row = static_cast<ptrdiff_t>(row_bytes_);
  tile.rows = options_.vertical.kernel;
  tile.quads = quads_;
  tile.pixels = output_.dims[2];
  const int32_t block = kernels_->block;
  const ptrdiff_t weights = ptrdiff_t{4} * block * quads_ * tile.rows;
  for (int32_t first = 0; first < channels_out_; first += block) {
    tile.w = weights_.data() + first / block * weights;
    tile.offset = offset_.data() + first;
    tile.channels = channels_out_ - first < block ? channels_out_ - first : block;
    Int8Output output = {};
    aim(target, {row, width, channels_out_, channels_out_, 0, 0, first}, &output);
    output.multiplier = multiplier_.data() + first;
    output.bias = bias_.data() + first;
    output.fits_int = true;
    output.zero_point = output_zero_point_;
    kernels_->conv_bytes(tile, output);
  }
}

}  // namespace larq_dense
