#include "bconv2d.h"

#include "tflite_abi.h"

namespace larq_dense {
namespace {

int32_t clamp_to_int32(int64_t value, int64_t low, int64_t high) {
  return static_cast<int32_t>(value < low ? low : (value > high ? high : value));
}

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

int32_t floor_half(int32_t value) { return (value - (value & 1)) / 2; }

// Without the processor's instruction the compiler's builtin would call into its own library.
int32_t count_bits(uint32_t v) {
  v -= (v >> 1) & 0x55555555u;
  v = (v & 0x33333333u) + ((v >> 2) & 0x33333333u);
  return static_cast<int32_t>((((v + (v >> 4)) & 0x0f0f0f0fu) * 0x01010101u) >> 24);
}

// The range that a fused activation leaves of a dot product in [-depth, depth].
bool activation_range(int activation, int32_t depth, int32_t* low, int32_t* high) {
  *low = -depth;
  *high = depth;
  switch (activation) {
    case kTfLiteActNone:
      return true;
    case kTfLiteActRelu:
      *low = 0;
      return true;
    case kTfLiteActReluN1To1:
      *low = -1;
      *high = 1;
      return true;
    case kTfLiteActRelu6:
      *low = 0;
      *high = depth < 6 ? depth : 6;
      return true;
    default:
      return false;
  }
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

// Whether lanes for channels would mostly lie empty.
bool BinaryConv::has_few_channels() const {
  return kind_ == ConvKind::kBits && channels_out_ <= kFewChannels && segments_ == 1 &&
         singles_ == 0 && options_.horizontal.dilation == 1 &&
         int64_t{triples_} * options_.horizontal.kernel <= kernels_->few_triples;
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
  const size_t height = static_cast<size_t>(options_.vertical.kernel);
  const size_t width = static_cast<size_t>(options_.horizontal.kernel);
  const size_t words = static_cast<size_t>(group_words_);
  const size_t column = static_cast<size_t>(column_words_);
  const size_t triples = static_cast<size_t>(triples_);
  const int64_t depth = depth_;
  const int32_t channels_in = options_.channels_in / groups_;

  for (size_t lane = 0; lane < static_cast<size_t>(channels); ++lane) {
    const size_t channel = static_cast<size_t>(first_channel) + lane;
    const size_t slot = block_index * block + lane;
    const uint32_t* filter = constants.filter + channel * height * width * words;
    // Word i of a column lies in kernel row i / words.
    const auto word = [&](size_t x, size_t i) {
      return filter[((i / words) * width + x) * words + i % words];
    };
    uint32_t* out = weights_.data() + block_index * block * width * column + lane;
    for (size_t x = 0; x < width; ++x) {
      for (size_t i = 0; i < triples; ++i) {
        const uint32_t a = word(x, i);
        const uint32_t parity = a ^ word(x, i + triples);
        out[0] = a;
        out[block] = parity;
        out[2 * block] = ~(parity ^ word(x, i + 2 * triples));
        out += 3 * block;
      }
      for (size_t i = 3 * triples; i < column; ++i) {
        out[0] = ~word(x, i);
        out += block;
      }
    }
    offset_[slot] = static_cast<int32_t>(
        depth - base_ - int64_t{64} * (triples_ + singles_) * static_cast<int64_t>(width));
    half_offset_[slot] = floor_half(offset_[slot]);

    if (tap_sums_.size() != 0) {
      for (size_t tap = 0; tap < height * width; ++tap) {
        int32_t negative = 0;
        for (size_t i = 0; i < words; ++i) {
          negative += count_bits(filter[tap * words + i]);
        }
        const size_t stride = offset_.size();
        tap_sums_[tap * stride + slot] = channels_in - 2 * negative;
      }
    }
    switch (kind_) {
      case ConvKind::kFloat:
        multiplier_[slot] = constants.multiplier[channel];
        bias_[slot] = constants.bias[channel];
        break;
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
        break;
      }
      case ConvKind::kBits: {
        // LCE: (depth - dot) / 2 > threshold.
        const int32_t limit = clamp_to_int32(depth - 2 * int64_t{constants.threshold[channel]},
                                             -depth - 1, depth + 1);
        limits_[0][slot] = floor_half(limit + 1);
        limits_[1][slot] = floor_half(limit);
        multiplier_[slot] = 1.0f;
        if (float_limit_.size() != 0) float_limit_[channel] = static_cast<float>(limit);
        break;
      }
    }
  }
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

// Prepares the words of column j, which word(i) gives.
template <class Word>
void BinaryConv::prepare_column(const Word& word, int32_t j, uint32_t* columns) const {
  const int32_t triples = triples_;
  uint32_t* first = columns + int64_t{j} * triples;
  uint32_t* two = first + plane();
  uint32_t* three = two + plane();
  for (int32_t i = 0; i < triples; ++i) {
    const uint32_t a = word(i);
    const uint32_t parity = a ^ word(i + triples);
    first[i] = a;
    two[i] = parity;
    three[i] = parity ^ word(i + 2 * triples);
  }
  uint32_t* single = columns + 3 * plane() + int64_t{j} * singles_;
  for (int32_t i = 0; i < singles_; ++i) single[i] = word(3 * triples + i);
}

// Where the words of all columns' first, second and third words of a triple lie, and then those left
// over, is a plane each.
void BinaryConv::prepare_row(int64_t row, int group, const uint32_t* input,
                             uint32_t* columns) const {
  // Kernels this tall exist only in malformed files, yet they must work: in slices they would need
  // more code, so the pointers of taller ones are gathered word by word.
  constexpr int32_t kMaxHeight = 32;
  const int32_t height = options_.vertical.kernel;
  const int64_t picture = row / output_.dims[1];
  const int64_t top = (row % output_.dims[1]) * options_.vertical.stride - pad_top_;
  const int64_t words = input_.dims[3];
  const int64_t width = input_.dims[2];
  const uint32_t* base = input + picture * input_.dims[1] * width * words + group * group_words_;

  if (height > kMaxHeight) {
    for (int32_t j = 0; j < columns_; ++j) {
      const int64_t x = int64_t{j} * column_step_ - pad_left_;
      const auto word = [&](int32_t i) -> uint32_t {
        const int64_t y = top + int64_t{i / group_words_} * options_.vertical.dilation;
        if (x < 0 || x >= width || y < 0 || y >= input_.dims[1]) return 0;
        return base[(y * width + x) * words + i % group_words_];
      };
      prepare_column(word, j, columns);
    }
    return;
  }

  // A padded pixel is all +1, which is all zero bits.
  const uint32_t* rows[kMaxHeight];
  for (int32_t y = 0; y < height; ++y) {
    const int64_t source = top + int64_t{y} * options_.vertical.dilation;
    rows[y] = source >= 0 && source < input_.dims[1] ? base + source * width * words : nullptr;
  }
  if (height == 3) return prepare_row_of_three(rows, columns);

  const uint32_t* sources[kMaxHeight];
  const uint32_t* nothing = zeros_.data();
  for (int32_t j = 0; j < columns_; ++j) {
    const int64_t x = int64_t{j} * column_step_ - pad_left_;
    const bool inside = x >= 0 && x < width;
    for (int32_t y = 0; y < height; ++y) {
      sources[y] = rows[y] == nullptr || !inside ? nothing : rows[y] + x * words;
    }
    if (height == 1) {
      const uint32_t* source = sources[0];
      prepare_column([&](int32_t i) { return source[i]; }, j, columns);
    } else {
      prepare_column([&](int32_t i) { return sources[i / group_words_][i % group_words_]; }, j,
                     columns);
    }
  }
}

// Each triple is a word of each row: whole rows are prepared at once where their columns lie side by
// side.
void BinaryConv::prepare_row_of_three(const uint32_t* const* rows, uint32_t* columns) const {
  const int64_t words = input_.dims[3];
  const int64_t count = group_words_;
  const auto fill = [&](int64_t first, int64_t end, int64_t x, bool inside) {
    const auto source = [&](int y) {
      return rows[y] == nullptr || !inside ? nullptr : rows[y] + x * words;
    };
    kernels_->prepare_triples(source(0), source(1), source(2),
                              static_cast<size_t>((end - first) * count), columns + first * count,
                              plane());
  };
  if (groups_ == 1 && column_step_ == 1) {
    const int64_t left = pad_left_ < columns_ ? pad_left_ : columns_;
    const int64_t right = left + input_.dims[2] < columns_ ? left + input_.dims[2] : columns_;
    fill(0, left, 0, false);
    fill(left, right, 0, true);
    fill(right, columns_, 0, false);
    return;
  }
  for (int32_t j = 0; j < columns_; ++j) {
    const int64_t x = int64_t{j} * column_step_ - pad_left_;
    fill(j, j + 1, x, x >= 0 && x < input_.dims[2]);
  }
}

void BinaryConv::run_pixels(int64_t row, int segment, const uint32_t* columns,
                            const Offsets& offsets, int32_t first, int32_t count,
                            const ConvTarget& target, float* spill) const {
  if (count <= 0) return;
  const int32_t block = kernels_->block;
  // Where the first cache holds all weights, a few pixels are finished before the next, so that the
  // output is written in one stream; else all pixels go through one block of weights.
  const int32_t some = (kind_ == ConvKind::kFloat ? 4 : 16) * kernels_->pixels;
  if (count > some && segment_blocks_ > 1 &&
      weights_.size() / static_cast<size_t>(segments_) * sizeof(uint32_t) <= 24 * 1024) {
    for (int32_t x = 0; x < count; x += some) {
      run_pixels(row, segment, columns, offsets, first + x, count - x < some ? count - x : some,
                 target, spill);
    }
    return;
  }
  ConvTile tile;
  const int64_t step = options_.horizontal.kernel == 1 ? 1 : options_.horizontal.stride;
  const auto planes = [&](const uint32_t* x, int32_t words) {
    return Columns{x + first * step * words, step * words,
                   int64_t{options_.horizontal.dilation} * words, words};
  };
  tile.triples = planes(columns, triples_);
  tile.plane = static_cast<ptrdiff_t>(plane());
  tile.singles = planes(columns + 3 * plane(), singles_);
  tile.taps = options_.horizontal.kernel;
  tile.odd = offsets.odd;
  tile.pixels = count;
  if (singles_ == 0 && options_.horizontal.dilation == 1) {
    // The columns of a window lie side by side: one long run.
    tile.triples.count *= tile.taps;
    tile.taps = 1;
  }

  const size_t block_weights = static_cast<size_t>(block) *
                               static_cast<size_t>(options_.horizontal.kernel) *
                               static_cast<size_t>(column_words_);
  for (size_t b = 0; b < segment_blocks_; ++b) {
    const size_t index = static_cast<size_t>(segment) * segment_blocks_ + b;
    const int64_t in_segment = static_cast<int64_t>(b) * block;
    const size_t slot = index * static_cast<size_t>(block);
    tile.w = weights_.data() + index * block_weights;
    tile.offset = offsets.halves + slot;
    const int64_t left = segment_channels_ - in_segment;
    tile.channels = static_cast<int>(left < block ? left : block);
    const int64_t pixel = row * output_.dims[2] + first;
    const int64_t channel = int64_t{segment} * segment_channels_ + in_segment;
    const Place place = {row,     output_.dims[2], channels_out_, segment_channels_,
                         segment, first,           in_segment};

    if (spill != nullptr) {
      FloatOutput output = {};
      output.out_pixel = channels_out_;
      output.out = spill + int64_t{first} * channels_out_ + channel;
      output.multiplier = multiplier_.data() + slot;
      output.bias = bias_.data() + slot;
      kernels_->conv_float(tile, output);
    } else if (kind_ == ConvKind::kBits) {
      BitOutput output;
      output.out_pixel = ptrdiff_t{output_.dims[3]} * 4;
      output.out = static_cast<uint8_t*>(target.out) + pixel * output.out_pixel + channel / 8;
      output.limit = limits_[offsets.odd].data() + slot;
      if (has_few_channels()) {
        tile.w = few_weights_.data();
        kernels_->conv_few(tile, output);
      } else {
        kernels_->conv_bits(tile, output);
      }
    } else if (kind_ == ConvKind::kInt8) {
      run_block(tile, place, slot, target, kernels_->conv_int8);
    } else {
      run_block(tile, place, slot, target, kernels_->conv_float);
    }
  }
}

template <class T>
void BinaryConv::run_block(const ConvTile& tile, const Place& place, size_t slot,
                           const ConvTarget& target,
                           void (*kernel)(const ConvTile&, const ConvOutput<T>&)) const {
  ConvOutput<T> output;
  aim(target, place, &output);
  output.multiplier = multiplier_.data() + slot;
  output.bias = bias_.data() + slot;
  output.clamped_below = clamp_min_ > -depth_;
  output.clamped_above = clamp_max_ < depth_;
  output.clamp_min = clamp_min_ - base_;
  output.clamp_max = clamp_max_ - base_;
  output.fits_int = fits_int_;
  output.has_ties = has_ties_;
  output.zero_point = zero_point_;
  kernel(tile, output);
}

void BinaryConv::run_segment(int64_t row, int segment, const uint32_t* columns,
                             const ConvTarget& target, int32_t* offsets, float* spill) const {
  const int32_t width = output_.dims[2];
  if (tap_sums_.size() == 0) {
    const bool odd = offset_[0] & 1;
    run_pixels(row, segment, columns, {half_offset_.data(), odd}, 0, width, target, spill);
    return;
  }
  // Zero padding: a padded tap counted as +1 times its weights; take that away again.
  const size_t all = offset_.size();
  const size_t count = segment_blocks_ * static_cast<size_t>(kernels_->block);
  const size_t begin = static_cast<size_t>(segment) * count;
  const int32_t kernel_height = options_.vertical.kernel;
  const int32_t kernel_width = options_.horizontal.kernel;
  const int64_t top = (row % output_.dims[1]) * options_.vertical.stride - pad_top_;
  int32_t* row_offsets = offsets;
  int32_t* pixel_offsets = offsets + all;
  int32_t* halves = offsets + 2 * all;
  // All channels have the same parity.
  const auto halve = [&](const int32_t* whole) {
    for (size_t i = begin; i < begin + count; ++i) halves[i] = floor_half(whole[i]);
    return Offsets{halves, (whole[begin] & 1) != 0};
  };
  const auto outside_row = [&](int32_t ky) {
    const int64_t y = top + int64_t{ky} * options_.vertical.dilation;
    return y < 0 || y >= input_.dims[1];
  };
  const auto take_away = [&](int32_t* from, int32_t ky, int32_t kx) {
    const size_t tap = static_cast<size_t>(ky) * static_cast<size_t>(kernel_width) +
                       static_cast<size_t>(kx);
    const int32_t* sums = tap_sums_.data() + tap * all;
    for (size_t i = begin; i < begin + count; ++i) from[i] -= sums[i];
  };
  memcpy(row_offsets + begin, offset_.data() + begin, count * sizeof(int32_t));
  for (int32_t ky = 0; ky < kernel_height; ++ky) {
    if (!outside_row(ky)) continue;
    for (int32_t kx = 0; kx < kernel_width; ++kx) take_away(row_offsets, ky, kx);
  }
  const auto edge_pixel = [&](int32_t x) {
    memcpy(pixel_offsets + begin, row_offsets + begin, count * sizeof(int32_t));
    const int64_t left = int64_t{x} * options_.horizontal.stride - pad_left_;
    for (int32_t kx = 0; kx < kernel_width; ++kx) {
      const int64_t column = left + int64_t{kx} * options_.horizontal.dilation;
      if (column >= 0 && column < input_.dims[2]) continue;
      for (int32_t ky = 0; ky < kernel_height; ++ky) {
        if (!outside_row(ky)) take_away(pixel_offsets, ky, kx);
      }
    }
    run_pixels(row, segment, columns, halve(pixel_offsets), x, 1, target, spill);
  };
  for (int32_t x = 0; x < inner_first_; ++x) edge_pixel(x);
  run_pixels(row, segment, columns, halve(row_offsets), inner_first_, inner_end_ - inner_first_,
             target, spill);
  for (int32_t x = inner_end_; x < width; ++x) edge_pixel(x);
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

void BinaryConv::run_row(int64_t row, const uint32_t* input, const ConvTarget& target,
                         void* workspace) const {
  uint8_t* memory = static_cast<uint8_t*>(workspace);
  uint32_t* columns = reinterpret_cast<uint32_t*>(memory);
  int32_t* offsets = reinterpret_cast<int32_t*>(memory + columns_bytes_);
  float* spill = misaligned_bits()
                     ? reinterpret_cast<float*>(memory + columns_bytes_ + offsets_bytes_)
                     : nullptr;
  const int64_t width = output_.dims[2];
  if (kind_ == ConvKind::kBits) clear_padding(target.out, row, width, channels_out_);
  for (int j = 0; j < target.bit_outputs; ++j) {
    clear_padding(target.bits[j], row, width, channels_out_);
  }
  for (int segment = 0; segment < segments_; ++segment) {
    if (segment == 0 || groups_ > 1) prepare_row(row, groups_ > 1 ? segment : 0, input, columns);
    run_segment(row, segment, columns, target, offsets, spill);
  }
  if (spill != nullptr) {
    uint32_t* out = static_cast<uint32_t*>(target.out) + row * width * output_.dims[3];
    for (int64_t x = 0; x < width; ++x) {
      kernels_->quantize_float(spill + x * channels_out_, float_limit_.data(),
                               static_cast<size_t>(channels_out_), out + x * output_.dims[3]);
    }
  }
}

}  // namespace larq_dense
