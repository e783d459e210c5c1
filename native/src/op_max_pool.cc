// LceBMaxPool2d, of bits, and MAX_POOL_2D, of floats or int8s.
#include <string.h>

#include "flexbuffer.h"
#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

const char* read_binary_options(const FlexMap& map, Op* op) {
  int32_t padding;
  if (!map.get("filter_height", &op->pool_vertical.kernel) ||
      !map.get("filter_width", &op->pool_horizontal.kernel) ||
      !map.get("stride_height", &op->pool_vertical.stride) ||
      !map.get("stride_width", &op->pool_horizontal.stride) || !map.get("padding", &padding)) {
    return "LceBMaxPool2d: an option is missing or no 32-bit integer";
  }
  if (op->pool_vertical.kernel <= 0 || op->pool_horizontal.kernel <= 0 ||
      op->pool_vertical.stride <= 0 || op->pool_horizontal.stride <= 0) {
    return "LceBMaxPool2d: sizes and strides must be positive";
  }
  if (padding != 0 && padding != 1) return "LceBMaxPool2d: unknown padding";
  op->same_padding = padding == 0;
  return nullptr;
}

const char* read_binary(const Node& node, Op* op) {
  FlexMap map;
  if (!map.parse(node.custom_options, node.custom_size)) return "LceBMaxPool2d: malformed options";
  return read_binary_options(map, op);
}

const char* read(const Node& node, Op* op) {
  const BuiltinOptions& options = node.options;
  if (!node.has_options || options.stride_width <= 0 || options.stride_height <= 0 ||
      options.filter_width <= 0 || options.filter_height <= 0 || !options.known_padding) {
    return "max pooling: its options are not supported here";
  }
  op->pool_vertical = {options.filter_height, options.stride_height, 1};
  op->pool_horizontal = {options.filter_width, options.stride_width, 1};
  op->same_padding = options.same_padding;
  return activation_limits(options.activation, &op->low, &op->high)
             ? nullptr
             : "max pooling: an unknown activation";
}

bool claim(const Claim& it) {
  return it.input(0).shape.rank == 4 && (!it.is_int8() || it.has_range_of_output(0));
}

const char* infer_binary(const Inference& it) {
  if (it.input.type != Type::kInt32 || it.output.type != Type::kInt32 ||
      it.input.shape.rank != 4) {
    return "LceBMaxPool2d: the tensors must be bitpacked with 4 dimensions";
  }
  it.output.shape = it.input.shape;
  return it.slide_over(it.op.pool_vertical, it.op.pool_horizontal, it.op.same_padding)
             ? nullptr
             : "LceBMaxPool2d: the window does not fit the input";
}

const char* infer(const Inference& it) {
  it.output.shape = it.input.shape;
  return it.alike() && it.input.shape.rank == 4 &&
                 it.slide_over(it.op.pool_vertical, it.op.pool_horizontal, it.op.same_padding)
             ? nullptr
             : "max pooling: the window does not fit the input";
}

const char* size_binary(const Plan& plan, Step* step, size_t*) {
  step->tasks = int64_t{plan.shape_of(step->input).dims[0]} * plan.shape_of(step->output).dims[1];
  return nullptr;
}

const char* size(const Plan& plan, Step* step, size_t* scratch) {
  const Shape& shape = plan.shape_of(step->input);
  // A row of the input, whose size was checked.
  *scratch = static_cast<size_t>(shape.dims[2]) * static_cast<size_t>(shape.dims[3]) *
             plan.bytes_of(*step);
  return size_binary(plan, step, scratch);
}

int64_t bound(int64_t v, int64_t limit) { return v < 0 ? 0 : (v < limit ? v : limit); }

void run_binary(const Run& run, const Step& step, int64_t task, int) {
  const Shape& in = run.value(step.input).shape;
  const Shape& out = run.value(step.output).shape;
  const int64_t words = in.dims[3];
  const int64_t height = in.dims[1], width = in.dims[2];
  const uint32_t* x = run.read<uint32_t>(step.input) +
                      task / out.dims[1] * height * width * words;
  uint32_t* y = run.write<uint32_t>(step.output) + task * out.dims[2] * words;
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
void run_of(const Run& run, const Step& step, int64_t task, int worker) {
  const Shape& in = run.shape_of(step.input);
  const Shape& out = run.shape_of(step.output);
  const int64_t channels = in.dims[3], row = in.dims[2] * channels;
  const auto take_greater = [](const T* x, int64_t count, T* y) {
    for (int64_t i = 0; i < count; ++i) y[i] = y[i] < x[i] ? x[i] : y[i];
  };
  const T* x = run.read<T>(step.input) + task / out.dims[1] * in.dims[1] * row;
  const int64_t top = task % out.dims[1] * step.vertical.stride - step.pad_top;
  const int64_t first = bound(top, in.dims[1]), end = bound(top + step.vertical.kernel, in.dims[1]);
  T* rows = run.workspace<T>(worker);
  memcpy(rows, x + first * row, static_cast<size_t>(row) * sizeof(T));
  for (int64_t iy = first + 1; iy < end; ++iy) take_greater(x + iy * row, row, rows);

  T* y = run.write<T>(step.output) + task * out.dims[2] * channels;
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

void run_task(const Run& run, const Step& step, int64_t task, int worker) {
  if (run.value(step.input).type == Type::kFloat32) {
    run_of<float>(run, step, task, worker);
  } else {
    run_of<int8_t>(run, step, task, worker);
  }
}

constexpr StepType kBinaryStep = {size_binary, run_binary, false};
constexpr StepType kStep = {size, run_task, false};

const char* build_step(Fusion* fusion, int index, const StepType& type) {
  const Op& op = fusion->op(index);
  Step* step = nullptr;
  const char* error = fusion->build_alone(index, type, &step);
  if (error != nullptr) return error;
  const Shape& input = fusion->shape_of(op.inputs[0]);
  int32_t size;
  step->vertical = op.pool_vertical;
  step->horizontal = op.pool_horizontal;
  slide(op.pool_vertical, op.same_padding, input.dims[1], &size, &step->pad_top);
  slide(op.pool_horizontal, op.same_padding, input.dims[2], &size, &step->pad_left);
  step->before_min = op.low;
  step->before_max = op.high;
  return nullptr;
}

const char* build(Fusion* fusion, int op) { return build_step(fusion, op, kStep); }
const char* build_binary(Fusion* fusion, int op) { return build_step(fusion, op, kBinaryStep); }

}  // namespace

extern Operators op_max_pool = {
    {kBuiltinCustom, "LceBMaxPool2d", 1, 1, read_binary, nullptr, infer_binary, build_binary},
    {kBuiltinMaxPool2d, "MAX_POOL_2D", 1, 1, read, claim, infer, build},
    {},
};

}  // namespace larq_dense
