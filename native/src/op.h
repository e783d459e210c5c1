// The operators that the delegate understands, read from the interpreter's nodes.
#pragma once

#include "bconv2d.h"
#include "conv2d.h"
#include "geometry.h"
#include "tflite_abi.h"

namespace larq_dense {

enum class OpKind {
  kQuantize,
  kDequantize,
  kConv,
  kConv2d,  // an ordinary or depthwise convolution, of int8
  kMaxPool,
  kAdd,
  kAddN,  // taken apart into adds when a partition reads it
  kMul,  // of int8, with a mask as second input
  kClamp,
  kRound,  // to the nearest integer, halves to the even one
  kDepthToSpace,
  kNearest,  // a resize by whole numbers
  kBilinear,  // a resize to twice the size, of int8
  kConcat,   // along the channels
  kMean,     // over height and width
};

constexpr int kMaxInputs = 8;
constexpr int kMaxMeanPixels = 1 << 23;  // whose sum of int8s is an int32

struct Op {
  OpKind kind = OpKind::kQuantize;
  int inputs[kMaxInputs] = {-1, -1, -1, -1, -1, -1, -1, -1};
  int input_count = 0;
  int output = -1;
  ConvOptions conv;                      // of a binary convolution
  Conv2dOptions conv2d;                  // of an ordinary one
  Window pool_vertical, pool_horizontal;  // of a pooling
  bool same_padding = false;             // of a pooling
  float low = 0, high = 0;               // the range that an activation leaves, of int8 in steps
  int block_size = 1;                    // of a depth to space
  int axis = 0;                          // of a concatenation
  bool keep_dims = false;                // of a mean
};

// Whether the node is one of LCE's, which nobody else can run.
bool is_lce_node(const TfLiteRegistration& registration);

// claim.cc: whether the node is an operator of TensorFlow Lite between floats or int8s that can be
// computed here, going by the operator, the tensors' types, ranges and shapes. `plan` are all nodes.
bool is_glue_node(TfLiteContext* context, const Kernels& kernels, const TfLiteIntArray& plan,
                  const TfLiteNode& node, const TfLiteRegistration& registration);

// Reads a node's inputs, outputs and options. Returns a sentence where they are malformed.
const char* read_op(const TfLiteContext& context, const TfLiteNode& node,
                    const TfLiteRegistration& registration, Op* op);

inline bool valid_index(const TfLiteContext& context, int index) {
  return index >= 0 && static_cast<size_t>(index) < context.tensors_size;
}
bool is_constant(const TfLiteTensor& tensor);
// The constants of an ordinary convolution whose tensors are of the right kinds and sizes.
bool read_conv2d(const TfLiteTensor* tensors, const Op& op, Conv2dConstants* constants);
// Whether a mean's axes are height and width.
bool is_over_pixels(const TfLiteTensor& axes);
bool read_shape(const TfLiteTensor& tensor, Shape* shape);
size_t element_size(int type);  // 0 where the type is not handled

// How the second operand of an add or a multiply lies against the first.
enum class Operand { kSame, kChannels, kRows, kScalar, kOther };
Operand operand_of(const Shape& first, const Shape& second);

}  // namespace larq_dense
