// What the parts of the runtime share between reading a network and running it.
#pragma once

#include <math.h>

#include "op.h"

namespace larq_dense {

constexpr const char* kNoMemory = "out of memory";

struct StepType;  // operator.h

// A tensor.
struct Value {
  enum class Place { kConstant, kOutside, kArena, kNowhere };

  int tensor = -1;
  Type type = Type::kOther;
  Shape shape;
  Place place = Place::kOutside;
  bool escapes = false;  // someone outside reads it
  int producer = -1;     // the operator that computes it
  int consumers = 0;     // how many operators read it
  float scale = 1.0f;
  int32_t zero_point = 0;
  const void* constant = nullptr;
  size_t bytes = 0;

  size_t offset = 0;  // in the arena
  int first_step = -1, last_step = -1;
  int reads = 0;  // by steps
  int over = -1;  // the value whose memory it takes over, element by element

  bool is_constant() const { return place == Place::kConstant; }
};

// What a step does with a further tensor.
struct Link {
  Combination op = Combination::kFirst;
  int value = -1;  // none for a mere clamp
  Operand operand = Operand::kSame;
  OtherLayout layout = OtherLayout::kPlain;  // for a convolution
  Array<float> scale;                        // multiplied into the tensor first, where not empty
  float low = 0, high = 0;                   // the clamp that follows
};

// What a task of one step reads of what another step writes.
enum class Reach {
  kWindow,  // the rows that a convolution's window covers
  kRow,     // a convolution's own row, before a depth to space
  kSame,    // what it writes itself
  kAll,
};

struct Need {
  int step = -1;  // an earlier one of the same stream
  Reach reach = Reach::kAll;
};

// One pass over the data: an operator, together with those that were fused into it.
struct Step {
  const StepType* type = nullptr;
  int op = -1;      // the last operator that is part of it
  int input = -1;   // values
  int output = -1;  // -1 where only bits are wanted
  List<Link> links;
  int block_size = 1;
  // Of a concatenation, and of what reads one that is never put together.
  int parts = 0;
  int part[kMaxInputs] = {};

  int bit_outputs = 0;
  int bits[kMaxBitOutputs] = {-1, -1, -1, -1};
  int32_t first_word[kMaxBitOutputs] = {};    // where a convolution's begin in each pixel
  Array<float> limits[kMaxBitOutputs];        // empty: zero
  Array<int8_t> int8_limits[kMaxBitOutputs];  // of int8, empty: its zero point

  Window vertical, horizontal;  // of a pooling
  int32_t pad_top = 0, pad_left = 0;

  BinaryConv conv;
  Conv2d conv2d;
  bool post = false;
  float before_min = -INFINITY, before_max = INFINITY;
  float after_min = -INFINITY, after_max = INFINITY;

  int64_t tasks = 1;
  int stream = -1;  // none
  List<Need> needs;
  size_t first_flag = 0;  // where its tasks begin among those of the stream
};

// A network's operators, its tensors, and the steps that they became.
struct Plan {
  const Kernels* kernels = nullptr;
  List<Op> ops;
  List<Value> values;
  List<Step> steps;

  const Op& op(int i) const { return ops[static_cast<size_t>(i)]; }
  Value& value(int i) { return values[static_cast<size_t>(i)]; }
  const Value& value(int i) const { return values[static_cast<size_t>(i)]; }
  const Shape& shape_of(int value_index) const { return value(value_index).shape; }
  Type type_of(int value_index) const { return value(value_index).type; }
  // Of an element of a step's output, in bytes.
  size_t bytes_of(const Step& step) const { return element_size(type_of(step.output)); }
};

struct Stream;  // stream.h

// Sets each step's tasks, and the bytes of workspace that a thread needs. An error is a sentence.
const char* size_steps(Plan* plan, size_t* workspace);
// Gives each tensor between the steps a place in one block of memory, whose size it finds; tensors
// that are not needed at the same time share it.
const char* place_values(Plan* plan, const List<Stream>& streams, size_t* arena);

}  // namespace larq_dense
