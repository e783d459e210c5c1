// Ordinary convolutions of bytes.
#pragma once

#include "kernel_finish.h"

namespace larq_dense {
namespace {

// C vectors of channels of a convolution of bytes; the block's others do not exist.
template <class Isa, int P, int C>
LARQ_DENSE_INLINE void sum_bytes(const ByteTile& tile, int first,
                                 typename Isa::Ints (&quarters)[P][C]) {
  if constexpr (Isa::kSumsBytes) {
    Isa::sum_bytes(tile, first, quarters);
  } else {
    LARQ_DENSE_EACH(P, p)
      LARQ_DENSE_EACH(C, c)
        quarters[p][c] = Isa::splat_int(0);
      LARQ_DENSE_END;
    LARQ_DENSE_END;
    const ptrdiff_t pixel = tile.pixel;
    const uint8_t* row = tile.x + first * pixel;
    const int8_t* w = tile.w;
    for (int y = 0; y < tile.rows; ++y, row += tile.row) {
      const uint8_t* x = row;
      for (int i = 0; i < tile.groups; ++i, x += 4, w += 4 * kBlock<Isa>) {
        typename Isa::Quads weights[C];
        LARQ_DENSE_EACH(C, c)
          weights[c] = Isa::load_quads(w + 4 * c * Isa::kLanes);
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(P, p)
          int32_t four;
          memcpy(&four, x + p * pixel, sizeof four);
          const typename Isa::Quads quad = Isa::splat_int(four);
          LARQ_DENSE_EACH(C, c)
            quarters[p][c] = Isa::add_dots(quarters[p][c], quad, weights[c]);
          LARQ_DENSE_END;
        LARQ_DENSE_END;
      }
    }
  }
}

// The epilogue of an int8 convolution; the accumulators hold a quarter of each sum.
template <class Isa, int P, int C>
LARQ_DENSE_INLINE void finish_sums(int channels, const int32_t* offset, const Int8Output& output,
                                   int first, const typename Isa::Ints (&quarters)[P][C]) {
  typename Isa::Floats y[P][Isa::kVectors];
  LARQ_DENSE_EACH(Isa::kVectors, c)
    const typename Isa::Floats multiplier = Isa::load_floats(output.multiplier + c * Isa::kLanes);
    const typename Isa::Floats bias = Isa::load_floats(output.bias + c * Isa::kLanes);
    LARQ_DENSE_EACH(P, p)
      if constexpr (c < C) {
        const typename Isa::Ints sum = Isa::add_int(Isa::load_ints(offset + c * Isa::kLanes),
                                                    Isa::four_times(quarters[p][c]));
        y[p][c] = Isa::add(Isa::mul(Isa::to_floats(sum), multiplier), bias);
      } else {
        y[p][c] = bias;
      }
    LARQ_DENSE_END;
  LARQ_DENSE_END;
  finish<Isa, P>(channels, output, first, y);
}

template <class Isa, int P>
void tile_bytes(const ByteTile& tile, const Int8Output& output, int first) {
  typename Isa::Ints quarters[P][Isa::kVectors];
  sum_bytes<Isa, P, Isa::kVectors>(tile, first, quarters);
  finish_sums<Isa, P, Isa::kVectors>(tile.channels, tile.offset, output, first, quarters);
}

// Of no more channels than one vector holds.
template <class Isa, int P>
void tile_few_bytes(const ByteTile& tile, const Int8Output& output, int first) {
  typename Isa::Ints quarters[P][1];
  sum_bytes<Isa, P, 1>(tile, first, quarters);
  finish_sums<Isa, P, 1>(tile.channels, tile.offset, output, first, quarters);
}

template <class Isa, int P>
void tile_depth(const DepthTile& tile, const Int8Output& output, int first) {
  typename Isa::Shorts shorts[P];
  LARQ_DENSE_EACH(P, p)
    shorts[p] = Isa::zero_shorts();
  LARQ_DENSE_END;
  const ptrdiff_t pixel = tile.pixel;
  const int8_t* row = tile.x + first * pixel;
  const int16_t* w = tile.w;
  for (int y = 0; y < tile.rows; ++y, row += tile.row) {
    const int8_t* x = row;
    for (int i = 0; i < tile.taps; ++i, x += tile.tap, w += kBlock<Isa>) {
      const typename Isa::Shorts weights = Isa::load_shorts(w);
      LARQ_DENSE_EACH(P, p)
        shorts[p] = Isa::add_products(shorts[p], Isa::widen_bytes(x + p * pixel), weights);
      LARQ_DENSE_END;
    }
  }
  typename Isa::Ints quarters[P][Isa::kVectors];
  LARQ_DENSE_EACH(P, p)
    LARQ_DENSE_EACH(Isa::kVectors, c)
      quarters[p][c] = Isa::template widen_shorts<c>(shorts[p]);
    LARQ_DENSE_END;
  LARQ_DENSE_END;
  finish_sums<Isa, P, Isa::kVectors>(tile.channels, tile.offset, output, first, quarters);
}

}  // namespace
}  // namespace larq_dense
