// DEPTH_TO_SPACE, where no convolution takes it.
#include <string.h>

#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

const char* read(const Node& node, Op* op) {
  op->block_size = node.options.block_size;
  return node.has_options && op->block_size > 0 && op->block_size <= 64
             ? nullptr
             : "depth to space: the block size is not supported here";
}

bool claim(const Claim& it) {
  return it.input(0).shape.rank == 4 && (!it.is_int8() || it.has_range_of_output(0));
}

const char* infer(const Inference& it) {
  const int64_t block = it.op.block_size;
  const Shape& shape = it.input.shape;
  if (!it.alike() || shape.rank != 4 || shape.dims[3] % (block * block) != 0 ||
      shape.dims[1] > INT32_MAX / block || shape.dims[2] > INT32_MAX / block) {
    return "depth to space: the shapes or types are not supported here";
  }
  it.output.shape = shape;
  it.output.shape.dims[1] *= it.op.block_size;
  it.output.shape.dims[2] *= it.op.block_size;
  it.output.shape.dims[3] = static_cast<int32_t>(shape.dims[3] / (block * block));
  return nullptr;
}

const char* size(const Plan& plan, Step* step, size_t*) {
  const Shape& shape = plan.shape_of(step->input);
  step->tasks = int64_t{shape.dims[0]} * shape.dims[1];
  return nullptr;
}

void run_task(const Run& run, const Step& step, int64_t task, int) {
  const Shape& in = run.shape_of(step.input);
  const int64_t block = step.block_size;
  const size_t pixel = static_cast<size_t>(in.dims[3]) * run.plan().bytes_of(step);
  const size_t kept = pixel / static_cast<size_t>(block);  // channels that stay together
  const uint8_t* x = run.read<uint8_t>(step.input) +
                     static_cast<size_t>(task * in.dims[2]) * pixel;
  uint8_t* y = run.write<uint8_t>(step.output) +
               static_cast<size_t>(task * in.dims[2]) * pixel;
  for (int64_t dy = 0; dy < block; ++dy, x += kept) {
    for (size_t ix = 0; ix < static_cast<size_t>(in.dims[2]); ++ix, y += kept) {
      memcpy(y, x + ix * pixel, kept);
    }
  }
}

constexpr StepType kStep = {size, run_task, false};

const char* build(Fusion* fusion, int index) {
  Step* step = nullptr;
  const char* error = fusion->build_alone(index, kStep, &step);
  if (error == nullptr) step->block_size = fusion->op(index).block_size;
  return error;
}

}  // namespace

extern Operators op_depth_to_space = {
    {kBuiltinDepthToSpace, "DEPTH_TO_SPACE", 1, 1, read, claim, infer, build,
     OpKind::kDepthToSpace},
    {},
};

}  // namespace larq_dense
