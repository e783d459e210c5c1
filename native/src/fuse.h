// What the parts of the fusion share.
#pragma once

#include <math.h>

#include "partition.h"

namespace larq_dense {

constexpr const char* kNoMemory = "out of memory";

inline bool is_unary(OpKind kind) { return kind == OpKind::kClamp || kind == OpKind::kRound; }

inline bool is_elementwise(OpKind kind) {
  return kind == OpKind::kAdd || kind == OpKind::kMul || is_unary(kind);
}

inline bool is_along_channels(Operand operand) {
  return operand == Operand::kChannels || operand == Operand::kScalar;
}

// Whether a clamp leaves everything alone.
inline bool is_open(float low, float high) { return low == -INFINITY && high == INFINITY; }

}  // namespace larq_dense
