// Ordinary and depthwise convolution of int8 by int8 weights, for those whose rounding is beyond
// doubt.
//
// TensorFlow Lite's kernels scale a sum by multiplying integers, XNNPACK's by multiplying floats,
// and they round halves differently. Where each factor is a power of two and no sum lies between
// two outputs all agree, so that it does not matter which of them runs; only such are computed here.
#pragma once

#include "conv_target.h"
#include "geometry.h"
#include "kernels.h"
#include "memory.h"

namespace larq_dense {

struct Conv2dOptions {
  Window vertical, horizontal;  // the kernels' sizes are the filter's
  bool same_padding = false;
  bool depthwise = false;
};

// The constant tensors, and what integers mean.
struct Conv2dConstants {
  // [channels_out, height, width, channels_in], of a depthwise one [1, height, width, channels]
  const int8_t* filter = nullptr;
  Shape filter_shape;
  bool depthwise = false;
  const int32_t* bias = nullptr;  // [channels_out]
  const float* scales = nullptr;  // of the filter's channels, or of all of them
  int scale_count = 0;
  float input_scale = 0, output_scale = 0;
  int32_t input_zero_point = 0, output_zero_point = 0;

  int32_t channels_out() const { return depthwise ? filter_shape.last() : filter_shape.dims[0]; }
  // Bytes of a row of a pixel's window that one output channel is made of.
  size_t row_size() const;
  int8_t weight(int32_t channel, size_t row, size_t i) const;
  float multiplier(int32_t channel) const;  // from a sum to steps of the output
};

// Whether every sum is exact and no output a matter of rounding.
bool rounds_safely(const Conv2dConstants& constants);

class Conv2d {
 public:
  // Repacks the weights, which must round safely. An error is a sentence.
  const char* configure(const Kernels* kernels, const Conv2dOptions& options,
                        const Conv2dConstants& constants);

  // Sets the input's size, [batch, height, width, channels].
  const char* set_input(const Shape& input);

  const Shape& output() const { return output_; }
  int64_t rows() const { return int64_t{output_.dims[0]} * output_.dims[1]; }
  size_t workspace_bytes() const { return workspace_bytes_; }  // for each thread
  // The output's channels, rounded up to whole blocks: what `limit` must be padded to.
  size_t padded_channels() const { return multiplier_.size(); }

  // Computes output row `row` of all rows of the batch.
  void run_row(int64_t row, const int8_t* input, const ConvTarget& target, void* workspace) const;

 private:
  void pack(const Conv2dConstants& constants);
  // What a byte of the window is more than the int8.
  int32_t byte_offset() const { return options_.depthwise ? 0 : kernels_->byte_offset; }
  void prepare_row(int64_t row, const int8_t* input, uint8_t* window) const;
  void run_block(int32_t first, const uint8_t* window, const Int8Output& output) const;

  const Kernels* kernels_ = nullptr;
  Conv2dOptions options_;
  int32_t channels_in_ = 0, channels_out_ = 0;
  int32_t groups_ = 0;  // of bytes, in a row of a pixel's window
  int32_t input_zero_point_ = 0, output_zero_point_ = 0;
  Array<int8_t> quarters_;        // of the weights
  Array<int16_t> wide_quarters_;  // of a depthwise one's
  Array<int32_t> offset_;
  Array<float> multiplier_, bias_;

  Shape input_, output_;
  int32_t pad_top_ = 0, pad_left_ = 0;
  size_t row_bytes_ = 0;  // of the input, padded
  size_t workspace_bytes_ = 0;
};

}  // namespace larq_dense
