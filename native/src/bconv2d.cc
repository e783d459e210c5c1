// What a binary convolution is, and how it lies in the pictures.
#include "bconv2d.h"

#include "graph.h"
#include "operator.h"

namespace larq_dense {
namespace {

// The range that a fused activation leaves of a dot product in [-depth, depth].
bool activation_range(int activation, int32_t depth, int32_t* low, int32_t* high) {
  float least, most;
  if (!activation_limits(activation, &least, &most)) return false;
  *low = least < -depth ? -depth : static_cast<int32_t>(least);
  *high = most > depth ? depth : static_cast<int32_t>(most);
  return true;
}

}  // namespace

const char* BinaryConv::configure(const Kernels* kernels, const ConvOptions& options,
                                  ConvKind kind, const ConvConstants& constants, int segments) {
  kernels_ = kernels;
  options_ = options;
  kind_ = kind;
  channels_out_ = constants.channels_out;
  const int32_t height = options.vertical.kernel;
  const int32_t width = options.horizontal.kernel;
  if (options.channels_in <= 0 || channels_out_ <= 0 || height <= 0 || width <= 0 ||
      constants.filter_words <= 0) {
    return "LceBconv2d: a filter without elements";
  }
  const int32_t words = words_for(options.channels_in);
  if (words % constants.filter_words != 0) {
    return "LceBconv2d: the filter's channels do not divide the input's";
  }
  groups_ = words / constants.filter_words;
  group_words_ = constants.filter_words;
  if (groups_ > 1 &&
      (options.channels_in % groups_ != 0 || (options.channels_in / groups_) % 32 != 0 ||
       channels_out_ % groups_ != 0)) {
    return "LceBconv2d: groups must hold a multiple of 32 input channels and divide the output's";
  }
  if (segments != 1 && (groups_ != 1 || channels_out_ % segments != 0)) {
    return "LceBconv2d: the output cannot be split";
  }
  segments_ = groups_ > 1 ? groups_ : segments;
  segment_channels_ = channels_out_ / segments_;

  const int64_t depth = int64_t{height} * width * (options.channels_in / groups_);
  const int64_t column_words = int64_t{height} * group_words_;
  // Up to here a dot product is exact in a float, and nothing below overflows.
  if (int64_t{height} * width > (1 << 24) || depth > (1 << 24) ||
      column_words * width > (1 << 24)) {
    return "LceBconv2d: more than 2^24 inputs to one output";
  }
  depth_ = static_cast<int32_t>(depth);
  column_words_ = static_cast<int32_t>(column_words);
  triples_ = column_words_ / 3;
  singles_ = column_words_ % 3;
  if (!activation_range(options.activation, depth_, &clamp_min_, &clamp_max_)) {
    return "LceBconv2d: unknown fused activation";
  }
  base_ = kind_ == ConvKind::kInt8 ? depth_ : 0;
  fits_int_ = true;
  has_ties_ = false;
  zero_point_ = constants.output_zero_point;
  return pack(constants);
}

// Whether lanes for channels would mostly lie empty.
bool BinaryConv::has_few_channels() const {
  return kind_ == ConvKind::kBits && channels_out_ <= kFewChannels && segments_ == 1 &&
         singles_ == 0 && options_.horizontal.dilation == 1 &&
         int64_t{triples_} * options_.horizontal.kernel <= kernels_->few_triples;
}

bool BinaryConv::misaligned_bits() const {
  return kind_ == ConvKind::kBits && segments_ > 1 && segment_channels_ % 8 != 0;
}

const char* BinaryConv::set_input(const Shape& input) {
  if (input.rank != 4) return "LceBconv2d: the input must have 4 dimensions";
  if (input.dims[0] <= 0 || input.dims[3] != words_for(options_.channels_in)) {
    return "LceBconv2d: the input's shape does not fit the filter's";
  }
  int32_t height, width;
  if (!slide(options_.vertical, options_.same_padding, input.dims[1], &height, &pad_top_) ||
      !slide(options_.horizontal, options_.same_padding, input.dims[2], &width, &pad_left_)) {
    return "LceBconv2d: the window does not fit the input";
  }
  input_ = input;
  output_.rank = 4;
  output_.dims[0] = input.dims[0];
  output_.dims[1] = height;
  output_.dims[2] = width;
  output_.dims[3] = kind_ == ConvKind::kBits ? words_for(channels_out_) : channels_out_;

  const int64_t stride = options_.horizontal.stride;
  const int64_t reach =
      (int64_t{options_.horizontal.kernel} - 1) * options_.horizontal.dilation + 1;
  // A kernel of width 1 never looks at the columns that its stride skips.
  column_step_ = options_.horizontal.kernel == 1 ? options_.horizontal.stride : 1;
  const int64_t columns =
      column_step_ == 1 ? (int64_t{width} - 1) * stride + reach : int64_t{width};
  size_t words, spill = 0;
  size_t elements;
  if (columns > INT32_MAX || !count_elements(input_, &elements) ||
      !checked_mul(elements, 4, &elements) || !count_elements(output_, &elements) ||
      !checked_mul(elements, 4, &elements) || elements > PTRDIFF_MAX ||
      !checked_mul(static_cast<size_t>(columns), static_cast<size_t>(column_words_), &words) ||
      !checked_add(words, kFewWords, &words) ||  // that may be read, but not used
      !checked_mul(words, sizeof(uint32_t), &columns_bytes_) ||
      !checked_round_up(columns_bytes_, kAlignment, &columns_bytes_) ||
      !checked_mul(offset_.size(), 3 * sizeof(int32_t), &offsets_bytes_) ||
      (misaligned_bits() &&
       (!checked_mul(static_cast<size_t>(width), static_cast<size_t>(channels_out_), &spill) ||
        !checked_mul(spill, sizeof(float), &spill))) ||
      !checked_add(columns_bytes_, offsets_bytes_, &workspace_bytes_) ||
      !checked_add(workspace_bytes_, spill, &workspace_bytes_) ||
      !checked_round_up(workspace_bytes_, kAlignment, &workspace_bytes_)) {
    return "LceBconv2d: the input's size overflows";
  }
  // Real networks need less than a megabyte; only absurd dilations ask for more.
  if (workspace_bytes_ > size_t{256} << 20) return "LceBconv2d: the window is too large";
  columns_ = static_cast<int32_t>(columns);

  // Output x reads columns x * stride - pad ... + reach - 1 of the input.
  const int64_t first = (pad_left_ + stride - 1) / stride;
  const int64_t last = (int64_t{input.dims[2]} + pad_left_ - reach) >= 0
                           ? (int64_t{input.dims[2]} + pad_left_ - reach) / stride
                           : -1;
  inner_first_ = clamp_to_int32(first, 0, width);
  inner_end_ = clamp_to_int32(last + 1, inner_first_, width);
  return nullptr;
}

Range BinaryConv::input_rows(int64_t row) const {
  const int64_t height = input_.dims[1];
  const int64_t picture = row / output_.dims[1] * height;
  const int64_t top = row % output_.dims[1] * options_.vertical.stride - pad_top_;
  const int64_t bottom = top + int64_t{options_.vertical.kernel - 1} * options_.vertical.dilation;
  const int64_t first = top < 0 ? 0 : top;
  const int64_t last = bottom < height ? bottom : height - 1;
  return first <= last ? Range{picture + first, picture + last + 1} : Range{picture, picture};
}

}  // namespace larq_dense
