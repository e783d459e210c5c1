// Ordinary convolutions of bytes.
#pragma once

#include "kernel_finish.h"

namespace larq_dense {
namespace {

// C vectors of channels of a convolution of bytes; the block's others do not exist.
template <class Isa, int P, int C>
LARQ_DENSE_INLINE void sum_bytes(const ByteTile& tile, int first,
                                 typename Isa::Ints (&sums)[P][C]) {
  LARQ_DENSE_EACH(C, c)
    const typename Isa::Ints offset = Isa::load_ints(tile.offset + c * Isa::kLanes);
    LARQ_DENSE_EACH(P, p)
      sums[p][c] = offset;
    LARQ_DENSE_END;
  LARQ_DENSE_END;
  const ptrdiff_t pixel = tile.pixel;
  const uint8_t* row = tile.x + first * pixel;
  const int8_t* w = tile.w;
  for (int y = 0; y < tile.rows; ++y, row += tile.row) {
    const uint8_t* x = row;
    for (int i = 0; i < tile.quads; ++i, x += 4, w += 4 * kBlock<Isa>) {
      typename Isa::Quads weights[C];
      LARQ_DENSE_EACH(C, c)
        weights[c] = Isa::load_quads(w + 4 * c * Isa::kLanes);
      LARQ_DENSE_END;
      LARQ_DENSE_EACH(P, p)
        const typename Isa::Quads quad = Isa::splat_quad(x + p * pixel);
        LARQ_DENSE_EACH(C, c)
          sums[p][c] = Isa::add_dots(sums[p][c], quad, weights[c]);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
    }
  }
}

// What follows the sums of a convolution of bytes.
template <class Isa, int P, int C>
LARQ_DENSE_INLINE void finish_sums(int channels, const Int8Output& output, int first,
                                   const typename Isa::Ints (&sums)[P][C]) {
  typename Isa::Floats y[P][Isa::kVectors];
  LARQ_DENSE_EACH(Isa::kVectors, c)
    const typename Isa::Floats multiplier = Isa::load_floats(output.multiplier + c * Isa::kLanes);
    const typename Isa::Floats bias = Isa::load_floats(output.bias + c * Isa::kLanes);
    LARQ_DENSE_EACH(P, p)
      if constexpr (c < C) {
        y[p][c] = Isa::add(Isa::mul(Isa::to_floats(sums[p][c]), multiplier), bias);
      } else {
        y[p][c] = bias;
      }
    LARQ_DENSE_END;
  LARQ_DENSE_END;
  finish<Isa, P>(channels, output, first, y);
}

template <class Isa, int P>
void tile_bytes(const ByteTile& tile, const Int8Output& output, int first) {
  typename Isa::Ints sums[P][Isa::kVectors];
  sum_bytes<Isa, P, Isa::kVectors>(tile, first, sums);
  finish_sums<Isa, P, Isa::kVectors>(tile.channels, output, first, sums);
}

// Of no more channels than one vector holds.
template <class Isa, int P>
void tile_few_bytes(const ByteTile& tile, const Int8Output& output, int first) {
  typename Isa::Ints sums[P][1];
  sum_bytes<Isa, P, 1>(tile, first, sums);
  finish_sums<Isa, P, 1>(tile.channels, output, first, sums);
}

template <class Isa, int P>
void tile_depth(const DepthTile& tile, const Int8Output& output, int first) {
  typename Isa::Shorts quarters[P];
  LARQ_DENSE_EACH(P, p)
    quarters[p] = Isa::zero_shorts();
  LARQ_DENSE_END;
  const ptrdiff_t pixel = tile.pixel;
  const int8_t* row = tile.x + first * pixel;
  const int16_t* w = tile.w;
  for (int y = 0; y < tile.rows; ++y, row += tile.row) {
    const int8_t* x = row;
    for (int i = 0; i < tile.taps; ++i, x += tile.tap, w += kBlock<Isa>) {
      const typename Isa::Shorts weights = Isa::load_shorts(w);
      LARQ_DENSE_EACH(P, p)
        quarters[p] = Isa::add_products(quarters[p], Isa::widen_bytes(x + p * pixel), weights);
      LARQ_DENSE_END;
    }
  }
  typename Isa::Ints sums[P][Isa::kVectors];
  LARQ_DENSE_EACH(P, p)
    LARQ_DENSE_EACH(Isa::kVectors, c)
      sums[p][c] = Isa::add_int(Isa::load_ints(tile.offset + c * Isa::kLanes),
                                Isa::template four_times<c>(quarters[p]));
    LARQ_DENSE_END;
  LARQ_DENSE_END;
  finish_sums<Isa, P, Isa::kVectors>(tile.channels, output, first, sums);
}

}  // namespace
}  // namespace larq_dense
