// A run of operators that are planned and run together: what an interpreter hands to the delegate
// as one node, or the whole network of an engine.
#pragma once

#include "stream.h"

namespace larq_dense {

class Partition {
 public:
  Partition() = default;

  // Reads the nodes of a graph; `outputs` are the tensors that someone outside reads.
  const char* init(const Graph& graph, const Kernels* kernels, const Array<int>& outputs);
  // Infers the shapes, fuses, packs the weights and plans the memory. The graph has the same
  // tensors as before; only their shapes may have changed.
  const char* prepare(const Graph& graph);
  // Copies the constants that the steps read, so that the graph is not needed any more; `prepare`
  // cannot be called again.
  const char* own_constants();
  // Runs all steps. `find(tensor, &bytes)` gives the memory of a tensor that lies outside.
  template <class Find>
  const char* invoke(const Find& find, ThreadPool* pool) {
    const char* error = set_pointers(find);
    return error != nullptr ? error : run_steps(pool);
  }
  // After `prepare`: also the shapes of what it writes for someone outside.
  const List<Value>& values() const { return plan_.values; }

 private:
  const char* append_op(const Op& op);
  int value_of(const Graph& graph, int tensor);
  const char* bind(const Graph& graph);
  const char* read_shapes(const Graph& graph);
  const char* infer_shapes(const Graph& graph);
  template <class Find>
  const char* set_pointers(const Find& find);
  bool reserve_workspaces(int workers);
  const char* run_steps(ThreadPool* pool);

  Plan plan_;
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
  for (size_t v = 0; v < plan_.values.size(); ++v) {
    const Value& value = plan_.values[v];
    pointers_[v] = nullptr;
    if (value.is_constant()) {
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
