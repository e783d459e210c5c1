// An operator of a network.
#pragma once

#include "bconv2d.h"
#include "conv2d.h"
#include "graph.h"

namespace larq_dense {

struct Operator;  // operator.h

// What the rest knows an operator by, to fuse it with others.
enum class OpKind {
  kOther,  // not by name
  kQuantize,
  kConv,  // binary
  kAdd,   // of more than two tensors: taken apart when a partition reads it
  kMul,   // of int8, with a mask as second input
  kClamp,
  kRound,  // to the nearest integer, halves to the even one
  kDepthToSpace,
  kNearest,  // a resize by whole numbers
  kConcat,   // along the channels
  kMean,     // over height and width
};

struct Op {
  const Operator* row = nullptr;  // of the table of operators
  int inputs[kMaxInputs] = {-1, -1, -1, -1, -1, -1, -1, -1};
  int input_count = 0;
  int output = -1;
  ConvOptions conv;                       // of a binary convolution
  Conv2dOptions conv2d;                   // of an ordinary one
  Window pool_vertical, pool_horizontal;  // of a pooling
  bool same_padding = false;              // of a pooling
  float low = -__builtin_inff();          // the range that an activation leaves, of int8 in steps
  float high = __builtin_inff();
  int block_size = 1;       // of a depth to space
  int axis = 0;             // of a concatenation
  bool keep_dims = false;   // of a mean

  OpKind kind() const;
};

// Null where the operator is not known.
const char* name_of(const Node& node);

// Whether the node is one of LCE's, which nobody else can run.
bool is_lce_node(const Node& node);

// Whether the node is an operator of TensorFlow Lite between floats or int8s that can be computed
// here, going by the operator, the tensors' types, ranges and shapes.
bool is_tflite_node(const Graph& graph, const Kernels& kernels, const Node& node);

// Reads a node's inputs, outputs and options. Returns a sentence where they are malformed.
const char* read_op(const Graph& graph, const Node& node, Op* op);

// The constants of an ordinary convolution whose tensors are of the right kinds and sizes.
bool read_conv2d(const Graph& graph, const Op& op, Conv2dConstants* constants);

// How the second operand of an add or a multiply lies against the first.
enum class Operand { kSame, kChannels, kRows, kScalar, kOther };
Operand operand_of(const Shape& first, const Shape& second);

}  // namespace larq_dense
