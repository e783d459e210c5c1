// A network as a file or an interpreter tells it: the one form in which the runtime reads it.
//
// The delegate fills it from an interpreter's structs (delegate.cc), the engine from a file's bytes
// (model.cc). Both own what its pointers point to.
#pragma once

#include <stdint.h>

#include "geometry.h"
#include "memory.h"

namespace larq_dense {

enum class Type { kOther, kFloat32, kInt32, kBool, kInt8 };

size_t element_size(Type type);  // 0 where the type is not handled

// Numbers of TensorFlow Lite's schema.
enum Builtin {
  kBuiltinAdd = 0,
  kBuiltinConcatenation = 2,
  kBuiltinConv2d = 3,
  kBuiltinDepthwiseConv2d = 4,
  kBuiltinDepthToSpace = 5,
  kBuiltinMaxPool2d = 17,
  kBuiltinMul = 18,
  kBuiltinRelu = 19,
  kBuiltinRelu6 = 21,
  kBuiltinResizeBilinear = 23,
  kBuiltinCustom = 32,
  kBuiltinMean = 40,
  kBuiltinResizeNearestNeighbor = 97,
  kBuiltinAddN = 106,
  kBuiltinRound = 116,
};
enum Activation { kActNone = 0, kActRelu = 1, kActReluN1To1 = 2, kActRelu6 = 3 };

struct Tensor {
  Type type = Type::kOther;
  bool has_shape = false;   // few enough dimensions, whose product does not overflow
  bool is_dynamic = false;  // its size is known only when the network runs
  Shape shape;
  const void* constant = nullptr;  // null where it is computed
  size_t bytes = 0;
  float scale = 0;  // 0 where it has none, or one for each channel
  int32_t zero_point = 0;

  // A range for each of a dimension, or one for all; none where `scales` is null.
  const float* scales = nullptr;
  int scale_count = 0;
  int32_t scale_dimension = 0;
  bool all_zero_points_zero = true;
};

// Of a built-in operator; an operator leaves alone what it does not have.
struct BuiltinOptions {
  int32_t activation = kActNone;
  bool known_padding = false, same_padding = false;
  int32_t stride_height = 0, stride_width = 0;
  int32_t filter_height = 0, filter_width = 0;  // of a pooling
  int32_t dilation_height = 1, dilation_width = 1;
  int32_t depth_multiplier = 1;
  int32_t axis = 0;
  int32_t block_size = 0;
  bool keep_dims = false;
  bool align_corners = false, half_pixel_centers = false;
};

constexpr int kMaxInputs = 8;

struct Node {
  int32_t code = kBuiltinCustom;
  const char* custom_name = nullptr;  // null for a built-in operator
  int32_t inputs[kMaxInputs] = {};
  int input_count = 0;  // -1 where it has more
  int32_t output = -1;
  int output_count = 0;
  bool has_options = false;  // of a built-in operator
  BuiltinOptions options;
  const void* custom_options = nullptr;
  size_t custom_size = 0;
};

struct Graph {
  Array<Tensor> tensors;
  List<Node> nodes;

  bool has(int32_t tensor) const {
    return tensor >= 0 && static_cast<size_t>(tensor) < tensors.size();
  }
  const Tensor& tensor(int32_t i) const { return tensors[static_cast<size_t>(i)]; }
  // The node that writes a tensor, or null.
  const Node* producer_of(int32_t tensor) const;
};

}  // namespace larq_dense
