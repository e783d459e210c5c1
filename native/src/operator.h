// The table of operators: each is a row of a file, `op_*.cc`, that nothing else names.
#pragma once

#include "plan.h"

namespace larq_dense {

class Fusion;  // fuse.h
class Run;     // run.h

// An operator that is about to be claimed: all tensors are of one type, int8 or float32, of a known
// shape and not empty, but for constants that say how it computes.
struct Claim {
  const Graph& graph;
  const Kernels& kernels;
  const Op& op;

  const Tensor& input(int i) const { return graph.tensor(op.inputs[i]); }
  const Tensor& output() const { return graph.tensor(op.output); }
  bool is_int8() const { return output().type == Type::kInt8; }
  // Whether an input is of the output's type, of a known shape and not empty.
  bool reads(int i) const;
  // Whether an input and the output are int8s of one range, so that nothing is rounded.
  bool has_range_of_output(int i) const;
};

// An operator, its first input, and its output, whose shape is to be set.
struct Inference {
  const Graph& graph;
  const List<Value>& values;
  const Op& op;
  const Value& input;
  Value& output;

  const Value& value(int i) const { return values[static_cast<size_t>(op.inputs[i])]; }
  // Whether the operator goes from floats to floats, or from int8s to int8s.
  bool alike() const {
    return (input.type == Type::kFloat32 || input.type == Type::kInt8) &&
           output.type == input.type;
  }
  // The output's own shape, where the inputs do not settle it.
  bool wanted(Shape* shape) const {
    const Tensor& tensor = graph.tensor(output.tensor);
    *shape = tensor.shape;
    return tensor.has_shape;
  }
  // Sets height and width to those of another picture.
  void resize_to(const Shape& picture) const {
    output.shape = input.shape;
    output.shape.dims[1] = picture.dims[1];
    output.shape.dims[2] = picture.dims[2];
  }
  // Sets height and width by windows that slide over the input.
  bool slide_over(const Window& vertical, const Window& horizontal, bool same_padding) const {
    int32_t padding;
    return slide(vertical, same_padding, input.shape.dims[1], &output.shape.dims[1], &padding) &&
           slide(horizontal, same_padding, input.shape.dims[2], &output.shape.dims[2], &padding);
  }
  // The same by a convolution's filter, whose size its options lack.
  template <class Options>
  bool slide_filter(const Shape& filter, const Options& options) const {
    Window vertical = options.vertical, horizontal = options.horizontal;
    vertical.kernel = filter.dims[1];
    horizontal.kernel = filter.dims[2];
    return slide_over(vertical, horizontal, options.same_padding);
  }
};

// A pass over the data.
struct StepType {
  // Sets the number of its tasks and the bytes that each thread needs. An error is a sentence.
  const char* (*size)(const Plan& plan, Step* step, size_t* scratch);
  void (*run)(const Run& run, const Step& step, int64_t task, int worker);
  bool streams;  // its tasks may take turns with those of the steps around it (stream.cc)
};

// A row of the table.
struct Operator {
  int32_t code;  // TensorFlow Lite's number; kBuiltinCustom for LCE's, which nobody else can run
  const char* name;
  int least_inputs, most_inputs;
  // Reads the options. An error is a sentence. Null where there are none.
  const char* (*read)(const Node& node, Op* op);
  // Whether it gives bit for bit what TensorFlow Lite's operator gives. Null for LCE's.
  bool (*claim)(const Claim& claim);
  // Sets the output's shape, and refuses what does not fit. An error is a sentence.
  const char* (*infer)(const Inference& inference);
  // Makes a step of it, with what follows it as far as that can be fused. An error is a sentence.
  const char* (*build)(Fusion* fusion, int op);
  OpKind kind = OpKind::kOther;
  // Built before the others, from the last to the first: in a sum of branches the last convolution
  // then adds what the others left, and goes on to what follows the sum.
  bool takes_followers = false;
};

// The rows of one file, up to an empty one. `op_NAME.cc` defines them as `op_NAME`; whoever
// compiles it (build.py, CMakeLists.txt) lists the names of these files in LARQ_DENSE_OPERATORS.
using Operators = const Operator[];

// The row of a node, or null.
const Operator* find_operator(const Node& node);

// An activation's range. False where there is no such activation.
bool activation_limits(int activation, float* low, float* high);
bool same_range(const Tensor& a, const Tensor& b);
// Whether the values of a constant are two integers, and these.
bool holds_two(const Tensor& tensor, int32_t* first, int32_t* second);

// For `StepType::size`: the tasks of a step whose tasks are runs of rows of channels, and the rows
// that one handles.
void size_by_rows(const Shape& shape, Step* step);
int64_t rows_per_task(const Shape& shape);
Range rows_of(const Shape& shape, int64_t task);

// Steps of a kind that fusion and streams ask for.
extern const StepType kBinaryConvStep, kConv2dStep, kChainStep, kQuantizeStep;

}  // namespace larq_dense
