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

// Up to here a sum of bytes times quarters of weights is exact in 16 bits.
constexpr int kMostQuarters = 255;

}  // namespace

size_t Conv2dConstants::row_size() const {
  const size_t columns = static_cast<size_t>(filter_shape.dims[2]);
  return depthwise ? columns : columns * static_cast<size_t>(filter_shape.dims[3]);
}

int8_t Conv2dConstants::weight(int32_t channel, size_t row, size_t i) const {
  const size_t at = row * row_size() + i, c = static_cast<size_t>(channel);
  return depthwise ? filter[at * static_cast<size_t>(filter_shape.dims[3]) + c]
                   : filter[c * static_cast<size_t>(filter_shape.dims[1]) * row_size() + at];
}

float Conv2dConstants::multiplier(int32_t channel) const {
  return input_scale * scales[scale_count == 1 ? 0 : channel] / output_scale;
}

bool rounds_safely(const Conv2dConstants& c) {
  if (!is_power_of_two(c.input_scale) || !is_power_of_two(c.output_scale)) return false;
  for (int32_t channel = 0; channel < c.channels_out(); ++channel) {
    const float multiplier = c.multiplier(channel);
    // A sum is 2 beyond a multiple of 4, which is a half only of 4.
    if (!is_power_of_two(multiplier) || multiplier == 0.25f || multiplier > 1.0f) return false;
    int64_t weights = 0;
    int any = 0;
    for (size_t y = 0; y < static_cast<size_t>(c.filter_shape.dims[1]); ++y) {
      for (size_t i = 0; i < c.row_size(); ++i) {
        const int8_t weight = c.weight(channel, y, i);
        any |= weight;
        weights += weight < 0 ? -weight : weight;
      }
    }
    const int64_t bias = c.bias[channel];
    if ((any & 3) != 0 || (bias & 3) != 2 || (c.depthwise && weights / 4 > kMostQuarters) ||
        255 * weights + (bias < 0 ? -bias : bias) >= kMostExact) {
      return false;
    }
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
  channels_out_ = constants.channels_out();
  channels_in_ = filter.dims[3];
  input_zero_point_ = constants.input_zero_point;
  output_zero_point_ = constants.output_zero_point;
  const size_t block = static_cast<size_t>(kernels->block);
  const size_t group = static_cast<size_t>(kernels->group);
  const size_t groups = (constants.row_size() + group - 1) / group;
  const size_t in_row = options.depthwise ? constants.row_size() : group * groups;
  size_t channels, weights;
  if (!checked_round_up(static_cast<size_t>(channels_out_), block, &channels) ||
      channels > INT32_MAX || groups > INT32_MAX / group ||
      !checked_mul(in_row, static_cast<size_t>(filter.dims[1]), &weights) ||
      !checked_mul(weights, channels, &weights)) {
    return "Conv2D: the filter's size overflows";
  }
  groups_ = static_cast<int32_t>(groups);
  if (!(options.depthwise ? wide_quarters_.allocate(weights) : quarters_.allocate(weights)) ||
      !offset_.allocate(channels) || !multiplier_.allocate(channels) ||
      !bias_.allocate(channels)) {
    return "Conv2D: out of memory for the weights";
  }
  pack(constants);
  return nullptr;
}

// For each block of channels and row of the window, a quarter of each weight: a group of each
// channel after the other, of a depthwise one single ones.
void Conv2d::pack(const Conv2dConstants& constants) {
  const size_t block = static_cast<size_t>(kernels_->block);
  const size_t row = constants.row_size(), groups = static_cast<size_t>(groups_);
  const size_t group = static_cast<size_t>(kernels_->group);
  const size_t rows = static_cast<size_t>(options_.vertical.kernel);
  for (size_t c = 0; c < static_cast<size_t>(channels_out_); ++c) {
    const size_t first = c / block * rows, lane = c % block;
    int32_t sum = 0;
    for (size_t y = 0; y < rows; ++y) {
      for (size_t i = 0; i < row; ++i) {
        const int8_t weight = constants.weight(static_cast<int32_t>(c), y, i);
        sum += weight;
        if (options_.depthwise) {
          wide_quarters_[((first + y) * row + i) * block + lane] = weight / 4;
        } else {
          quarters_[(((first + y) * groups + i / group) * block + lane) * group + i % group] =
              static_cast<int8_t>(weight / 4);
        }
      }
    }
    // What the zero point means is to be subtracted.
    offset_[c] = constants.bias[c] - sum * (input_zero_point_ + byte_offset());
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
      !checked_round_up(row_bytes_ + static_cast<size_t>(kernels_->block), kAlignment,
                        &row_bytes_) ||
      !checked_mul(row_bytes_, static_cast<size_t>(options_.vertical.kernel),
                   &workspace_bytes_) ||
      workspace_bytes_ > size_t{256} << 20) {
    return "Conv2D: the window is too large";
  }
  return nullptr;
}

// Copies the rows of the input that a row of the output is made of, padded; as bytes, but for a
// depthwise one.
void Conv2d::prepare_row(int64_t row, const int8_t* input, uint8_t* window) const {
  const int64_t height = input_.dims[1], width = input_.dims[2];
  const int64_t picture = row / output_.dims[1] * height;
  const int64_t top = row % output_.dims[1] * options_.vertical.stride - pad_top_;
  const size_t pixel = static_cast<size_t>(channels_in_);
  const int64_t columns = int64_t{output_.dims[2] - 1} * options_.horizontal.stride +
                          options_.horizontal.kernel;
  const int64_t left = pad_left_ < columns ? pad_left_ : columns;
  const int64_t rest = columns - left < width ? columns - left : width;
  const uint8_t zero = static_cast<uint8_t>(input_zero_point_ + byte_offset());
  for (int64_t y = 0; y < options_.vertical.kernel; ++y, window += row_bytes_) {
    if (top + y < 0 || top + y >= height) {
      memset(window, zero, row_bytes_);
      continue;
    }
    const int8_t* from = input + static_cast<size_t>((picture + top + y) * width) * pixel;
    uint8_t* to = window + static_cast<size_t>(left) * pixel;
    const size_t inside = static_cast<size_t>(rest) * pixel;
    memset(window, zero, static_cast<size_t>(left) * pixel);
    if (options_.depthwise) {
      memcpy(to, from, inside);
    } else {
      kernels_->to_bytes(from, inside, to);
    }
    memset(to + inside, zero, static_cast<size_t>(window + row_bytes_ - (to + inside)));
  }
}

void Conv2d::run_block(int32_t first, const uint8_t* window, const Int8Output& output) const {
  const int32_t block = kernels_->block;
  const ptrdiff_t pixel = ptrdiff_t{options_.horizontal.stride} * channels_in_;
  const int channels = channels_out_ - first < block ? channels_out_ - first : block;
  const int rows = options_.vertical.kernel, taps = options_.horizontal.kernel;
  if (options_.depthwise) {
    DepthTile tile;
    tile.x = reinterpret_cast<const int8_t*>(window) + first;
    tile.pixel = pixel;
    tile.row = static_cast<ptrdiff_t>(row_bytes_);
    tile.tap = channels_in_;
    tile.rows = rows;
    tile.taps = taps;
    tile.w = wide_quarters_.data() + ptrdiff_t{first} * rows * taps;
    tile.offset = offset_.data() + first;
    tile.pixels = output_.dims[2];
    tile.channels = channels;
    kernels_->conv_depth(tile, output);
  } else {
    ByteTile tile;
    tile.x = window;
    tile.pixel = pixel;
    tile.row = static_cast<ptrdiff_t>(row_bytes_);
    tile.rows = rows;
    tile.groups = groups_;
    tile.w = quarters_.data() + ptrdiff_t{kernels_->group} * first * groups_ * rows;
    tile.offset = offset_.data() + first;
    tile.pixels = output_.dims[2];
    tile.channels = channels;
    kernels_->conv_bytes(tile, output);
  }
}

void Conv2d::run_row(int64_t row, const int8_t* input, const ConvTarget& target,
                     void* workspace) const {
  const int64_t width = output_.dims[2];
  for (int j = 0; j < target.bit_outputs; ++j) {
    clear_padding(target.bits[j], row, width, channels_out_);
  }
  uint8_t* window = static_cast<uint8_t*>(workspace);
  prepare_row(row, input, window);
  for (int32_t first = 0; first < channels_out_; first += kernels_->block) {
    Int8Output output = {};
    aim(target, {row, width, channels_out_, channels_out_, 0, 0, first}, &output);
    output.multiplier = multiplier_.data() + first;
    output.bias = bias_.data() + first;
    output.fits_int = true;
    output.zero_point = output_zero_point_;
    run_block(first, window, output);
  }
}

}  // namespace larq_dense
