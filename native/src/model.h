// Reads the structure of a `.tflite` file.
#pragma once

#include "graph.h"

namespace larq_dense {

// More of them are no network for a phone; planning takes their square.
constexpr size_t kMaxNodes = 4096;
constexpr size_t kMaxTensors = 16384;

// A named byte string next to the graph. Both lie in the file.
struct Metadata {
  const char* name = nullptr;
  const void* data = nullptr;
  size_t size = 0;
};

struct Model {
  Graph graph;
  Array<int> inputs, outputs;  // tensors
  List<Metadata> metadata;
};

enum class ReadResult { kOk, kDamaged, kUnsupported, kNoMemory };

// What `model` points to afterwards lies in the bytes, which must begin on a multiple of 16 bytes.
// What follows the FlatBuffer, such as a ZIP archive, is ignored. All but kOk come with a sentence.
ReadResult read_model(const uint8_t* data, size_t size, Model* model, const char** sentence);

}  // namespace larq_dense
