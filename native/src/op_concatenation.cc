// CONCATENATION along the channels, which is not done where all readers take the parts.
#include <string.h>

#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

const char* read(const Node& node, Op* op) {
  op->axis = node.options.axis;
  return node.has_options && node.options.activation == kActNone
             ? nullptr
             : "concatenation: its options are not supported here";
}

bool claim(const Claim& it) {
  for (int i = 0; i < it.op.input_count; ++i) {
    if (!it.reads(i) || (it.is_int8() && !it.has_range_of_output(i))) return false;
  }
  return it.input(0).shape.rank == 4 && (it.op.axis == 3 || it.op.axis == -1);
}

const char* infer(const Inference& it) {
  const Shape& shape = it.input.shape;
  int64_t channels = 0;
  for (int i = 0; i < it.op.input_count; ++i) {
    const Value& part = it.value(i);
    if (part.type != it.input.type || part.shape.rank != 4 || shape.rank != 4 ||
        part.shape.dims[0] != shape.dims[0] || part.shape.dims[1] != shape.dims[1] ||
        part.shape.dims[2] != shape.dims[2] || part.shape.dims[3] <= 0) {
      return "concatenation: the shapes or types are not supported here";
    }
    channels += part.shape.dims[3];
  }
  if (!it.alike() || channels > INT32_MAX) return "concatenation: the output is not supported here";
  it.output.shape = shape;
  it.output.shape.dims[3] = static_cast<int32_t>(channels);
  return nullptr;
}

const char* size(const Plan& plan, Step* step, size_t*) {
  size_by_rows(plan.shape_of(step->input), step);
  return nullptr;
}

void run_task(const Run& run, const Step& step, int64_t task, int) {
  const size_t bytes = run.plan().bytes_of(step);
  const size_t pixel = static_cast<size_t>(run.shape_of(step.output).last()) * bytes;
  // Tasks were counted by the first part's channels.
  const Range rows = rows_of(run.shape_of(step.input), task);
  uint8_t* out = run.write<uint8_t>(step.output);
  for (int k = 0; k < step.parts; ++k) {
    const size_t width = static_cast<size_t>(run.shape_of(step.part[k]).last()) * bytes;
    const uint8_t* x = run.read<uint8_t>(step.part[k]);
    for (int64_t row = rows.first; row < rows.end; ++row) {
      const size_t r = static_cast<size_t>(row);
      memcpy(out + r * pixel, x + r * width, width);
    }
    out += width;
  }
}

constexpr StepType kStep = {size, run_task, false};

const char* build(Fusion* fusion, int op) { return fusion->build_concat(op, kStep); }

}  // namespace

extern Operators op_concatenation = {
    {kBuiltinConcatenation, "CONCATENATION", 2, kMaxInputs, read, claim, infer, build,
     OpKind::kConcat},
    {},
};

}  // namespace larq_dense
