#include "graph.h"

namespace larq_dense {

size_t element_size(Type type) {
  switch (type) {
    case Type::kFloat32:
    case Type::kInt32:
      return 4;
    case Type::kInt8:
    case Type::kBool:
      return 1;
    default:
      return 0;
  }
}

const Node* Graph::producer_of(int32_t tensor) const {
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].output_count == 1 && nodes[i].output == tensor) return &nodes[i];
  }
  return nullptr;
}

}  // namespace larq_dense
