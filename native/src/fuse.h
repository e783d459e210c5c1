// Decides what is computed in one pass.
//
// A convolution takes along what follows it as long as nobody else needs what lies between: a
// multiply or add of constants, an activation, adds of other tensors (a residual, the sum of
// parallel branches), a depth to space, and the thresholds that pack the result for the next
// convolutions. Adds and multiplies that no convolution takes form chains in the same way.
#pragma once

#include "operator.h"

namespace larq_dense {

inline bool is_unary(OpKind kind) { return kind == OpKind::kClamp || kind == OpKind::kRound; }

inline bool is_elementwise(OpKind kind) {
  return kind == OpKind::kAdd || kind == OpKind::kMul || is_unary(kind);
}

inline bool is_along_channels(Operand operand) {
  return operand == Operand::kChannels || operand == Operand::kScalar;
}

struct ConvFusion;  // fuse_conv.cc

// Makes a plan's steps of its operators, whose shapes are known.
class Fusion {
 public:
  Fusion(const Graph& graph, Plan* plan)
      : graph_(graph),
        kernels_(plan->kernels),
        ops_(plan->ops),
        values_(plan->values),
        steps_(plan->steps) {}

  const char* build();

  // For the operators' `build`: a step of the operator alone. `made`, if there is one, receives it.
  const char* build_alone(int op, const StepType& type, Step** made = nullptr);
  // The same of one that can read the parts of a concatenation that is never put together.
  const char* build_on_parts(int op, const StepType& type, Step** made = nullptr);
  const char* build_concat(int op, const StepType& type);
  const char* build_quantize(int op);
  const char* build_elementwise(int op);
  const char* build_conv(int op);    // fuse_conv.cc
  const char* build_conv2d(int op);  // fuse_conv.cc
  const Op& op(int i) const { return ops_[static_cast<size_t>(i)]; }
  const Shape& shape_of(int value) const { return values_[static_cast<size_t>(value)].shape; }

 private:
  Step* new_step(const StepType& type, int op);
  void read_in_parts(int concatenation, Step* step) const;
  bool only_consumer(int value, int* op) const;
  bool constant_floats(int value, const float** data) const;
  void drop(int value) { values_[static_cast<size_t>(value)].place = Value::Place::kNowhere; }
  bool is_int8(int value) const { return values_[static_cast<size_t>(value)].type == Type::kInt8; }

  // fuse_conv.cc
  const char* read_constants(const Op& op, ConvFusion* fusion, ConvConstants* constants,
                             ConvKind* kind) const;
  bool extend_conv(int follower, Step* step, ConvFusion* fusion);
  bool can_split(int block_size, const Step& step, const ConvFusion& fusion) const;
  bool fold_constants(int follower, int other, const Step& step, ConvFusion* fusion) const;
  bool link_other(const Op& op, int other, Step* step, ConvFusion* fusion);
  void link_before_nearest(const Step& step, Link* link);

  // fuse_bits.cc
  bool is_threshold(int op, int* source, int* constants) const;
  const char* set_limits(int source, int threshold, size_t padded, Step* step) const;
  bool never_joined(int value) const;
  int readers_of_kind(int value, OpKind kind) const;
  bool quantized_in_parts(int quantize) const;
  const char* attach_joined_bits(int part, Step* step);
  const char* attach_bits(int source, Step* step);

  // fuse_chain.cc
  const char* build_chain(int op);
  bool extend_chain(int follower, Step* step, const char** error);
  const char* scaled_operand(int value, int* multiply, Array<float>* scale, int* source) const;

  const Graph& graph_;
  const Kernels* kernels_;
  List<Op>& ops_;
  List<Value>& values_;
  List<Step>& steps_;
  Array<bool> taken_;  // by a step that was made before, for each operator
};

}  // namespace larq_dense
