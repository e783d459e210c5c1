// Computes rows of a binary convolution.
#include <string.h>

#include "bconv2d.h"

namespace larq_dense {

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
  const ptrdiff_t step = options_.horizontal.kernel == 1 ? 1 : options_.horizontal.stride;
  const auto planes = [&](const uint32_t* x, int32_t words) {
    return Columns{x + first * step * words, step * words,
                   ptrdiff_t{options_.horizontal.dilation} * words, words};
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
