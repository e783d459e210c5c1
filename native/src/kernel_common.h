// What all loops of the kernels share; `Isa` gives the vector type and its operations.
//
// This and the other kernel_*.h are included by the kernel_*.cc only, each compiled with its own
// machine flags, so everything in them has internal linkage: a shared inline function could end up
// with the wrong instructions.
#pragma once

#include <string.h>

#include "kernels.h"

namespace larq_dense {
namespace {

template <class Isa>
constexpr int kBlock = Isa::kLanes * Isa::kVectors;

#define LARQ_DENSE_INLINE __attribute__((always_inline)) inline

// Makes the compiler forget what memory holds, so that it neither keeps the input words of one
// vector of channels in registers for the next nor loads the next one's weights early: the counts
// need the registers, and a load costs nothing.
LARQ_DENSE_INLINE void forget_memory() { asm volatile("" : : : "memory"); }

// A number that is a constant even where it is passed on.
template <int I>
struct Index {
  constexpr operator int() const { return I; }
};

// function(0), function(1), ... with constants: what a loop would index in memory then stays in
// registers, which the compiler does not manage once it has seen a loop.
template <int N, class Function>
LARQ_DENSE_INLINE void repeat(const Function& function) {
  if constexpr (N > 0) {
    repeat<N - 1>(function);
    function(Index<N - 1>{});
  }
}
#define LARQ_DENSE_EACH(count, index) \
  repeat<count>([&](auto index) __attribute__((always_inline)) {
#define LARQ_DENSE_END \
  })

// A block's channels, of which there may be fewer.
template <class Isa>
LARQ_DENSE_INLINE typename Isa::Bytes load_some_bytes(const int8_t* p, size_t count) {
  if constexpr (Isa::kMasksBytes) {
    return Isa::load_first_bytes(p, count);
  } else {
    int8_t lanes[kBlock<Isa>] = {};
    memcpy(lanes, p, count);
    return Isa::load_bytes(lanes);
  }
}

template <class Isa>
LARQ_DENSE_INLINE void store_some_bytes(int8_t* p, typename Isa::Bytes v, size_t count) {
  if constexpr (Isa::kMasksBytes) {
    Isa::store_first_bytes(p, v, count);
  } else {
    int8_t lanes[kBlock<Isa>];
    Isa::store_bytes(lanes, v);
    memcpy(p, lanes, count);
  }
}

}  // namespace
}  // namespace larq_dense
