// MEAN over height and width.
#include <string.h>

#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

constexpr int kMaxMeanPixels = 1 << 23;  // whose sum of int8s is an int32

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

const char* read(const Node& node, Op* op) {
  op->keep_dims = node.options.keep_dims;
  return node.has_options ? nullptr : "mean: its options are missing";
}

// Whether the axes are height and width.
bool is_over_pixels(const Tensor& axes) {
  int32_t a, b;
  if (!holds_two(axes, &a, &b)) return false;
  a = a < 0 ? a + 4 : a;
  b = b < 0 ? b + 4 : b;
  return (a == 1 && b == 2) || (a == 2 && b == 1);
}

// Of int8s the interpreter's kernels agree where the sum is not made smaller, and so rounded once.
bool rounds_once(const Claim& it) {
  const Tensor& input = it.input(0);
  const Tensor& output = it.output();
  const float pixels =
      static_cast<float>(input.shape.dims[1]) * static_cast<float>(input.shape.dims[2]);
  const float finer = input.scale / output.scale;
  return it.op.keep_dims && same_range(input, input) && same_range(output, output) &&
         pixels <= kMaxMeanPixels && finer <= (1 << 23) && finer / pixels >= 0.5f;
}

bool claim(const Claim& it) {
  return it.input(0).shape.rank == 4 && it.output().shape.rank >= 2 &&
         is_over_pixels(it.input(1)) && (!it.is_int8() || rounds_once(it));
}

const char* infer(const Inference& it) {
  const Shape& shape = it.input.shape;
  if (!it.alike() || shape.rank != 4) return "mean: the shapes or types are not supported here";
  if (it.input.type == Type::kInt8 && int64_t{shape.dims[1]} * shape.dims[2] > kMaxMeanPixels) {
    return "mean: the picture is too large";
  }
  it.output.shape = shape;
  it.output.shape.dims[1] = it.output.shape.dims[2] = 1;
  if (!it.op.keep_dims) {
    it.output.shape.rank = 2;
    it.output.shape.dims[1] = shape.dims[3];
  }
  return nullptr;
}

const char* size(const Plan& plan, Step* step, size_t* scratch) {
  step->tasks = int64_t{plan.shape_of(step->input).dims[0]} * step->parts;
  *scratch = static_cast<size_t>(plan.shape_of(step->output).last()) * sizeof(float);
  return nullptr;
}

void run_floats(const Run& run, const Step& step, int64_t task, int worker) {
  // Sums of some pixels are added to the sum of all, so that rounding errors stay small.
  constexpr int64_t kPixelsAtOnce = 64;
  const int64_t batch = task / step.parts;
  const int k = static_cast<int>(task % step.parts);
  const Shape& shape = run.shape_of(step.part[k]);
  const int64_t channels = shape.last();
  const int64_t pixels = int64_t{shape.dims[1]} * shape.dims[2];
  const float* x = run.read<float>(step.part[k]) + batch * pixels * channels;
  float* out = run.write<float>(step.output) + batch * run.shape_of(step.output).last();
  for (int j = 0; j < k; ++j) out += run.shape_of(step.part[j]).last();
  float* some = run.workspace<float>(worker);
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
void run_int8s(const Run& run, const Step& step, int64_t task, int worker) {
  const int64_t batch = task / step.parts;
  const int k = static_cast<int>(task % step.parts);
  const Value& input = run.value(step.part[k]);
  const Value& output = run.value(step.output);
  const int64_t channels = input.shape.last();
  const int64_t pixels = int64_t{input.shape.dims[1]} * input.shape.dims[2];
  const int8_t* x = run.read<int8_t>(step.part[k]) + batch * pixels * channels;
  int8_t* out = run.write<int8_t>(step.output) + batch * output.shape.last();
  for (int j = 0; j < k; ++j) out += run.shape_of(step.part[j]).last();
  int32_t* sums = run.workspace<int32_t>(worker);
  memset(sums, 0, static_cast<size_t>(channels) * sizeof(int32_t));
  run.kernels().sum_int8(x, static_cast<size_t>(pixels), static_cast<size_t>(channels), sums);

  const float zero = static_cast<float>(input.zero_point) * input.scale / output.scale;
  const int32_t offset = output.zero_point - static_cast<int32_t>(zero + (zero > 0 ? 0.5f : -0.5f));
  const FixedPoint scale(input.scale / (static_cast<float>(pixels) * output.scale));
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t mean = int64_t{scale.times(sums[c])} + offset;
    out[c] = static_cast<int8_t>(mean < -128 ? -128 : (mean > 127 ? 127 : mean));
  }
}

void run_task(const Run& run, const Step& step, int64_t task, int worker) {
  if (run.value(step.input).type == Type::kFloat32) {
    run_floats(run, step, task, worker);
  } else {
    run_int8s(run, step, task, worker);
  }
}

constexpr StepType kStep = {size, run_task, false};

const char* build(Fusion* fusion, int op) { return fusion->build_on_parts(op, kStep); }

}  // namespace

extern Operators op_mean = {
    {kBuiltinMean, "MEAN", 2, 2, read, claim, infer, build, OpKind::kMean},
    {},
};

}  // namespace larq_dense
