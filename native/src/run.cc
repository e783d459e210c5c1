// Runs one task of one step.
#include "partition.h"

namespace larq_dense {

namespace {

// The rows of channels, of all but the last dimension, that a task handles.
Range rows_of(const Shape& shape, int64_t task) {
  size_t elements;
  count_elements(shape, &elements);
  const int64_t rows = static_cast<int64_t>(elements) / shape.last();
  const int64_t each = rows_per_task(shape);
  const int64_t end = (task + 1) * each;
  return {task * each, end < rows ? end : rows};
}

Broadcast broadcast_of(Operand operand) {
  switch (operand) {
    case Operand::kChannels:
      return Broadcast::kChannels;
    case Operand::kRows:
      return Broadcast::kRows;
    case Operand::kScalar:
      return Broadcast::kScalar;
    default:
      return Broadcast::kNone;
  }
}

void run_combine(const Kernels& kernels, const Combine<float>& combine) {
  kernels.combine(combine);
}
void run_combine(const Kernels& kernels, const Combine<int8_t>& combine) {
  kernels.combine_int8(combine);
}

template <class T>
void unpack(const uint32_t* words, int64_t channels, T positive, T negative, T* out) {
  for (int64_t c = 0; c < channels; ++c) {
    out[c] = (words[c / 32] >> (c % 32)) & 1 ? negative : positive;
  }
}

// A factor as TensorFlow Lite keeps it, 31 bits and a shift, and its way of multiplying by it: the
// product is rounded to 32 bits, half up, and then shifted, half away from zero.
class FixedPoint {
 public:
  explicit FixedPoint(double factor) {
    while (factor >= 1.0 && shift_ < 31) {
      factor /= 2;
      ++shift_;
    }
    while (factor > 0 && factor < 0.5 && shift_ > -31) {
      factor *= 2;
      --shift_;
    }
    const double rounded = factor * (int64_t{1} << 31) + 0.5;
    factor_ = rounded < INT32_MAX ? static_cast<int64_t>(rounded) : int64_t{1} << 31;
  }

  int32_t times(int32_t x) const {
    const int left = shift_ > 0 ? shift_ : 0, right = left - shift_;
    const int64_t wide = static_cast<int32_t>(static_cast<uint32_t>(x) << left) * factor_;
    const int64_t high = (wide + (int64_t{1} << 30)) >> 31;
    const int64_t half = right == 0 ? 0 : int64_t{1} << (right - 1);
    const int64_t size = ((high < 0 ? -high : high) + half) >> right;
    return static_cast<int32_t>(high < 0 ? -size : size);
  }

 private:
  int64_t factor_;
  int shift_ = 0;
};

}  // namespace

void* Partition::workspace(int worker) const {
  return const_cast<uint8_t*>(workspace_.data()) +
         workspace_stride_ * static_cast<size_t>(worker);
}

size_t Partition::bytes_of(const Step& step) const {
  return element_size(values_[static_cast<size_t>(step.output)].type);
}

void Partition::pack_bits(const Step& step, int j, const float* x, size_t count,
                          uint32_t* bits) const {
  const float* limits = step.limits[j].size() == 0 ? nullptr : step.limits[j].data();
  kernels_->quantize_float(x, limits, count, bits);
}

void Partition::pack_bits(const Step& step, int j, const int8_t* x, size_t count,
                          uint32_t* bits) const {
  if (step.int8_limits[j].size() != 0) {
    kernels_->quantize_int8_by(x, step.int8_limits[j].data(), count, bits);
    return;
  }
  // False is -1, so a bool is an int8 whose zero point is 1.
  const Value& input = values_[static_cast<size_t>(step.input)];
  kernels_->quantize_int8(x, input.type == Type::kBool ? 1 : input.zero_point, count, bits);
}

template <class T>
void Partition::run_quantize(const Step& step, int64_t task) const {
  const int64_t words = shape_of(step.bits[0]).last();
  const Range rows = rows_of(shape_of(step.input), task);
  int64_t first_word = 0;
  for (int k = 0; k < step.parts; ++k) {
    const T* x = static_cast<const T*>(read(step.part[k]));
    const int64_t width = shape_of(step.part[k]).last();
    for (int j = 0; j < step.bit_outputs; ++j) {
      const bool alike = step.limits[j].size() == 0 && step.int8_limits[j].size() == 0;
      // Pixels that fill their words lie side by side, as one long pixel does.
      const int64_t pixels =
          alike && width == 32 * words && rows.end > rows.first ? rows.end - rows.first : 1;
      uint32_t* bits = static_cast<uint32_t*>(write(step.bits[j])) + first_word;
      for (int64_t row = rows.first; row < rows.end; row += pixels) {
        pack_bits(step, j, x + row * width, static_cast<size_t>(pixels * width),
                  bits + row * words);
      }
    }
    first_word += words_for(static_cast<int32_t>(width));
  }
}

void Partition::run_dequantize(const Step& step, int64_t task) const {
  const Value& input = values_[static_cast<size_t>(step.input)];
  const Value& output = values_[static_cast<size_t>(step.output)];
  const int64_t channels = output.shape.last();
  const int64_t words = input.shape.last();
  const uint32_t* bits = static_cast<const uint32_t*>(read(step.input));
  const Range rows = rows_of(input.shape, task);
  // LCE's int8 values of +1 and -1.
  const float steps = 1.0f / output.scale;
  const int offset =
      output.type == Type::kInt8 ? static_cast<int>(steps < 255.0f ? steps + 0.5f : 255.0f) : 0;
  const int64_t up = int64_t{output.zero_point} + offset;
  const int64_t down = int64_t{output.zero_point} - offset;
  const int8_t positive = static_cast<int8_t>(up < 127 ? (up > -128 ? up : -128) : 127);
  const int8_t negative = static_cast<int8_t>(down > -128 ? (down < 127 ? down : 127) : -128);
  for (int64_t row = rows.first; row < rows.end; ++row) {
    const uint32_t* from = bits + row * words;
    if (output.type == Type::kFloat32) {
      unpack(from, channels, 1.0f, -1.0f,
             static_cast<float*>(write(step.output)) + row * channels);
    } else if (output.type == Type::kInt8) {
      unpack(from, channels, positive, negative,
             static_cast<int8_t*>(write(step.output)) + row * channels);
    } else {
      unpack(from, channels, uint8_t{1}, uint8_t{0},
             static_cast<uint8_t*>(write(step.output)) + row * channels);
    }
  }
}

ConvTarget Partition::target_of(const Step& step) const {
  ConvTarget target;
  target.out = step.output < 0 ? nullptr : write(step.output);
  target.depth_to_space = step.block_size;
  target.post = step.post;
  target.before_min = step.before_min;
  target.before_max = step.before_max;
  target.others = static_cast<int>(step.links.size());
  for (int j = 0; j < target.others; ++j) {
    const Link& link = step.links[static_cast<size_t>(j)];
    target.other[j] = {read(link.value), link.layout, link.op == Combination::kMultiply};
  }
  target.after_min = step.after_min;
  target.after_max = step.after_max;
  target.bit_outputs = step.bit_outputs;
  for (int j = 0; j < step.bit_outputs; ++j) {
    target.bits[j] = static_cast<uint32_t*>(write(step.bits[j])) + step.first_word[j];
    target.bit_words[j] = shape_of(step.bits[j]).last();
    target.limit[j] = step.int8_limits[j].size() != 0
                          ? static_cast<const void*>(step.int8_limits[j].data())
                          : step.limits[j].data();
  }
  return target;
}

void Partition::run_conv(const Step& step, int64_t task, int worker) const {
  if (step.kind == StepKind::kConv2d) {
    step.conv2d.run_row(task, static_cast<const int8_t*>(read(step.input)), target_of(step),
                        workspace(worker));
  } else {
    step.conv.run_row(task, static_cast<const uint32_t*>(read(step.input)), target_of(step),
                      workspace(worker));
  }
}

void Partition::run_pool(const Step& step, int64_t task) const {
  const Shape& in = values_[static_cast<size_t>(step.input)].shape;
  const Shape& out = values_[static_cast<size_t>(step.output)].shape;
  const int64_t words = in.dims[3];
  const int64_t height = in.dims[1], width = in.dims[2];
  const uint32_t* x = static_cast<const uint32_t*>(read(step.input)) +
                      task / out.dims[1] * height * width * words;
  uint32_t* y = static_cast<uint32_t*>(write(step.output)) + task * out.dims[2] * words;
  const auto bound = [](int64_t v, int64_t limit) { return v < 0 ? 0 : (v < limit ? v : limit); };
  const int64_t top = task % out.dims[1] * step.vertical.stride - step.pad_top;
  const int64_t y_first = bound(top, height), y_end = bound(top + step.vertical.kernel, height);
  for (int64_t ox = 0; ox < out.dims[2]; ++ox) {
    const int64_t left = ox * step.horizontal.stride - step.pad_left;
    const int64_t x_first = bound(left, width);
    const int64_t x_end = bound(left + step.horizontal.kernel, width);
    // The greatest of signs is negative only where all are.
    for (int64_t w = 0; w < words; ++w) y[w] = ~0u;
    for (int64_t iy = y_first; iy < y_end; ++iy) {
      for (int64_t ix = x_first; ix < x_end; ++ix) {
        const uint32_t* pixel = x + (iy * width + ix) * words;
        for (int64_t w = 0; w < words; ++w) y[w] &= pixel[w];
      }
    }
    y += words;
  }
}

// The greatest of the rows first, which are long, and then of that row's columns.
template <class T>
void Partition::run_pool2d(const Step& step, int64_t task, int worker) const {
  const Shape& in = shape_of(step.input);
  const Shape& out = shape_of(step.output);
  const int64_t channels = in.dims[3], row = in.dims[2] * channels;
  const auto bound = [](int64_t v, int64_t limit) { return v < 0 ? 0 : (v < limit ? v : limit); };
  const auto take_greater = [](const T* x, int64_t count, T* y) {
    for (int64_t i = 0; i < count; ++i) y[i] = y[i] < x[i] ? x[i] : y[i];
  };
  const T* x = static_cast<const T*>(read(step.input)) + task / out.dims[1] * in.dims[1] * row;
  const int64_t top = task % out.dims[1] * step.vertical.stride - step.pad_top;
  const int64_t first = bound(top, in.dims[1]), end = bound(top + step.vertical.kernel, in.dims[1]);
  T* rows = static_cast<T*>(workspace(worker));
  memcpy(rows, x + first * row, static_cast<size_t>(row) * sizeof(T));
  for (int64_t iy = first + 1; iy < end; ++iy) take_greater(x + iy * row, row, rows);

  T* y = static_cast<T*>(write(step.output)) + task * out.dims[2] * channels;
  const T low = limit_of<T>(step.before_min), high = limit_of<T>(step.before_max);
  for (int64_t ox = 0; ox < out.dims[2]; ++ox, y += channels) {
    const int64_t left = ox * step.horizontal.stride - step.pad_left;
    const int64_t x_first = bound(left, in.dims[2]);
    const int64_t x_end = bound(left + step.horizontal.kernel, in.dims[2]);
    memcpy(y, rows + x_first * channels, static_cast<size_t>(channels) * sizeof(T));
    for (int64_t ix = x_first + 1; ix < x_end; ++ix) {
      take_greater(rows + ix * channels, channels, y);
    }
    if (is_open(step.before_min, step.before_max)) continue;
    for (int64_t c = 0; c < channels; ++c) y[c] = y[c] < low ? low : (y[c] > high ? high : y[c]);
  }
}

template <class T>
void Partition::run_chain(const Step& step, int64_t task, int worker) const {
  const Shape& shape = shape_of(step.input);
  const Range rows = rows_of(shape, task);
  const int64_t channels = shape.last();
  const int64_t words = words_for(shape.last());
  const int64_t each = rows_per_block(shape);
  const T* input = static_cast<const T*>(read(step.input));
  for (int64_t row = rows.first; row < rows.end; row += each) {
    const int64_t count = rows.end - row < each ? rows.end - row : each;
    Combine<T> combine;
    combine.rows = static_cast<size_t>(count);
    combine.channels = static_cast<size_t>(channels);
    combine.zero_point = values_[static_cast<size_t>(step.input)].zero_point;
    combine.x = input + row * channels;
    combine.out = step.output < 0 ? static_cast<T*>(workspace(worker))
                                  : static_cast<T*>(write(step.output)) + row * channels;
    for (size_t j = 0; j < step.links.size(); ++j) {
      const Link& link = step.links[j];
      combine.op = link.op;
      combine.low = limit_of<T>(link.low);
      combine.high = limit_of<T>(link.high);
      combine.scale = link.scale.size() == 0 ? nullptr : link.scale.data();
      combine.broadcast = link.value < 0 ? Broadcast::kNone : broadcast_of(link.operand);
      combine.operand = link.value < 0 ? combine.x : static_cast<const T*>(read(link.value));
      if (link.value >= 0 && combine.broadcast == Broadcast::kNone) {
        combine.operand += row * channels;
      } else if (combine.broadcast == Broadcast::kRows) {
        combine.operand += row;
      }
      run_combine(*kernels_, combine);
      combine.x = combine.out;
    }
    for (int j = 0; j < step.bit_outputs; ++j) {
      uint32_t* bits = static_cast<uint32_t*>(write(step.bits[j])) + row * words;
      for (int64_t r = 0; r < count; ++r) {
        pack_bits(step, j, combine.x + r * channels, static_cast<size_t>(channels),
                  bits + r * words);
      }
    }
  }
}

void Partition::run_nearest(const Step& step, int64_t task) const {
  const Shape& in = shape_of(step.input);
  const Shape& out = shape_of(step.output);
  const int64_t down = out.dims[1] / in.dims[1], across = out.dims[2] / in.dims[2];
  const size_t bytes = static_cast<size_t>(in.dims[3]) * bytes_of(step);
  const size_t row_bytes = bytes * static_cast<size_t>(out.dims[2]);
  const uint8_t* x = static_cast<const uint8_t*>(read(step.input)) +
                     static_cast<size_t>(task * in.dims[2]) * bytes;
  uint8_t* first =
      static_cast<uint8_t*>(write(step.output)) + static_cast<size_t>(task * down) * row_bytes;
  uint8_t* y = first;
  for (int64_t ix = 0; ix < in.dims[2]; ++ix, x += bytes) {
    for (int64_t k = 0; k < across; ++k, y += bytes) memcpy(y, x, bytes);
  }
  for (int64_t k = 1; k < down; ++k, y += row_bytes) memcpy(y, first, row_bytes);
}

void Partition::run_bilinear(const Step& step, int64_t task, int worker) const {
  const Shape& in = shape_of(step.input);
  const int64_t height = in.dims[1], y = task % height;
  const size_t width = static_cast<size_t>(in.dims[2]), channels = static_cast<size_t>(in.dims[3]);
  const int64_t row = static_cast<int64_t>(width * channels);
  const int8_t* x = static_cast<const int8_t*>(read(step.input)) + task * row;
  int8_t* out = static_cast<int8_t*>(write(step.output)) + 4 * task * row;
  const int8_t* above = y > 0 ? x - row : x;
  const int8_t* below = y + 1 < height ? x + row : x;
  kernels_->enlarge_int8(x, above, width, channels, out, workspace(worker));
  kernels_->enlarge_int8(x, below, width, channels, out + 2 * row, workspace(worker));
}

void Partition::run_concat(const Step& step, int64_t task) const {
  const size_t pixel = static_cast<size_t>(shape_of(step.output).last()) * bytes_of(step);
  // Tasks were counted by the first part's channels.
  const Range rows = rows_of(shape_of(step.input), task);
  uint8_t* out = static_cast<uint8_t*>(write(step.output));
  for (int k = 0; k < step.parts; ++k) {
    const size_t width = static_cast<size_t>(shape_of(step.part[k]).last()) * bytes_of(step);
    const uint8_t* x = static_cast<const uint8_t*>(read(step.part[k]));
    for (int64_t row = rows.first; row < rows.end; ++row) {
      const size_t r = static_cast<size_t>(row);
      memcpy(out + r * pixel, x + r * width, width);
    }
    out += width;
  }
}

void Partition::run_mean(const Step& step, int64_t task, int worker) const {
  // Sums of some pixels are added to the sum of all, so that rounding errors stay small.
  constexpr int64_t kPixelsAtOnce = 64;
  const int64_t batch = task / step.parts;
  const int k = static_cast<int>(task % step.parts);
  const Shape& shape = shape_of(step.part[k]);
  const int64_t channels = shape.last();
  const int64_t pixels = int64_t{shape.dims[1]} * shape.dims[2];
  const float* x = static_cast<const float*>(read(step.part[k])) + batch * pixels * channels;
  float* out = static_cast<float*>(write(step.output)) + batch * shape_of(step.output).last();
  for (int j = 0; j < k; ++j) out += shape_of(step.part[j]).last();
  float* some = static_cast<float*>(workspace(worker));
  for (int64_t c = 0; c < channels; ++c) out[c] = 0.0f;
  for (int64_t p = 0; p < pixels; p += kPixelsAtOnce) {
    const int64_t end = p + kPixelsAtOnce < pixels ? p + kPixelsAtOnce : pixels;
    for (int64_t c = 0; c < channels; ++c) some[c] = 0.0f;
    for (int64_t q = p; q < end; ++q) {
      const float* pixel = x + q * channels;
      for (int64_t c = 0; c < channels; ++c) some[c] += pixel[c];
    }
    for (int64_t c = 0; c < channels; ++c) out[c] += some[c];
  }
  const float count = static_cast<float>(pixels);
  for (int64_t c = 0; c < channels; ++c) out[c] /= count;
}

// The interpreter's own formula, in its own precision.
void Partition::run_mean_of_int8(const Step& step, int64_t task, int worker) const {
  const int64_t batch = task / step.parts;
  const int k = static_cast<int>(task % step.parts);
  const Value& input = values_[static_cast<size_t>(step.part[k])];
  const Value& output = values_[static_cast<size_t>(step.output)];
  const int64_t channels = input.shape.last();
  const int64_t pixels = int64_t{input.shape.dims[1]} * input.shape.dims[2];
  const int8_t* x = static_cast<const int8_t*>(read(step.part[k])) + batch * pixels * channels;
  int8_t* out = static_cast<int8_t*>(write(step.output)) + batch * output.shape.last();
  for (int j = 0; j < k; ++j) out += shape_of(step.part[j]).last();
  int32_t* sums = static_cast<int32_t*>(workspace(worker));
  memset(sums, 0, static_cast<size_t>(channels) * sizeof(int32_t));
  kernels_->sum_int8(x, static_cast<size_t>(pixels), static_cast<size_t>(channels), sums);

  const float zero = static_cast<float>(input.zero_point) * input.scale / output.scale;
  const int32_t offset = output.zero_point - static_cast<int32_t>(zero + (zero > 0 ? 0.5f : -0.5f));
  const FixedPoint scale(input.scale / (static_cast<float>(pixels) * output.scale));
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t mean = int64_t{scale.times(sums[c])} + offset;
    out[c] = static_cast<int8_t>(mean < -128 ? -128 : (mean > 127 ? 127 : mean));
  }
}

void Partition::run_depth_to_space(const Step& step, int64_t task) const {
  const Shape& in = shape_of(step.input);
  const int64_t block = step.block_size;
  const size_t pixel = static_cast<size_t>(in.dims[3]) * bytes_of(step);
  const size_t run = pixel / static_cast<size_t>(block);  // channels that stay together
  const uint8_t* x = static_cast<const uint8_t*>(read(step.input)) +
                     static_cast<size_t>(task * in.dims[2]) * pixel;
  uint8_t* y = static_cast<uint8_t*>(write(step.output)) +
               static_cast<size_t>(task * in.dims[2]) * pixel;
  for (int64_t dy = 0; dy < block; ++dy, x += run) {
    for (size_t ix = 0; ix < static_cast<size_t>(in.dims[2]); ++ix, y += run) {
      memcpy(y, x + ix * pixel, run);
    }
  }
}

void Partition::run_task(const Step& step, int64_t task, int worker) const {
  const bool is_float = values_[static_cast<size_t>(step.input)].type == Type::kFloat32;
  switch (step.kind) {
    case StepKind::kQuantize:
      return is_float ? run_quantize<float>(step, task) : run_quantize<int8_t>(step, task);
    case StepKind::kDequantize:
      return run_dequantize(step, task);
    case StepKind::kConv:
    case StepKind::kConv2d:
      return run_conv(step, task, worker);
    case StepKind::kMaxPool:
      return run_pool(step, task);
    case StepKind::kMaxPool2d:
      return is_float ? run_pool2d<float>(step, task, worker)
                      : run_pool2d<int8_t>(step, task, worker);
    case StepKind::kChain:
      return is_float ? run_chain<float>(step, task, worker)
                      : run_chain<int8_t>(step, task, worker);
    case StepKind::kDepthToSpace:
      return run_depth_to_space(step, task);
    case StepKind::kNearest:
      return run_nearest(step, task);
    case StepKind::kBilinear:
      return run_bilinear(step, task, worker);
    case StepKind::kConcat:
      return run_concat(step, task);
    case StepKind::kMean:
      return is_float ? run_mean(step, task, worker) : run_mean_of_int8(step, task, worker);
  }
}

}  // namespace larq_dense
