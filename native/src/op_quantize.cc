// LceQuantize: floats, int8s or bools to bits of their signs.
#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

bool is_unpacked(Type type) {
  return type == Type::kFloat32 || type == Type::kInt8 || type == Type::kBool;
}

const char* infer(const Inference& it) {
  if (!is_unpacked(it.input.type) || it.output.type != Type::kInt32) {
    return "LceQuantize: the tensors' types are not supported";
  }
  it.output.shape = it.input.shape;
  it.output.shape.dims[it.input.shape.rank - 1] = words_for(it.input.shape.last());
  return nullptr;
}

const char* build(Fusion* fusion, int op) { return fusion->build_quantize(op); }

const char* size(const Plan& plan, Step* step, size_t*) {
  size_by_rows(plan.shape_of(step->input), step);
  return nullptr;
}

template <class T>
void run_of(const Run& run, const Step& step, int64_t task) {
  const int64_t words = run.shape_of(step.bits[0]).last();
  const Range rows = rows_of(run.shape_of(step.input), task);
  int64_t first_word = 0;
  for (int k = 0; k < step.parts; ++k) {
    const T* x = run.read<T>(step.part[k]);
    const int64_t width = run.shape_of(step.part[k]).last();
    for (int j = 0; j < step.bit_outputs; ++j) {
      const bool alike = step.limits[j].size() == 0 && step.int8_limits[j].size() == 0;
      // Pixels that fill their words lie side by side, as one long pixel does.
      const int64_t pixels =
          alike && width == 32 * words && rows.end > rows.first ? rows.end - rows.first : 1;
      uint32_t* bits = run.write<uint32_t>(step.bits[j]) + first_word;
      for (int64_t row = rows.first; row < rows.end; row += pixels) {
        pack_bits(run, step, j, x + row * width, static_cast<size_t>(pixels * width),
                  bits + row * words);
      }
    }
    first_word += words_for(static_cast<int32_t>(width));
  }
}

void run_task(const Run& run, const Step& step, int64_t task, int) {
  if (run.value(step.input).type == Type::kFloat32) {
    run_of<float>(run, step, task);
  } else {
    run_of<int8_t>(run, step, task);
  }
}

}  // namespace

void pack_bits(const Run& run, const Step& step, int j, const float* x, size_t count,
               uint32_t* bits) {
  const float* limits = step.limits[j].size() == 0 ? nullptr : step.limits[j].data();
  run.kernels().quantize_float(x, limits, count, bits);
}

void pack_bits(const Run& run, const Step& step, int j, const int8_t* x, size_t count,
               uint32_t* bits) {
  if (step.int8_limits[j].size() != 0) {
    run.kernels().quantize_int8_by(x, step.int8_limits[j].data(), count, bits);
    return;
  }
  // False is -1, so a bool is an int8 whose zero point is 1.
  const Value& input = run.value(step.input);
  run.kernels().quantize_int8(x, input.type == Type::kBool ? 1 : input.zero_point, count, bits);
}

extern const StepType kQuantizeStep = {size, run_task, true};

extern Operators op_quantize = {
    {kBuiltinCustom, "LceQuantize", 1, 1, nullptr, nullptr, infer, build, OpKind::kQuantize},
    {},
};

}  // namespace larq_dense
