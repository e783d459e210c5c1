// A run of operators that are planned and run together: what an interpreter hands to the delegate as
// one node, or the whole network of an engine.
#pragma once

#include <math.h>

#include "op.h"
#include "thread_pool.h"

namespace larq_dense {

constexpr const char* kNoMemory = "out of memory";

// A tensor as the partition sees it.
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

enum class StepKind {
  kQuantize,
  kDequantize,
  kConv,
  kConv2d,
  kMaxPool,
  kMaxPool2d,
  kChain,  // adds, multiplies and clamps, one after the other
  kDepthToSpace,
  kNearest,
  kBilinear,
  kConcat,
  kMean,
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
  StepKind kind = StepKind::kQuantize;
  int op = -1;     // the last operator that is part of it
  int input = -1;  // values
  int output = -1;  // -1 where only bits are wanted
  List<Link> links;
  int block_size = 1;
  // Of a concatenation, and of what reads one that is never put together.
  int parts = 0;
  int part[kMaxInputs] = {};

  int bit_outputs = 0;
  int bits[kMaxBitOutputs] = {-1, -1, -1, -1};
  int32_t first_word[kMaxBitOutputs] = {};  // where a convolution's begin in each pixel
  Array<float> limits[kMaxBitOutputs];  // empty: zero
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

// Steps whose tasks take turns (stream.cc).
struct Turn {
  int step;
  int64_t task;
};

struct Stream {
  int first = 0, end = 0;  // steps
  Array<Turn> turns;
  Array<uint8_t> done;  // for each task
};

// Rows of channels that one task of an elementwise step handles, and one pass through a chain.
int64_t rows_per_task(const Shape& shape);
int64_t rows_per_block(const Shape& shape);

struct ConvFusion;  // fuse_conv.cc

class Partition {
 public:
  explicit Partition() = default;

  // Reads the nodes of a graph; `outputs` are the tensors that someone outside reads.
  const char* init(const Graph& graph, const Kernels* kernels, const Array<int>& outputs);
  // Infers the shapes, fuses, packs the weights and plans the memory. The graph has the same tensors
  // as before; only their shapes may have changed.
  const char* prepare(const Graph& graph);
  // Runs all steps. `find(tensor, &bytes)` gives the memory of a tensor that lies outside.
  template <class Find>
  const char* invoke(const Find& find, ThreadPool* pool) {
    const char* error = set_pointers(find);
    return error != nullptr ? error : run_steps(pool);
  }
  // After `prepare`: also the shapes of what it writes for someone outside.
  const List<Value>& values() const { return values_; }
  // Copies the constants that the steps read, so that the graph is not needed any more; `prepare`
  // cannot be called again.
  const char* own_constants();

 private:
  const char* append_op(const Op& op);
  int value_of(const Graph& graph, int tensor);
  const char* bind(const Graph& graph);
  const char* infer(const Graph& graph, const Op& op);  // infer.cc
  template <class Find>
  const char* set_pointers(const Find& find);
  const char* run_steps(ThreadPool* pool);
  bool reserve_workspaces(int workers);
  void run_step(const Step& step, ThreadPool* pool) const;

  // fuse.cc
  const char* build_steps(const Graph& graph);
  const char* build_other(int op, bool* taken);
  Step* new_step(StepKind kind, int op);
  void read_in_parts(int concatenation, Step* step) const;
  bool only_consumer(int value, const bool* taken, int* op) const;
  bool constant_floats(int value, const float** data) const;

  // fuse_conv.cc
  const char* build_conv(int op, bool* taken);
  const char* build_conv2d(const Graph& graph, int op, bool* taken);
  const char* read_constants(const Op& op, ConvFusion* fusion, ConvConstants* constants,
                             ConvKind* kind) const;
  bool extend_conv(int follower, bool* taken, Step* step, ConvFusion* fusion);
  bool can_split(int block_size, const Step& step, const ConvFusion& fusion) const;
  bool fold_constants(int follower, int other, const bool* taken, const Step& step,
                      ConvFusion* fusion) const;
  bool link_other(const Op& op, int other, bool* taken, Step* step, ConvFusion* fusion);
  void link_before_nearest(bool* taken, const Step& step, Link* link);

  // fuse_bits.cc
  bool is_threshold(int op, const bool* taken, int* source, int* constants) const;
  const char* set_limits(int source, int threshold, size_t padded, Step* step) const;
  bool never_joined(int value) const;
  int readers_of_kind(int value, OpKind kind) const;
  bool quantized_in_parts(int quantize) const;
  const char* attach_joined_bits(int part, bool* taken, Step* step);
  const char* attach_bits(int source, bool* taken, Step* step);

  // fuse_chain.cc
  const char* build_chain(int op, bool* taken);
  bool extend_chain(int follower, bool* taken, Step* step, const char** error);
  const char* scaled_operand(int value, const bool* taken, int* multiply, Array<float>* scale,
                             int* source) const;

  void drop(int value) { values_[static_cast<size_t>(value)].place = Value::Place::kNowhere; }
  bool is_int8(int value) const {
    return values_[static_cast<size_t>(value)].type == Type::kInt8;
  }
  size_t bytes_of(const Step& step) const;  // of an element of its output
  const Shape& shape_of(int value) const { return values_[static_cast<size_t>(value)].shape; }

  // plan.cc
  const char* size_steps();
  void overwrite_what_is_done();
  int memory_of(int value) const;
  const char* plan_memory();

  // stream.cc
  const char* build_streams();
  const char* find_needs(size_t first, size_t step);
  const char* order_turns(Stream* stream) const;
  int64_t pixels_per_task(const Step& step) const;
  Range tasks_needed(const Step& step, int64_t task, const Need& need) const;
  void run_turn(Stream* stream, int64_t turn, int worker) const;
  void run_stream(Stream* stream, ThreadPool* pool) const;

  // run.cc
  void run_task(const Step& step, int64_t task, int worker) const;
  template <class T>
  void run_quantize(const Step& step, int64_t task) const;
  void run_conv(const Step& step, int64_t task, int worker) const;
  ConvTarget target_of(const Step& step) const;
  void run_pool(const Step& step, int64_t task) const;
  template <class T>
  void run_pool2d(const Step& step, int64_t task, int worker) const;
  template <class T>
  void run_chain(const Step& step, int64_t task, int worker) const;
  void run_depth_to_space(const Step& step, int64_t task) const;
  void run_nearest(const Step& step, int64_t task) const;
  void run_bilinear(const Step& step, int64_t task, int worker) const;
  void run_concat(const Step& step, int64_t task) const;
  void run_mean(const Step& step, int64_t task, int worker) const;
  void run_mean_of_int8(const Step& step, int64_t task, int worker) const;
  void run_dequantize(const Step& step, int64_t task) const;
  void pack_bits(const Step& step, int j, const float* x, size_t count, uint32_t* bits) const;
  void pack_bits(const Step& step, int j, const int8_t* x, size_t count, uint32_t* bits) const;
  void* workspace(int worker) const;
  const void* read(int value) const { return pointers_[static_cast<size_t>(value)]; }
  void* write(int value) const { return pointers_[static_cast<size_t>(value)]; }

  const Kernels* kernels_ = nullptr;
  List<Op> ops_;
  List<Value> values_;
  List<Step> steps_;
  List<Stream> streams_;
  Array<int> outputs_;  // tensors
  Array<uint8_t> arena_, constants_;
  Array<void*> pointers_;  // of each value, set before the steps run
  Array<uint8_t> workspace_;
  size_t workspace_stride_ = 0;
  int workspace_threads_ = 0;
};

// Finds where each value lies in this run.
template <class Find>
const char* Partition::set_pointers(const Find& find) {
  for (size_t v = 0; v < values_.size(); ++v) {
    const Value& value = values_[v];
    pointers_[v] = nullptr;
    if (value.place == Value::Place::kConstant) {
      pointers_[v] = const_cast<void*>(value.constant);
    } else if (value.place == Value::Place::kArena) {
      pointers_[v] = arena_.data() + value.offset;
    } else if (value.place == Value::Place::kOutside) {
      size_t bytes = 0;
      pointers_[v] = find(value.tensor, &bytes);
      if (pointers_[v] == nullptr || bytes < value.bytes) {
        return "a tensor has no memory or less than was planned";
      }
    }
  }
  return nullptr;
}

}  // namespace larq_dense
