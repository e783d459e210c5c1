// RESIZE_NEAREST_NEIGHBOR by whole factors, and RESIZE_BILINEAR of int8s to twice the size.
#include <string.h>

#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

const char* read_nearest(const Node& node, Op*) {
  return node.has_options && !node.options.align_corners
             ? nullptr
             : "nearest neighbour: its options are not supported here";
}

const char* read_bilinear(const Node& node, Op*) {
  return node.has_options && node.options.half_pixel_centers && !node.options.align_corners
             ? nullptr
             : "bilinear: its options are not supported here";
}

// Whether it is a resize of pictures to the size that its second input says.
bool is_resize(const Claim& it) {
  int32_t height, width;
  return it.input(0).shape.rank == 4 && it.output().shape.rank == 4 &&
         (!it.is_int8() || it.has_range_of_output(0)) &&
         holds_two(it.input(1), &height, &width) && height == it.output().shape.dims[1] &&
         width == it.output().shape.dims[2];
}

bool claim_nearest(const Claim& it) {
  const Shape& small = it.input(0).shape;
  const Shape& large = it.output().shape;
  return is_resize(it) && large.dims[1] % small.dims[1] == 0 &&
         large.dims[2] % small.dims[2] == 0;
}

bool claim_bilinear(const Claim& it) {
  const Shape& small = it.input(0).shape;
  const Shape& large = it.output().shape;
  return it.is_int8() && is_resize(it) && is_twice(large.dims[1], small.dims[1]) &&
         is_twice(large.dims[2], small.dims[2]);
}

const char* infer_nearest(const Inference& it) {
  const Shape& shape = it.input.shape;
  Shape wanted;
  if (!it.alike() || shape.rank != 4 || !it.wanted(&wanted) || wanted.rank != 4 ||
      shape.dims[1] <= 0 || shape.dims[2] <= 0 || wanted.dims[1] % shape.dims[1] != 0 ||
      wanted.dims[2] % shape.dims[2] != 0) {
    return "nearest neighbour: only whole factors are supported here";
  }
  it.resize_to(wanted);
  return nullptr;
}

const char* infer_bilinear(const Inference& it) {
  const Shape& shape = it.input.shape;
  Shape wanted;
  if (!it.alike() || it.input.type != Type::kInt8 || shape.rank != 4 || !it.wanted(&wanted) ||
      wanted.rank != 4 || !is_twice(wanted.dims[1], shape.dims[1]) ||
      !is_twice(wanted.dims[2], shape.dims[2])) {
    return "bilinear: only twice the size is supported here";
  }
  it.resize_to(wanted);
  return nullptr;
}

const char* size_nearest(const Plan& plan, Step* step, size_t*) {
  const Shape& shape = plan.shape_of(step->input);
  step->tasks = int64_t{shape.dims[0]} * shape.dims[1];
  return nullptr;
}

const char* size_bilinear(const Plan& plan, Step* step, size_t* scratch) {
  const Shape& shape = plan.shape_of(step->input);
  const size_t channels = static_cast<size_t>(shape.dims[3]);
  if (!checked_mul(static_cast<size_t>(shape.dims[2]), channels, scratch) ||
      !checked_mul(*scratch, 4, scratch) ||
      !checked_add(*scratch, 4 * channels + 2 * kEnlargeSlack, scratch)) {
    return "bilinear: a row is too long";
  }
  return size_nearest(plan, step, scratch);
}

void run_nearest(const Run& run, const Step& step, int64_t task, int) {
  const Shape& in = run.shape_of(step.input);
  const Shape& out = run.shape_of(step.output);
  const int64_t down = out.dims[1] / in.dims[1], across = out.dims[2] / in.dims[2];
  const size_t bytes = static_cast<size_t>(in.dims[3]) * run.plan().bytes_of(step);
  const size_t row_bytes = bytes * static_cast<size_t>(out.dims[2]);
  const uint8_t* x = run.read<uint8_t>(step.input) +
                     static_cast<size_t>(task * in.dims[2]) * bytes;
  uint8_t* first =
      run.write<uint8_t>(step.output) + static_cast<size_t>(task * down) * row_bytes;
  uint8_t* y = first;
  for (int64_t ix = 0; ix < in.dims[2]; ++ix, x += bytes) {
    for (int64_t k = 0; k < across; ++k, y += bytes) memcpy(y, x, bytes);
  }
  for (int64_t k = 1; k < down; ++k, y += row_bytes) memcpy(y, first, row_bytes);
}

void run_bilinear(const Run& run, const Step& step, int64_t task, int worker) {
  const Shape& in = run.shape_of(step.input);
  const int64_t height = in.dims[1], y = task % height;
  const size_t width = static_cast<size_t>(in.dims[2]), channels = static_cast<size_t>(in.dims[3]);
  const int64_t row = static_cast<int64_t>(width * channels);
  const int8_t* x = run.read<int8_t>(step.input) + task * row;
  int8_t* out = run.write<int8_t>(step.output) + 4 * task * row;
  const int8_t* above = y > 0 ? x - row : x;
  const int8_t* below = y + 1 < height ? x + row : x;
  run.kernels().enlarge_int8(x, above, width, channels, out, run.workspace<void>(worker));
  run.kernels().enlarge_int8(x, below, width, channels, out + 2 * row, run.workspace<void>(worker));
}

constexpr StepType kNearestStep = {size_nearest, run_nearest, false};
constexpr StepType kBilinearStep = {size_bilinear, run_bilinear, false};

const char* build_nearest(Fusion* fusion, int op) { return fusion->build_alone(op, kNearestStep); }

const char* build_bilinear(Fusion* fusion, int op) {
  return fusion->build_alone(op, kBilinearStep);
}

}  // namespace

extern Operators op_resize = {
    {kBuiltinResizeNearestNeighbor, "RESIZE_NEAREST_NEIGHBOR", 2, 2, read_nearest, claim_nearest,
     infer_nearest, build_nearest, OpKind::kNearest},
    {kBuiltinResizeBilinear, "RESIZE_BILINEAR", 2, 2, read_bilinear, claim_bilinear, infer_bilinear,
     build_bilinear},
    {},
};

}  // namespace larq_dense
