// LceDequantize: bits of signs to floats, int8s or bools.
#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

template <class T>
void unpack(const uint32_t* words, int64_t channels, T positive, T negative, T* out) {
  for (int64_t c = 0; c < channels; ++c) {
    out[c] = (words[c / 32] >> (c % 32)) & 1 ? negative : positive;
  }
}

bool is_unpacked(Type type) {
  return type == Type::kFloat32 || type == Type::kInt8 || type == Type::kBool;
}

const char* infer(const Inference& it) {
  if (it.input.type != Type::kInt32 || !is_unpacked(it.output.type)) {
    return "LceDequantize: the tensors' types are not supported";
  }
  if (it.output.type == Type::kInt8 && !(it.output.scale > 0)) {
    return "LceDequantize: the output has no scale";
  }
  // Words do not tell how many channels they hold.
  Shape wanted;
  if (!it.wanted(&wanted) || wanted.rank != it.input.shape.rank ||
      words_for(wanted.last()) != it.input.shape.last()) {
    return "LceDequantize: the shapes do not fit";
  }
  it.output.shape = it.input.shape;
  it.output.shape.dims[wanted.rank - 1] = wanted.last();
  return nullptr;
}

const char* size(const Plan& plan, Step* step, size_t*) {
  size_by_rows(plan.shape_of(step->input), step);
  return nullptr;
}

void run_task(const Run& run, const Step& step, int64_t task, int) {
  const Value& input = run.value(step.input);
  const Value& output = run.value(step.output);
  const int64_t channels = output.shape.last();
  const int64_t words = input.shape.last();
  const uint32_t* bits = run.read<uint32_t>(step.input);
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
             run.write<float>(step.output) + row * channels);
    } else if (output.type == Type::kInt8) {
      unpack(from, channels, positive, negative,
             run.write<int8_t>(step.output) + row * channels);
    } else {
      unpack(from, channels, uint8_t{1}, uint8_t{0},
             run.write<uint8_t>(step.output) + row * channels);
    }
  }
}

constexpr StepType kStep = {size, run_task, false};

const char* build(Fusion* fusion, int op) { return fusion->build_alone(op, kStep); }

}  // namespace

extern Operators op_dequantize = {
    {kBuiltinCustom, "LceDequantize", 1, 1, nullptr, nullptr, infer, build},
    {},
};

}  // namespace larq_dense
