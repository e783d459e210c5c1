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

template <class T>
void unpack(const uint32_t* words, int64_t channels, T positive, T negative, T* out) {
  for (int64_t c = 0; c < channels; ++c) {
    out[c] = (words[c / 32] >> (c % 32)) & 1 ? negative : positive;
  }
}

}  // namespace

void* Partition::workspace(int worker) const {
  return const_cast<uint8_t*>(workspace_.data()) +
         workspace_stride_ * static_cast<size_t>(worker);
}

void Partition::run_quantize(const Step& step, int64_t task) const {
  const Value& input = values_[static_cast<size_t>(step.input)];
  const int64_t channels = input.shape.last();
  const int64_t words = shape_of(step.bits[0]).last();
  const Range rows = rows_of(input.shape, task);
  // Pixels that fill their words lie side by side, as one long pixel does.
  const auto pixels_at_once = [&](int64_t width, bool alike) {
    return alike && width == 32 * words && rows.end > rows.first ? rows.end - rows.first : 1;
  };
  if (input.type == kTfLiteFloat32) {
    int64_t first_word = 0;
    for (int k = 0; k < step.parts; ++k) {
      const float* x = static_cast<const float*>(read(step.part[k]));
      const int64_t width = shape_of(step.part[k]).last();
      for (int j = 0; j < step.bit_outputs; ++j) {
        const float* limits = step.limits[j].size() == 0 ? nullptr : step.limits[j].data();
        uint32_t* bits = static_cast<uint32_t*>(write(step.bits[j])) + first_word;
        const int64_t pixels = pixels_at_once(width, limits == nullptr);
        for (int64_t row = rows.first; row < rows.end; row += pixels) {
          kernels_->quantize_float(x + row * width, limits, static_cast<size_t>(pixels * width),
                                   bits + row * words);
        }
      }
      first_word += words_for(static_cast<int32_t>(width));
    }
    return;
  }
  // False is -1, so a bool is an int8 whose zero point is 1.
  const int zero_point = input.type == kTfLiteBool ? 1 : input.zero_point;
  const int8_t* x = static_cast<const int8_t*>(read(step.input));
  uint32_t* bits = static_cast<uint32_t*>(write(step.bits[0]));
  const int64_t pixels = pixels_at_once(channels, true);
  for (int64_t row = rows.first; row < rows.end; row += pixels) {
    kernels_->quantize_int8(x + row * channels, zero_point, static_cast<size_t>(pixels * channels),
                            bits + row * words);
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
      output.type == kTfLiteInt8 ? static_cast<int>(steps < 255.0f ? steps + 0.5f : 255.0f) : 0;
  const int64_t up = int64_t{output.zero_point} + offset;
  const int64_t down = int64_t{output.zero_point} - offset;
  const int8_t positive = static_cast<int8_t>(up < 127 ? (up > -128 ? up : -128) : 127);
  const int8_t negative = static_cast<int8_t>(down > -128 ? (down < 127 ? down : 127) : -128);
  for (int64_t row = rows.first; row < rows.end; ++row) {
    const uint32_t* from = bits + row * words;
    if (output.type == kTfLiteFloat32) {
      unpack(from, channels, 1.0f, -1.0f,
             static_cast<float*>(write(step.output)) + row * channels);
    } else if (output.type == kTfLiteInt8) {
      unpack(from, channels, positive, negative,
             static_cast<int8_t*>(write(step.output)) + row * channels);
    } else {
      unpack(from, channels, uint8_t{1}, uint8_t{0},
             static_cast<uint8_t*>(write(step.output)) + row * channels);
    }
  }
}

void Partition::run_conv(const Step& step, int64_t task, int worker) const {
  ConvTarget target;
  target.out = step.output < 0 ? nullptr : write(step.output);
  target.depth_to_space = step.block_size;
  target.post = step.post;
  target.before_min = step.before_min;
  target.before_max = step.before_max;
  target.others = static_cast<int>(step.links.size());
  for (int j = 0; j < target.others; ++j) {
    const Link& link = step.links[static_cast<size_t>(j)];
    target.other[j] = {static_cast<const float*>(read(link.value)), link.layout,
                       link.op == Combination::kMultiply};
  }
  target.after_min = step.after_min;
  target.after_max = step.after_max;
  target.bit_outputs = step.bit_outputs;
  for (int j = 0; j < step.bit_outputs; ++j) {
    target.bits[j] = static_cast<uint32_t*>(write(step.bits[j]));
    target.limit[j] = step.limits[j].data();
  }
  step.conv.run_row(task, static_cast<const uint32_t*>(read(step.input)), target,
                    workspace(worker));
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

void Partition::run_chain(const Step& step, int64_t task, int worker) const {
  const Shape& shape = shape_of(step.input);
  const Range rows = rows_of(shape, task);
  const int64_t channels = shape.last();
  const int64_t words = words_for(shape.last());
  const int64_t each = rows_per_block(shape);
  const float* input = static_cast<const float*>(read(step.input));
  for (int64_t row = rows.first; row < rows.end; row += each) {
    const int64_t count = rows.end - row < each ? rows.end - row : each;
    Combine combine;
    combine.rows = static_cast<size_t>(count);
    combine.channels = static_cast<size_t>(channels);
    combine.x = input + row * channels;
    combine.out = step.output < 0 ? static_cast<float*>(workspace(worker))
                                  : static_cast<float*>(write(step.output)) + row * channels;
    for (size_t j = 0; j < step.links.size(); ++j) {
      const Link& link = step.links[j];
      combine.op = link.op;
      combine.low = link.low;
      combine.high = link.high;
      combine.scale = link.scale.size() == 0 ? nullptr : link.scale.data();
      combine.broadcast = link.value < 0 ? Broadcast::kNone : broadcast_of(link.operand);
      combine.operand =
          link.value < 0 ? combine.x : static_cast<const float*>(read(link.value));
      if (link.value >= 0 && combine.broadcast == Broadcast::kNone) {
        combine.operand += row * channels;
      } else if (combine.broadcast == Broadcast::kRows) {
        combine.operand += row;
      }
      kernels_->combine(combine);
      combine.x = combine.out;
    }
    for (int j = 0; j < step.bit_outputs; ++j) {
      uint32_t* bits = static_cast<uint32_t*>(write(step.bits[j])) + row * words;
      const float* limit = step.limits[j].size() == 0 ? nullptr : step.limits[j].data();
      for (int64_t r = 0; r < count; ++r) {
        kernels_->quantize_float(combine.x + r * channels, limit, static_cast<size_t>(channels),
                                 bits + r * words);
      }
    }
  }
}

void Partition::run_nearest(const Step& step, int64_t task) const {
  const Shape& in = shape_of(step.input);
  const Shape& out = shape_of(step.output);
  const int64_t down = out.dims[1] / in.dims[1], across = out.dims[2] / in.dims[2];
  const int64_t channels = in.dims[3];
  const size_t bytes = static_cast<size_t>(channels) * sizeof(float);
  const size_t row_bytes = bytes * static_cast<size_t>(out.dims[2]);
  const float* x = static_cast<const float*>(read(step.input)) + task * in.dims[2] * channels;
  float* first = static_cast<float*>(write(step.output)) + task * down * out.dims[2] * channels;
  float* y = first;
  for (int64_t ix = 0; ix < in.dims[2]; ++ix) {
    for (int64_t k = 0; k < across; ++k, y += channels) memcpy(y, x + ix * channels, bytes);
  }
  for (int64_t k = 1; k < down; ++k) memcpy(first + k * out.dims[2] * channels, first, row_bytes);
}

void Partition::run_concat(const Step& step, int64_t task) const {
  const int64_t channels = shape_of(step.output).last();
  // Tasks were counted by the first part's channels.
  const Range rows = rows_of(shape_of(step.input), task);
  float* out = static_cast<float*>(write(step.output));
  for (int k = 0; k < step.parts; ++k) {
    const int64_t width = shape_of(step.part[k]).last();
    const float* x = static_cast<const float*>(read(step.part[k]));
    for (int64_t row = rows.first; row < rows.end; ++row) {
      memcpy(out + row * channels, x + row * width, static_cast<size_t>(width) * sizeof(float));
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

void Partition::run_depth_to_space(const Step& step, int64_t task) const {
  const Shape& in = values_[static_cast<size_t>(step.input)].shape;
  const Shape& out = values_[static_cast<size_t>(step.output)].shape;
  const int64_t block = step.block_size;
  const int64_t run = block * out.dims[3];  // channels that stay together
  const float* x = static_cast<const float*>(read(step.input)) +
                   task * in.dims[2] * in.dims[3];
  float* y = static_cast<float*>(write(step.output)) + task * block * out.dims[2] * out.dims[3];
  for (int64_t dy = 0; dy < block; ++dy) {
    for (int64_t ix = 0; ix < in.dims[2]; ++ix) {
      memcpy(y, x + ix * in.dims[3] + dy * run, static_cast<size_t>(run) * sizeof(float));
      y += run;
    }
  }
}

void Partition::run_task(const Step& step, int64_t task, int worker) const {
  switch (step.kind) {
    case StepKind::kQuantize:
      return run_quantize(step, task);
    case StepKind::kDequantize:
      return run_dequantize(step, task);
    case StepKind::kConv:
      return run_conv(step, task, worker);
    case StepKind::kMaxPool:
      return run_pool(step, task);
    case StepKind::kChain:
      return run_chain(step, task, worker);
    case StepKind::kDepthToSpace:
      return run_depth_to_space(step, task);
    case StepKind::kNearest:
      return run_nearest(step, task);
    case StepKind::kConcat:
      return run_concat(step, task);
    case StepKind::kMean:
      return run_mean(step, task, worker);
  }
}

}  // namespace larq_dense
