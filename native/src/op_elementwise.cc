// ADD, ADD_N, MUL, RELU, RELU6 and ROUND, which form chains where no convolution takes them.
#include <string.h>

#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

// Whether a tensor holds nothing but 0 and 1, by the way it is made: signs cut off below 0.
bool is_mask(const Graph& graph, int tensor) {
  const int made_by[] = {kBuiltinRelu, kBuiltinCustom};
  for (const int code : made_by) {
    // The steps for 1 must be a number of them.
    const Tensor& mask = graph.tensor(tensor);
    const float one = 1.0f / mask.scale;
    if (mask.type != Type::kInt8 || mask.zero_point != 0 ||
        !(one == 1 || one == 2 || one == 4 || one == 8 || one == 16 || one == 32 || one == 64)) {
      return false;
    }
    const Node* node = graph.producer_of(tensor);
    if (node == nullptr || node->code != code || node->input_count != 1 ||
        !graph.has(node->inputs[0])) {
      return false;
    }
    if (code == kBuiltinCustom) {
      return node->custom_name != nullptr && strcmp(node->custom_name, "LceDequantize") == 0;
    }
    if (!same_range(mask, graph.tensor(node->inputs[0]))) return false;
    tensor = node->inputs[0];
  }
  return false;
}

// Elements that go through a whole chain before the next: what stays in the first cache.
constexpr size_t kElementsPerBlock = 2048;

int64_t rows_per_block(const Shape& shape) {
  const size_t channels = static_cast<size_t>(shape.last());
  return static_cast<int64_t>(channels >= kElementsPerBlock ? 1 : kElementsPerBlock / channels);
}

const char* read_activation(const Node& node, Op* op) {
  return node.has_options && activation_limits(node.options.activation, &op->low, &op->high)
             ? nullptr
             : "add, multiply: an unknown activation";
}

const char* read_clamp(const Node& node, Op* op) {
  activation_limits(node.code == kBuiltinRelu ? kActRelu : kActRelu6, &op->low, &op->high);
  return nullptr;
}

bool claim_unary(const Claim& it) {
  return it.input(0).shape.rank >= 1 && (!it.is_int8() || it.has_range_of_output(0));
}

bool claim_round(const Claim& it) { return it.input(0).shape.rank >= 1 && !it.is_int8(); }

bool claim_add_n(const Claim& it) {
  for (int i = 1; i < it.op.input_count; ++i) {
    if (!it.reads(i) || !(it.input(i).shape == it.input(0).shape)) return false;
  }
  return !it.is_int8();
}

bool claim_binary(const Claim& it) {
  const bool multiplies = it.op.kind() == OpKind::kMul;
  if (!it.reads(1) || (it.input(0).constant != nullptr && it.input(1).constant != nullptr)) {
    return false;
  }
  if (it.is_int8() && (!it.has_range_of_output(0) ||
                       !(multiplies ? is_mask(it.graph, it.op.inputs[1])
                                    : it.has_range_of_output(1)))) {
    return false;
  }
  const Shape& first = it.input(0).shape;
  const Shape& second = it.input(1).shape;
  return operand_of(first, second) != Operand::kOther ||
         (operand_of(second, first) != Operand::kOther && !(it.is_int8() && multiplies));
}

const char* infer_binary(const Inference& it) {
  const Value& second = it.value(1);
  if (!it.alike() || second.type != it.input.type) {
    return "add, multiply: the tensors' types are not supported here";
  }
  const bool masks = it.op.kind() == OpKind::kMul && it.input.type == Type::kInt8;
  if (operand_of(it.input.shape, second.shape) != Operand::kOther) {
    it.output.shape = it.input.shape;
  } else if (!masks && operand_of(second.shape, it.input.shape) != Operand::kOther) {
    it.output.shape = second.shape;
  } else {
    return "add, multiply: this kind of broadcast is not supported here";
  }
  return nullptr;
}

const char* infer_unary(const Inference& it) {
  if (!it.alike()) return "relu or round: the tensors' types are not supported here";
  it.output.shape = it.input.shape;
  return nullptr;
}

const char* build(Fusion* fusion, int op) { return fusion->build_elementwise(op); }

const char* size(const Plan& plan, Step* step, size_t* scratch) {
  const Shape& shape = plan.shape_of(step->input);
  size_by_rows(shape, step);
  *scratch = static_cast<size_t>(rows_per_block(shape)) * static_cast<size_t>(shape.last()) *
             sizeof(float);
  return nullptr;
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
void run_of(const Run& run, const Step& step, int64_t task, int worker) {
  const Shape& shape = run.shape_of(step.input);
  const Range rows = rows_of(shape, task);
  const int64_t channels = shape.last();
  const int64_t words = words_for(shape.last());
  const int64_t each = rows_per_block(shape);
  const T* input = run.read<T>(step.input);
  for (int64_t row = rows.first; row < rows.end; row += each) {
    const int64_t count = rows.end - row < each ? rows.end - row : each;
    Combine<T> combine;
    combine.rows = static_cast<size_t>(count);
    combine.channels = static_cast<size_t>(channels);
    combine.zero_point = run.value(step.input).zero_point;
    combine.x = input + row * channels;
    combine.out = step.output < 0 ? run.workspace<T>(worker)
                                  : run.write<T>(step.output) + row * channels;
    for (size_t j = 0; j < step.links.size(); ++j) {
      const Link& link = step.links[j];
      combine.op = link.op;
      combine.low = limit_of<T>(link.low);
      combine.high = limit_of<T>(link.high);
      combine.scale = link.scale.size() == 0 ? nullptr : link.scale.data();
      combine.broadcast = link.value < 0 ? Broadcast::kNone : broadcast_of(link.operand);
      combine.operand = link.value < 0 ? combine.x : run.read<T>(link.value);
      if (link.value >= 0 && combine.broadcast == Broadcast::kNone) {
        combine.operand += row * channels;
      } else if (combine.broadcast == Broadcast::kRows) {
        combine.operand += row;
      }
      run_combine(run.kernels(), combine);
      combine.x = combine.out;
    }
    for (int j = 0; j < step.bit_outputs; ++j) {
      uint32_t* bits = run.write<uint32_t>(step.bits[j]) + row * words;
      for (int64_t r = 0; r < count; ++r) {
        pack_bits(run, step, j, combine.x + r * channels, static_cast<size_t>(channels),
                  bits + r * words);
      }
    }
  }
}

void run_task(const Run& run, const Step& step, int64_t task, int worker) {
  if (run.value(step.input).type == Type::kFloat32) {
    run_of<float>(run, step, task, worker);
  } else {
    run_of<int8_t>(run, step, task, worker);
  }
}

}  // namespace

extern const StepType kChainStep = {size, run_task, true};

extern Operators op_elementwise = {
    {kBuiltinAdd, "ADD", 2, 2, read_activation, claim_binary, infer_binary, build, OpKind::kAdd},
    {kBuiltinAddN, "ADD_N", 2, kMaxInputs, nullptr, claim_add_n, infer_binary, build, OpKind::kAdd},
    {kBuiltinMul, "MUL", 2, 2, read_activation, claim_binary, infer_binary, build, OpKind::kMul},
    {kBuiltinRelu, "RELU", 1, 1, read_clamp, claim_unary, infer_unary, build, OpKind::kClamp},
    {kBuiltinRelu6, "RELU6", 1, 1, read_clamp, claim_unary, infer_unary, build, OpKind::kClamp},
    {kBuiltinRound, "ROUND", 1, 1, nullptr, claim_round, infer_unary, build, OpKind::kRound},
    {},
};

}  // namespace larq_dense
