// The engine: a whole network as one partition, without an interpreter around it.
#include "../include/larq_dense_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "partition.h"

namespace larq_dense {
namespace {

constexpr size_t kFileAlignment = 16;

// An input or an output.
struct End {
  int tensor = -1;
  larq_dense_tensor description = {};
};

// Metadata that outlives the file.
struct Note {
  Array<char> name, data;
};

struct Failure {
  int status = LARQ_DENSE_OK;
  char sentence[224] = {};

  bool set(int code, const char* text) {
    status = code;
    snprintf(sentence, sizeof sentence, "%s", text);
    return false;
  }
  bool no_memory() { return set(LARQ_DENSE_NO_MEMORY, kNoMemory); }
};

int describe(Type type) {
  switch (type) {
    case Type::kFloat32:
      return LARQ_DENSE_FLOAT32;
    case Type::kInt32:
      return LARQ_DENSE_INT32;
    case Type::kBool:
      return LARQ_DENSE_BOOL;
    case Type::kInt8:
      return LARQ_DENSE_INT8;
    default:
      return 0;
  }
}

int report(const Failure& failure, char* message, size_t size) {
  if (message != nullptr && size > 0) snprintf(message, size, "%s", failure.sentence);
  return failure.status;
}

bool copy(const void* from, size_t size, Array<char>* to) {
  if (!to->allocate(size + 1)) return false;  // with a zero behind it
  if (size > 0) memcpy(to->data(), from, size);
  return true;
}

}  // namespace
}  // namespace larq_dense

using namespace larq_dense;

struct larq_dense_engine {
  const Kernels* kernels = nullptr;
  Partition partition;
  ThreadPool pool;
  List<End> inputs, outputs;
  List<Note> notes;
  uint8_t busy = 0;

  bool open(const uint8_t* data, size_t size, Failure* failure);
  bool add_ends(const Graph& graph, const Array<int>& tensors, List<End>* ends, Failure* failure);
  bool check_operators(const Graph& graph, Failure* failure) const;
  bool check_values(const Graph& graph, Failure* failure) const;
  bool keep_metadata(const Model& model, size_t limit, Failure* failure);
  bool is_input(int tensor) const;
};

bool larq_dense_engine::is_input(int tensor) const {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].tensor == tensor) return true;
  }
  return false;
}

bool larq_dense_engine::add_ends(const Graph& graph, const Array<int>& tensors, List<End>* ends,
                                 Failure* failure) {
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = graph.tensor(tensors[i]);
    for (size_t k = 0; k < i; ++k) {
      if (tensors[k] == tensors[i]) {
        return failure->set(LARQ_DENSE_UNSUPPORTED, "a tensor is an input or an output twice");
      }
    }
    End* end = ends->append();
    if (end == nullptr) return failure->no_memory();
    larq_dense_tensor* description = &end->description;
    size_t elements = 0;
    if (!tensor.has_shape || tensor.constant != nullptr || element_size(tensor.type) == 0 ||
        !count_elements(tensor.shape, &elements) || elements == 0 ||
        !checked_mul(elements, element_size(tensor.type), &description->bytes) ||
        description->bytes > PTRDIFF_MAX) {
      return failure->set(LARQ_DENSE_UNSUPPORTED,
                          "an input or an output is a constant, empty, or of a type or shape that "
                          "the engine does not know");
    }
    end->tensor = tensors[i];
    description->type = describe(tensor.type);
    description->rank = tensor.shape.rank;
    for (int d = 0; d < tensor.shape.rank; ++d) description->dims[d] = tensor.shape.dims[d];
    description->scale = tensor.scale;
    description->zero_point = tensor.zero_point;
  }
  return true;
}

// All operators must be known: there is nobody to leave one to.
bool larq_dense_engine::check_operators(const Graph& graph, Failure* failure) const {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    if (is_lce_node(node) || is_tflite_node(graph, *kernels, node)) continue;
    failure->status = LARQ_DENSE_UNSUPPORTED;
    char name[64];
    if (name_of(node) != nullptr) {
      snprintf(name, sizeof name, "%.60s", name_of(node));
    } else {
      snprintf(name, sizeof name, "built-in number %d", static_cast<int>(node.code));
    }
    snprintf(failure->sentence, sizeof failure->sentence,
             "operator %d of %d (%s) is not one that the engine can run on tensors of these types, "
             "ranges and shapes",
             static_cast<int>(i + 1), static_cast<int>(graph.nodes.size()), name);
    return false;
  }
  return true;
}

// What is read must be written, and be of the shape that the file says.
bool larq_dense_engine::check_values(const Graph& graph, Failure* failure) const {
  const List<Value>& values = partition.values();
  size_t written = 0;
  for (size_t v = 0; v < values.size(); ++v) {
    const Value& value = values[v];
    if (value.tensor < 0) continue;
    if (value.producer < 0) {
      if (value.place == Value::Place::kConstant || is_input(value.tensor)) continue;
      return failure->set(LARQ_DENSE_DAMAGED, "an operator reads a tensor that none writes");
    }
    if (is_input(value.tensor)) {
      return failure->set(LARQ_DENSE_DAMAGED, "an operator writes an input");
    }
    const Tensor& tensor = graph.tensor(value.tensor);
    if (!tensor.has_shape || !(tensor.shape == value.shape)) {
      return failure->set(LARQ_DENSE_DAMAGED,
                          "a tensor's shape is not the one that its operator gives");
    }
    written += value.escapes;
  }
  return written == outputs.size() ||
         failure->set(LARQ_DENSE_DAMAGED, "an output is written by no operator");
}

// Many names may mean the same bytes, so the total that is kept needs a limit.
bool larq_dense_engine::keep_metadata(const Model& model, size_t limit, Failure* failure) {
  size_t total = 0;
  for (size_t i = 0; i < model.metadata.size(); ++i) {
    const Metadata& entry = model.metadata[i];
    const size_t length = strlen(entry.name);
    if (!checked_add(total, length, &total) || !checked_add(total, entry.size, &total) ||
        total > limit) {
      return failure->set(LARQ_DENSE_UNSUPPORTED, "its metadata is larger than itself");
    }
    Note* note = notes.append();
    if (note == nullptr || !copy(entry.name, length, &note->name) ||
        !copy(entry.data, entry.size, &note->data)) {
      return failure->no_memory();
    }
  }
  return true;
}

bool larq_dense_engine::open(const uint8_t* data, size_t size, Failure* failure) {
  Model model;
  const char* sentence = nullptr;
  switch (read_model(data, size, &model, &sentence)) {
    case ReadResult::kOk:
      break;
    case ReadResult::kDamaged:
      return failure->set(LARQ_DENSE_DAMAGED, sentence);
    case ReadResult::kUnsupported:
      return failure->set(LARQ_DENSE_UNSUPPORTED, sentence);
    case ReadResult::kNoMemory:
      return failure->no_memory();
  }
  const Graph& graph = model.graph;
  if (!add_ends(graph, model.inputs, &inputs, failure) ||
      !add_ends(graph, model.outputs, &outputs, failure) || !check_operators(graph, failure)) {
    return false;
  }
  sentence = partition.init(graph, kernels, model.outputs);
  if (sentence == nullptr) sentence = partition.prepare(graph);
  if (sentence == nullptr) {
    if (!check_values(graph, failure)) return false;
    sentence = partition.own_constants();
  }
  if (sentence != nullptr) {
    // Every sentence but this one is about what the file says.
    return failure->set(strstr(sentence, kNoMemory) != nullptr ? LARQ_DENSE_NO_MEMORY
                                                               : LARQ_DENSE_UNSUPPORTED,
                        sentence);
  }
  return keep_metadata(model, size, failure);
}

int larq_dense_engine_open(const void* bytes, size_t size, const char* instruction_set,
                           larq_dense_engine** engine, char* message, size_t message_size) {
  Failure failure;
  if (bytes == nullptr || engine == nullptr) {
    failure.set(LARQ_DENSE_BAD_ARGUMENT, "no bytes, or no place for the engine, were given");
    return report(failure, message, message_size);
  }
  *engine = nullptr;
  if (instruction_set == nullptr || *instruction_set == '\0') {
    instruction_set = getenv("LARQ_DENSE_XNOR_ISA");
  }
  larq_dense_engine* opened = create<larq_dense_engine>();
  const auto data = static_cast<const uint8_t*>(bytes);
  const bool aligned = reinterpret_cast<uintptr_t>(data) % kFileAlignment == 0;
  Array<uint8_t> copied;
  bool fine = false;
  if (opened == nullptr || !copied.allocate(aligned ? 0 : size, Fill::kNothing)) {
    failure.no_memory();
  } else if ((opened->kernels = select_kernels(instruction_set)) == nullptr) {
    failure.status = LARQ_DENSE_BAD_ARGUMENT;
    snprintf(failure.sentence, sizeof failure.sentence,
             "this processor has no instruction set %.40s", instruction_set);
  } else {
    if (!aligned) memcpy(copied.data(), data, size);
    fine = opened->open(aligned ? data : copied.data(), size, &failure);
  }
  if (fine) {
    *engine = opened;
  } else {
    destroy(opened);
  }
  return report(failure, message, message_size);
}

void larq_dense_engine_close(larq_dense_engine* engine) { destroy(engine); }

int larq_dense_engine_input_count(const larq_dense_engine* engine) {
  return static_cast<int>(engine->inputs.size());
}

int larq_dense_engine_output_count(const larq_dense_engine* engine) {
  return static_cast<int>(engine->outputs.size());
}

static int describe_end(const List<End>& ends, int i, larq_dense_tensor* tensor) {
  if (tensor == nullptr || i < 0 || static_cast<size_t>(i) >= ends.size()) {
    return LARQ_DENSE_BAD_ARGUMENT;
  }
  *tensor = ends[static_cast<size_t>(i)].description;
  return LARQ_DENSE_OK;
}

int larq_dense_engine_input(const larq_dense_engine* engine, int i, larq_dense_tensor* tensor) {
  return describe_end(engine->inputs, i, tensor);
}

int larq_dense_engine_output(const larq_dense_engine* engine, int i, larq_dense_tensor* tensor) {
  return describe_end(engine->outputs, i, tensor);
}

const char* larq_dense_engine_instruction_set(const larq_dense_engine* engine) {
  return engine->kernels->name;
}

const void* larq_dense_engine_metadata(const larq_dense_engine* engine, const char* name,
                                       size_t* size) {
  if (size != nullptr) *size = 0;
  for (size_t i = 0; name != nullptr && i < engine->notes.size(); ++i) {
    const Note& note = engine->notes[i];
    if (strcmp(note.name.data(), name) != 0) continue;
    if (size != nullptr) *size = note.data.size() - 1;
    return note.data.data();
  }
  return nullptr;
}

int larq_dense_engine_run(larq_dense_engine* engine, const void* const* inputs,
                          void* const* outputs, int threads, char* message, size_t message_size) {
  Failure failure;
  const auto lies_well = [](const void* data, const End& end) {
    const int type = end.description.type;
    const size_t each = type == LARQ_DENSE_FLOAT32 || type == LARQ_DENSE_INT32 ? 4 : 1;
    return data != nullptr && reinterpret_cast<uintptr_t>(data) % each == 0;
  };
  bool fine = engine != nullptr && (inputs != nullptr || engine->inputs.size() == 0) &&
              outputs != nullptr && threads >= 1 && threads <= ThreadPool::kMaxThreads;
  for (size_t i = 0; fine && i < engine->inputs.size(); ++i) {
    fine = lies_well(inputs[i], engine->inputs[i]);
  }
  for (size_t i = 0; fine && i < engine->outputs.size(); ++i) {
    fine = lies_well(outputs[i], engine->outputs[i]);
  }
  if (!fine) {
    failure.set(LARQ_DENSE_BAD_ARGUMENT,
                "the inputs, the outputs or the number of threads (1 to 64) are not given rightly");
    return report(failure, message, message_size);
  }
  if (__atomic_exchange_n(&engine->busy, uint8_t{1}, __ATOMIC_ACQUIRE) != 0) {
    failure.set(LARQ_DENSE_BUSY, "the engine is already running; open one for each thread");
    return report(failure, message, message_size);
  }
  engine->pool.resize(threads);
  const auto find = [&](int tensor, size_t* bytes) -> void* {
    for (size_t i = 0; i < engine->inputs.size(); ++i) {
      if (engine->inputs[i].tensor != tensor) continue;
      *bytes = engine->inputs[i].description.bytes;
      return const_cast<void*>(inputs[i]);
    }
    for (size_t i = 0; i < engine->outputs.size(); ++i) {
      if (engine->outputs[i].tensor != tensor) continue;
      *bytes = engine->outputs[i].description.bytes;
      return outputs[i];
    }
    return nullptr;
  };
  const char* sentence = engine->partition.invoke(find, &engine->pool);
  if (sentence != nullptr) failure.set(LARQ_DENSE_NO_MEMORY, sentence);
  __atomic_store_n(&engine->busy, uint8_t{0}, __ATOMIC_RELEASE);
  return report(failure, message, message_size);
}

#if defined(__wasm_atomics__)
// JavaScript calls it on each thread that it starts for an engine; it does not return.
extern "C" __attribute__((visibility("default"))) void larq_dense_engine_lend(
    larq_dense_engine* engine) {
  engine->pool.lend();
}
#endif
