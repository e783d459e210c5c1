// Binary convolution: weights repacked once, then computed row by row.
#pragma once

#include "conv_target.h"
#include "geometry.h"
#include "kernels.h"
#include "memory.h"

namespace larq_dense {

inline int32_t clamp_to_int32(int64_t value, int64_t low, int64_t high) {
  return static_cast<int32_t>(value < low ? low : (value > high ? high : value));
}

inline int32_t floor_half(int32_t value) { return (value - (value & 1)) / 2; }

// What the model says about a convolution.
struct ConvOptions {
  int32_t channels_in = 0;
  Window vertical;    // kernel, stride and dilation along the height
  Window horizontal;  // and along the width
  bool same_padding = false;
  bool pad_with_one = true;  // padded pixels count as +1; otherwise as nothing
  int activation = 0;        // TfLiteFusedActivation, applied to the dot product
};

enum class ConvKind { kFloat, kBits, kInt8 };

// The constant tensors of the operator; what the output's kind does not need is null.
struct ConvConstants {
  const uint32_t* filter = nullptr;  // [channels_out, height, width, words of a group]
  int32_t channels_out = 0;
  int32_t filter_words = 0;
  const float* multiplier = nullptr;
  const float* bias = nullptr;
  const int32_t* threshold = nullptr;
  float output_scale = 1.0f;  // of an int8 output
  int32_t output_zero_point = 0;
};

class BinaryConv {
 public:
  // Checks the options and repacks the weights. `segments` is the number of equal runs of output
  // channels that go to different rows (the block of a depth to space), 1 otherwise. An error is a
  // sentence.
  const char* configure(const Kernels* kernels, const ConvOptions& options, ConvKind kind,
                        const ConvConstants& constants, int segments);

  // Sets the input's size, [batch, height, width, words].
  const char* set_input(const Shape& input);

  const Shape& input() const { return input_; }
  const Shape& output() const { return output_; }
  // The rows of all rows of the input's batch that an output row is made of; may be none.
  Range input_rows(int64_t row) const;
  int64_t rows() const { return int64_t{output_.dims[0]} * output_.dims[1]; }
  size_t workspace_bytes() const { return workspace_bytes_; }  // for each thread
  // Channels of a segment, rounded up to whole blocks: what `limit` must be padded to.
  size_t padded_segment() const { return segment_blocks_ * static_cast<size_t>(kernels_->block); }

  // Computes output row `row` of all rows of the batch.
  void run_row(int64_t row, const uint32_t* input, const ConvTarget& target,
               void* workspace) const;

 private:
  const char* pack(const ConvConstants& constants);
  const char* pack_few();
  void pack_block(const ConvConstants& constants, int32_t first_channel, int32_t channels,
                  size_t block);
  void pack_weights(const uint32_t* filter, uint32_t* out) const;
  void sum_taps(const uint32_t* filter, size_t slot);
  void set_output(const ConvConstants& constants, size_t channel, size_t slot);
  // What the halved dot products of some pixels begin with (kernels.h).
  struct Offsets {
    const int32_t* halves;
    bool odd;
  };

  void prepare_row(int64_t row, int group, const uint32_t* input, uint32_t* columns) const;
  void prepare_row_of_three(const uint32_t* const* rows, uint32_t* columns) const;
  template <class Word>
  void prepare_column(const Word& word, int32_t j, uint32_t* columns) const;
  void run_segment(int64_t row, int segment, const uint32_t* columns, const ConvTarget& target,
                   int32_t* offsets, float* spill) const;
  void run_pixels(int64_t row, int segment, const uint32_t* columns, const Offsets& offsets,
                  int32_t first, int32_t count, const ConvTarget& target, float* spill) const;
  template <class T>
  void run_block(const ConvTile& tile, const Place& place, size_t slot, const ConvTarget& target,
                 void (*kernel)(const ConvTile&, const ConvOutput<T>&)) const;
  size_t plane() const { return static_cast<size_t>(columns_) * static_cast<size_t>(triples_); }
  bool misaligned_bits() const;
  bool has_few_channels() const;

  const Kernels* kernels_ = nullptr;
  ConvOptions options_;
  ConvKind kind_ = ConvKind::kFloat;
  int32_t channels_out_ = 0;
  int32_t groups_ = 1;
  int32_t group_words_ = 0;
  int32_t segments_ = 1;          // one for each group or row of a depth to space
  int32_t segment_channels_ = 0;  // of the output
  size_t segment_blocks_ = 0;
  int32_t column_words_ = 0;      // words of one prepared column
  int32_t triples_ = 0, singles_ = 0;
  int32_t depth_ = 0;             // real inputs of one output
  int32_t base_ = 0;              // dot products count from here: LCE's int8 ones from `depth_`
  int32_t clamp_min_ = 0, clamp_max_ = 0;
  bool fits_int_ = true;          // int8 outputs before they are rounded
  bool has_ties_ = false;         // one of those may lie between two integers
  int32_t zero_point_ = 0;        // of int8 outputs

  Array<uint32_t> weights_;
  Array<uint32_t> few_weights_;  // of few channels, side by side
  Array<float> multiplier_, bias_;
  Array<float> float_limit_;   // for bits of groups that do not start on a byte
  Array<int32_t> limits_[2];   // for even and odd dot products
  Array<int32_t> offset_;      // where no tap is padded with nothing, not halved
  Array<int32_t> half_offset_;
  Array<uint32_t> zeros_;      // one padded pixel of a group
  Array<int32_t> tap_sums_;    // for each tap: what one-padding adds, to be taken away again

  Shape input_, output_;
  int32_t pad_top_ = 0, pad_left_ = 0;
  int32_t columns_ = 0, column_step_ = 1;
  int32_t inner_first_ = 0, inner_end_ = 0;  // output columns whose window needs no padding
  size_t columns_bytes_ = 0, offsets_bytes_ = 0, workspace_bytes_ = 0;
};

}  // namespace larq_dense
