// The kernels of an instruction set.
#pragma once

#include "kernel_bytes.h"
#include "kernel_dot.h"
#include "kernel_elementwise.h"
#include "kernel_finish.h"

namespace larq_dense {
namespace {

template <class Isa, int P, class T>
void tile_elements(const ConvTile& tile, const ConvOutput<T>& output, int first) {
  // A large picture's rows lie outside the caches; the sums take long enough to fetch them.
  constexpr int kLine = 64 / sizeof(T);
  const auto each_line = [&](auto function) {
    LARQ_DENSE_EACH(P, p)
      LARQ_DENSE_EACH((kBlock<Isa> + kLine - 1) / kLine, line)
        function(first + p, line * kLine);
      LARQ_DENSE_END;
    LARQ_DENSE_END;
  };
  if (output.out != nullptr) {
    each_line([&](int p, int c) { __builtin_prefetch(output.out + p * output.out_pixel + c, 1); });
  }
  for (int j = 0; j < output.others; ++j) {
    const Other<T>& other = output.other[j];
    each_line([&](int p, int c) { __builtin_prefetch(other.data + p * other.pixel + c, 0); });
  }

  Tile<Isa, P> sums;
  sums.run(tile, first);
  typename Isa::Floats y[P][Isa::kVectors];
  sums.scale(output, tile.odd, y);
  finish<Isa, P>(tile.channels, output, first, y);
}

template <class Isa, int P>
void tile_bits(const ConvTile& tile, const BitOutput& output, int first) {
  Tile<Isa, P> sums;
  sums.run(tile, first);
  unsigned bits[P] = {};
  LARQ_DENSE_EACH(Isa::kVectors, c)
    const typename Isa::Ints limit = Isa::load_ints(output.limit + c * Isa::kLanes);
    LARQ_DENSE_EACH(P, p)
      bits[p] |= Isa::less_int(sums.dot[p][c], limit) << (c * Isa::kLanes);
    LARQ_DENSE_END;
  LARQ_DENSE_END;
  store_bits<Isa, P>(output.out + first * output.out_pixel, output.out_pixel, bits, tile.channels);
}

template <class Isa>
void conv_few(const ConvTile& tile, const BitOutput& output) {
  const ptrdiff_t weights = 3 * ((tile.triples.count + kFewWords - 1) / kFewWords * kFewWords);
  for (int p = 0; p < tile.pixels; ++p) {
    const uint32_t* x = tile.triples.x + p * tile.triples.pixel;
    unsigned bits = 0;
    for (int c = 0; c < tile.channels; ++c) {
      const int32_t half = tile.offset[c] + half_of_one<Isa>(tile, x, tile.w + c * weights);
      bits |= static_cast<unsigned>(half < output.limit[c]) << c;
    }
    output.out[p * output.out_pixel] = static_cast<uint8_t>(bits);
  }
}

// Calls `function<P>` for full tiles of `pixels` and then once for the pixels left over.
#define LARQ_DENSE_TILES(function, TileType, pixels_at_once)                                \
  template <class Isa, int P, class Output>                                                 \
  void function##_rest(const TileType& tile, const Output& output, int first, int rest) {   \
    if constexpr (P > 0) {                                                                  \
      if (rest == P) {                                                                      \
        function<Isa, P>(tile, output, first);                                              \
      } else {                                                                              \
        function##_rest<Isa, P - 1>(tile, output, first, rest);                             \
      }                                                                                     \
    }                                                                                       \
  }                                                                                         \
  template <class Isa, class Output>                                                        \
  void function##_all(const TileType& tile, const Output& output) {                         \
    constexpr int pixels = Isa::pixels_at_once;                                             \
    int first = 0;                                                                          \
    for (; first + pixels <= tile.pixels; first += pixels) {                                \
      function<Isa, pixels>(tile, output, first);                                           \
    }                                                                                       \
    function##_rest<Isa, pixels - 1>(tile, output, first, tile.pixels - first);             \
  }

LARQ_DENSE_TILES(tile_elements, ConvTile, kPixels)
LARQ_DENSE_TILES(tile_bits, ConvTile, kPixels)
LARQ_DENSE_TILES(tile_bytes, ByteTile, kBytePixels)
LARQ_DENSE_TILES(tile_few_bytes, ByteTile, kFewBytePixels)
LARQ_DENSE_TILES(tile_depth, DepthTile, kBytePixels)

#undef LARQ_DENSE_TILES

template <class Isa>
void conv_bytes(const ByteTile& tile, const Int8Output& output) {
  if (tile.channels <= Isa::kLanes) {
    tile_few_bytes_all<Isa>(tile, output);
  } else {
    tile_bytes_all<Isa>(tile, output);
  }
}

template <class Isa>
constexpr auto byte_kernel() -> void (*)(const ByteTile&, const Int8Output&) {
  if constexpr (Isa::kBytePixels > 0) {
    return conv_bytes<Isa>;
  } else {
    return nullptr;
  }
}

template <class Isa>
constexpr auto depth_kernel() -> void (*)(const DepthTile&, const Int8Output&) {
  if constexpr (Isa::kBytePixels > 0) {
    return tile_depth_all<Isa, Int8Output>;
  } else {
    return nullptr;
  }
}

// What the processor can do at most: nothing but xor, popcount and add, all in registers, on as
// many independent chains as hide the latency.
template <class Isa>
uint32_t limit_loop(uint64_t iterations) {
  constexpr int chains = Isa::kLimitChains;
  typename Isa::Counts sums[chains];
  typename Isa::Words words[chains];
  const uint32_t seed[4] = {0x9e3779b9u, 0x7f4a7c15u, 0x2545f491u, 0xbf58476du};
  for (int i = 0; i < chains; ++i) {
    sums[i] = Isa::zero_counts();
    words[i] = Isa::splat(&seed[i & 3]);
  }
  typename Isa::Words x = Isa::splat(seed);
  for (uint64_t n = 0; n < iterations; ++n) {
#pragma GCC unroll 16
    for (int i = 0; i < chains; ++i) {
      Isa::keep(x);
      sums[i] = Isa::count(sums[i], Isa::bit_xor(words[i], x));
    }
  }
  typename Isa::Ints total = Isa::splat_int(0);
  for (int i = 0; i < chains; ++i) total = Isa::widen(total, sums[i], sums[i]);
  int32_t lanes[16] = {};
  Isa::store_ints(lanes, total);
  uint32_t sum = 0;
  for (int i = 0; i < Isa::kLanes; ++i) sum += static_cast<uint32_t>(lanes[i]);
  return sum;
}

template <class Isa>
constexpr Kernels make_kernels(const char* name) {
  return Kernels{name,
                 kBlock<Isa>,
                 Isa::kPixels,
                 tile_elements_all<Isa, FloatOutput>,
                 tile_bits_all<Isa, BitOutput>,
                 tile_elements_all<Isa, Int8Output>,
                 conv_few<Isa>,
                 Isa::kByteCounts ? kFewWidenEvery<Isa> * Isa::kLanes : INT32_MAX,
                 byte_kernel<Isa>(),
                 depth_kernel<Isa>(),
                 Isa::kGroup,
                 Isa::kSignedBytes ? 0 : 128,
                 prepare_triples<Isa>,
                 to_bytes<Isa>,
                 quantize_float<Isa>,
                 quantize_int8<Isa>,
                 quantize_int8_by<Isa>,
                 combine<Isa>,
                 combine_int8<Isa>,
                 sum_int8<Isa>,
                 enlarge_int8<Isa>,
                 limit_loop<Isa>,
                 uint64_t{32} * Isa::kLanes * Isa::kLimitChains};
}

}  // namespace
}  // namespace larq_dense
