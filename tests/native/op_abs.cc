// ABS: an operator that the runtime lacks, added by this file alone (test_new_operator.py).
#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

bool claim(const Claim& it) {
  return it.input(0).shape.rank >= 1 && (!it.is_int8() || it.has_range_of_output(0));
}

const char* infer(const Inference& it) {
  if (!it.alike()) return "abs: the tensors' types are not supported here";
  it.output.shape = it.input.shape;
  return nullptr;
}

const char* size(const Plan& plan, Step* step, size_t*) {
  size_by_rows(plan.shape_of(step->input), step);
  return nullptr;
}

float absolute(float x, int) { return __builtin_fabsf(x); }

int8_t absolute(int8_t x, int zero_point) {
  const int mirrored = x < zero_point ? 2 * zero_point - x : x;
  return static_cast<int8_t>(mirrored < 127 ? mirrored : 127);
}

template <class T>
void run_of(const Run& run, const Step& step, int64_t task) {
  const Shape& shape = run.shape_of(step.input);
  const Range rows = rows_of(shape, task);
  const T* x = run.read<T>(step.input);
  T* y = run.write<T>(step.output);
  for (int64_t i = rows.first * shape.last(); i < rows.end * shape.last(); ++i) {
    y[i] = absolute(x[i], run.value(step.input).zero_point);
  }
}

void run_task(const Run& run, const Step& step, int64_t task, int) {
  if (run.value(step.input).type == Type::kFloat32) {
    run_of<float>(run, step, task);
  } else {
    run_of<int8_t>(run, step, task);
  }
}

constexpr StepType kStep = {size, run_task, false};

const char* build(Fusion* fusion, int op) { return fusion->build_alone(op, kStep); }

}  // namespace

extern Operators op_abs = {
    {101, "ABS", 1, 1, nullptr, claim, infer, build},
    {},
};

}  // namespace larq_dense
