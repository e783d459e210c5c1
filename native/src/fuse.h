// What the parts of the fusion share.
#pragma once

#include "partition.h"

namespace larq_dense {

inline bool is_unary(OpKind kind) { return kind == OpKind::kClamp || kind == OpKind::kRound; }

inline bool is_elementwise(OpKind kind) {
  return kind == OpKind::kAdd || kind == OpKind::kMul || is_unary(kind);
}

inline bool is_along_channels(Operand operand) {
  return operand == Operand::kChannels || operand == Operand::kScalar;
}

}  // namespace larq_dense
