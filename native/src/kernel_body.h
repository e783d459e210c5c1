// The loops that every instruction set shares; `Isa` gives the vector type and its operations.
//
// Included by the kernel_*.cc files only, each compiled with its own machine flags, so everything
// here has internal linkage: a shared inline function could end up with the wrong instructions.
#pragma once

#include <string.h>

#include "kernels.h"

namespace larq_dense {
namespace {

template <class Isa>
constexpr int kBlock = Isa::kLanes * Isa::kVectors;

// Byte counters must be widened before they overflow: a triple adds at most 8 to each byte, 24 where
// both counts share it, and up to two single words, at most 8 each, may follow the last triple.
template <class Isa>
constexpr int kWidenEvery = Isa::kOneCount ? 9 : 29;

#define LARQ_DENSE_INLINE __attribute__((always_inline)) inline

// Makes the compiler forget what memory holds, so that it does not keep the input words of one
// vector of channels in registers for the next: the sums need them all, and a broadcast load costs
// nothing.
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

template <class Isa, int P>
struct Tile {
  static constexpr int C = Isa::kVectors;
  // Where a broadcast is an instruction of its own, a pointer for each pixel moves on with it;
  // else distances between pixels are part of the operands' addresses.
  static constexpr int kPointers = Isa::kHoldsWeights ? P : 1;
  using Words = typename Isa::Words;
  using Counts = typename Isa::Counts;
  using Ints = typename Isa::Ints;

  Counts sums[P][C];
  Counts majorities[P][C];
  Ints dot[P][C];

  LARQ_DENSE_INLINE void clear() {
    LARQ_DENSE_EACH(P, p)
      LARQ_DENSE_EACH(C, c)
        sums[p][c] = Isa::zero_counts();
        majorities[p][c] = Isa::zero_counts();
      LARQ_DENSE_END;
    LARQ_DENSE_END;
  }

  // Counts as wide as the dot products begin at the offsets, byte counts at 0.
  LARQ_DENSE_INLINE void start(const ConvTile& tile) {
    clear();
    LARQ_DENSE_EACH(C, c)
      Ints offset = Isa::load_ints(tile.offset + c * Isa::kLanes);
      if constexpr (Isa::kOneCount) {
        offset = Isa::add_int(offset, Isa::splat_int(-64 * tile.triples.count * tile.taps));
      }
      LARQ_DENSE_EACH(P, p)
        if constexpr (Isa::kByteCounts) {
          dot[p][c] = offset;
        } else {
          sums[p][c] = offset;
        }
      LARQ_DENSE_END;
    LARQ_DENSE_END;
  }

  // Adds what was counted to the halved dot products.
  LARQ_DENSE_INLINE void widen() {
    LARQ_DENSE_EACH(P, p)
      LARQ_DENSE_EACH(C, c)
        if constexpr (Isa::kByteCounts) {
          dot[p][c] = Isa::widen(dot[p][c], sums[p][c], majorities[p][c]);
        } else {
          dot[p][c] = Isa::widen(sums[p][c], Isa::zero_counts(), majorities[p][c]);
        }
      LARQ_DENSE_END;
    LARQ_DENSE_END;
  }

  // Makes dot products of the halves.
  LARQ_DENSE_INLINE void make_whole(bool odd) {
    const Ints one = Isa::splat_int(odd);
    LARQ_DENSE_EACH(P, p)
      LARQ_DENSE_EACH(C, c)
        dot[p][c] = Isa::add_int(Isa::add_int(dot[p][c], dot[p][c]), one);
      LARQ_DENSE_END;
    LARQ_DENSE_END;
  }

  // clamp(dot) * multiplier + bias. Where dot products and limits are even the multiplier is doubled
  // in place of the halves, which gives the same to the last bit.
  template <class Output>
  LARQ_DENSE_INLINE void scale(const Output& output, bool odd, typename Isa::Floats (&y)[P][C]) {
    const bool whole = odd || ((output.clamp_min | output.clamp_max) & 1) != 0;
    if (whole) make_whole(odd);
    const int shift = whole ? 0 : 1;
    if (output.clamped_below) {
      const Ints least = Isa::splat_int(output.clamp_min >> shift);
      LARQ_DENSE_EACH(P, p)
        LARQ_DENSE_EACH(C, c)
          dot[p][c] = Isa::max_int(dot[p][c], least);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
    }
    if (output.clamped_above) {
      const Ints most = Isa::splat_int(output.clamp_max >> shift);
      LARQ_DENSE_EACH(P, p)
        LARQ_DENSE_EACH(C, c)
          dot[p][c] = Isa::min_int(dot[p][c], most);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
    }
    LARQ_DENSE_EACH(C, c)
      typename Isa::Floats multiplier = Isa::load_floats(output.multiplier + c * Isa::kLanes);
      if (!whole) multiplier = Isa::add(multiplier, multiplier);
      const typename Isa::Floats bias = Isa::load_floats(output.bias + c * Isa::kLanes);
      LARQ_DENSE_EACH(P, p)
        y[p][c] = Isa::add(Isa::mul(Isa::to_floats(dot[p][c]), multiplier), bias);
      LARQ_DENSE_END;
    LARQ_DENSE_END;
  }

  // Words are prepared in threes (kernels.h): the first, the parity of two, that of all.
  // Moves the pointers to the three words on.
  LARQ_DENSE_INLINE void count_triple(const uint32_t* (&x)[3][kPointers], ptrdiff_t pixel,
                                      const uint32_t* w) {
    if constexpr (Isa::kHoldsWeights) {
      Words weights[3][C];
      LARQ_DENSE_EACH(C, c)
        LARQ_DENSE_EACH(3, i)
          weights[i][c] = Isa::load(w + i * kBlock<Isa> + c * Isa::kLanes);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
      // Step by step over all vectors, for cores that run instructions in order.
      LARQ_DENSE_EACH(P, p)
        const Words first = Isa::splat_next(x[0][p]);
        const Words two = Isa::splat_next(x[1][p]);
        const Words three = Isa::splat_next(x[2][p]);
        Words a[C], parity[C], s[C];
        LARQ_DENSE_EACH(C, c)
          s[c] = Isa::bit_xor(weights[2][c], three);
          a[c] = Isa::bit_xor(weights[0][c], first);
          parity[c] = Isa::bit_xor(weights[1][c], two);
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(C, c)
          a[c] = Isa::select(parity[c], s[c], a[c]);
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(C, c)
          sums[p][c] = Isa::count(sums[p][c], s[c]);
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(C, c)
          majorities[p][c] = Isa::count(majorities[p][c], a[c]);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
    } else {
      LARQ_DENSE_EACH(C, c)
        const Words wa = Isa::load(w + c * Isa::kLanes);
        const Words wp = Isa::load(w + kBlock<Isa> + c * Isa::kLanes);
        const Words ws = Isa::load(w + 2 * kBlock<Isa> + c * Isa::kLanes);
        LARQ_DENSE_EACH(P, p)
          const Words a = Isa::bit_xor(wa, Isa::splat(x[0][0] + p * pixel));
          const Words parity = Isa::bit_xor(wp, Isa::splat(x[1][0] + p * pixel));
          const Words s = Isa::bit_xor(ws, Isa::splat(x[2][0] + p * pixel));
          const Words majority = Isa::select(parity, s, a);
          sums[p][c] = Isa::count(sums[p][c], s);
          if constexpr (Isa::kOneCount) {
            sums[p][c] = Isa::count_majority(sums[p][c], majority);
          } else {
            majorities[p][c] = Isa::count(majorities[p][c], majority);
          }
        LARQ_DENSE_END;
        forget_memory();
      LARQ_DENSE_END;
      for (auto& plane : x) ++plane[0];
    }
  }

  LARQ_DENSE_INLINE void count_single(const uint32_t* x, ptrdiff_t pixel, const uint32_t* w) {
    LARQ_DENSE_EACH(C, c)
      const Words weights = Isa::load(w + c * Isa::kLanes);
      LARQ_DENSE_EACH(P, p)
        const Words v = Isa::bit_xor(weights, Isa::splat(x + p * pixel));
        sums[p][c] = Isa::count(sums[p][c], v);
      LARQ_DENSE_END;
    LARQ_DENSE_END;
  }

  LARQ_DENSE_INLINE void run(const ConvTile& tile, int first) {
    // Copies, since memory is forgotten below.
    const Columns in_threes = tile.triples;
    const Columns left_over = tile.singles;
    const ptrdiff_t plane = tile.plane;
    start(tile);
    const uint32_t* w = tile.w;
    int until_widen = kWidenEvery<Isa>;
    for (int tap = 0; tap < tile.taps; ++tap) {
      const uint32_t* start_of_tap = in_threes.x + first * in_threes.pixel + tap * in_threes.tap;
      const uint32_t* words[3][kPointers];
      LARQ_DENSE_EACH(3, i)
        LARQ_DENSE_EACH(kPointers, p)
          words[i][p] = start_of_tap + i * plane + p * in_threes.pixel;
        LARQ_DENSE_END;
      LARQ_DENSE_END;
      int triples = in_threes.count;
      while (triples > 0) {
        int chunk = triples;
        if (Isa::kByteCounts && chunk > until_widen) chunk = until_widen;
        for (int i = 0; i < chunk; ++i) {
          count_triple(words, in_threes.pixel, w);
          w += 3 * kBlock<Isa>;
        }
        triples -= chunk;
        if (Isa::kByteCounts) {
          until_widen -= chunk;
          if (until_widen == 0) {
            widen();
            clear();
            until_widen = kWidenEvery<Isa>;
          }
        }
      }
      const uint32_t* x = left_over.x + first * left_over.pixel + tap * left_over.tap;
      for (int i = 0; i < left_over.count; ++i) {
        count_single(x++, left_over.pixel, w);
        w += kBlock<Isa>;
      }
      if (Isa::kByteCounts && left_over.count != 0) {
        until_widen -= left_over.count;  // at most 2
        if (until_widen <= 2) {
          widen();
          clear();
          until_widen = kWidenEvery<Isa>;
        }
      }
    }
    widen();
  }
};

template <class Isa, int P>
LARQ_DENSE_INLINE void store_bits(uint8_t* out, ptrdiff_t out_pixel, const unsigned (&bits)[P],
                                  int channels) {
  if (channels >= kBlock<Isa>) {
    LARQ_DENSE_EACH(P, p)
      memcpy(out + p * out_pixel, &bits[p], kBlock<Isa> / 8);
    LARQ_DENSE_END;
    return;
  }
  const unsigned mask = (1u << channels) - 1;
  for (int p = 0; p < P; ++p) {
    const unsigned word = bits[p] & mask;
    memcpy(out + p * out_pixel, &word, static_cast<size_t>(channels + 7) / 8);
  }
}

// What follows the multiply-add, for a block of which all channels exist or (kPartial) not.
template <class Isa, int P, bool kPartial>
LARQ_DENSE_INLINE void finish_block(int channels, const FloatOutput& output, int first,
                                    typename Isa::Floats (&y)[P][Isa::kVectors]) {
  using Floats = typename Isa::Floats;
  constexpr int C = Isa::kVectors;
  const auto lanes_of = [&](int c) {
    const int lanes = channels - c * Isa::kLanes;
    return lanes < 0 ? 0 : (lanes < Isa::kLanes ? lanes : Isa::kLanes);
  };
  if (output.post) {
    const auto clamp = [&](float low, float high) {
      const Floats least = Isa::splat_float(low), most = Isa::splat_float(high);
      LARQ_DENSE_EACH(P, p)
        LARQ_DENSE_EACH(C, c)
          y[p][c] = Isa::min(Isa::max(y[p][c], least), most);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
    };
    if (output.clamped_before) clamp(output.before_min, output.before_max);
    for (int j = 0; j < output.others; ++j) {
      const Other<float>& other = output.other[j];
      const float* data = other.data + first * other.pixel;
      const bool multiplies = other.multiplies;
      LARQ_DENSE_EACH(P, p)
        LARQ_DENSE_EACH(C, c)
          const float* from = data + p * other.pixel + c * Isa::kLanes;
          const Floats second =
              kPartial ? Isa::load_some_floats(from, lanes_of(c)) : Isa::load_floats(from);
          y[p][c] = multiplies ? Isa::mul(y[p][c], second) : Isa::add(y[p][c], second);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
    }
    if (output.clamped_after) clamp(output.after_min, output.after_max);
    for (int j = 0; j < output.bit_outputs; ++j) {
      unsigned bits[P] = {};
      LARQ_DENSE_EACH(C, c)
        const Floats limit = Isa::load_floats(output.limit[j] + c * Isa::kLanes);
        LARQ_DENSE_EACH(P, p)
          bits[p] |= Isa::less(y[p][c], limit) << (c * Isa::kLanes);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
      store_bits<Isa, P>(output.bits[j] + first * output.bits_pixel[j], output.bits_pixel[j], bits,
                         channels);
    }
  }
  if (output.out == nullptr) return;
  float* out = output.out + first * output.out_pixel;
  LARQ_DENSE_EACH(P, p)
    LARQ_DENSE_EACH(C, c)
      float* to = out + p * output.out_pixel + c * Isa::kLanes;
      if (kPartial) {
        Isa::store_some_floats(to, y[p][c], lanes_of(c));
      } else {
        Isa::store_floats(to, y[p][c]);
      }
    LARQ_DENSE_END;
  LARQ_DENSE_END;
}

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

// A float's nearest int8, halves away from zero; all channels of a pixel then lie in one register.
template <class Isa, int P>
LARQ_DENSE_INLINE void round_to_bytes(const Int8Output& output,
                                      typename Isa::Floats (&y)[P][Isa::kVectors],
                                      typename Isa::Bytes (&bytes)[P]) {
  constexpr int C = Isa::kVectors;
  if (!output.fits_int) {
    const typename Isa::Floats lowest = Isa::splat_float(-128.0f);
    const typename Isa::Floats highest = Isa::splat_float(127.0f);
    LARQ_DENSE_EACH(P, p)
      LARQ_DENSE_EACH(C, c)
        y[p][c] = Isa::min(Isa::max(y[p][c], lowest), highest);
      LARQ_DENSE_END;
    LARQ_DENSE_END;
  }
  if (output.has_ties) {
    LARQ_DENSE_EACH(P, p)
      typename Isa::Ints whole[C];
      LARQ_DENSE_EACH(C, c)
        whole[c] = Isa::round(y[p][c]);
      LARQ_DENSE_END;
      bytes[p] = Isa::saturate(whole);
    LARQ_DENSE_END;
  } else {
    LARQ_DENSE_EACH(P, p)
      typename Isa::Ints whole[C];
      LARQ_DENSE_EACH(C, c)
        whole[c] = Isa::round_off_ties(y[p][c]);
      LARQ_DENSE_END;
      bytes[p] = Isa::saturate(whole);
    LARQ_DENSE_END;
  }
}

template <class Isa, int P, bool kPartial>
LARQ_DENSE_INLINE void finish_block(int channels, const Int8Output& output, int first,
                                    typename Isa::Floats (&y)[P][Isa::kVectors]) {
  using Bytes = typename Isa::Bytes;
  const size_t some = static_cast<size_t>(channels);
  Bytes v[P];
  round_to_bytes<Isa, P>(output, y, v);
  if (output.post) {
    const auto clamp = [&](int8_t low, int8_t high) {
      const Bytes least = Isa::splat_byte(low), most = Isa::splat_byte(high);
      LARQ_DENSE_EACH(P, p)
        v[p] = Isa::min_bytes(Isa::max_bytes(v[p], least), most);
      LARQ_DENSE_END;
    };
    if (output.clamped_before) clamp(output.before_min, output.before_max);
    const Bytes zero = Isa::splat_byte(static_cast<int8_t>(output.zero_point));
    for (int j = 0; j < output.others; ++j) {
      const Other<int8_t>& other = output.other[j];
      const int8_t* data = other.data + first * other.pixel;
      LARQ_DENSE_EACH(P, p)
        const int8_t* from = data + p * other.pixel;
        const Bytes second =
            kPartial ? load_some_bytes<Isa>(from, some) : Isa::load_bytes(from);
        v[p] = Isa::add_bytes(v[p], second, zero);
      LARQ_DENSE_END;
    }
    if (output.clamped_after) clamp(output.after_min, output.after_max);
    for (int j = 0; j < output.bit_outputs; ++j) {
      const Bytes limit = Isa::load_bytes(output.limit[j]);
      unsigned bits[P];
      LARQ_DENSE_EACH(P, p)
        bits[p] = Isa::less_bytes(v[p], limit);
      LARQ_DENSE_END;
      store_bits<Isa, P>(output.bits[j] + first * output.bits_pixel[j], output.bits_pixel[j], bits,
                         channels);
    }
  }
  if (output.out == nullptr) return;
  int8_t* out = output.out + first * output.out_pixel;
  LARQ_DENSE_EACH(P, p)
    if (kPartial) {
      store_some_bytes<Isa>(out + p * output.out_pixel, v[p], some);
    } else {
      Isa::store_bytes(out + p * output.out_pixel, v[p]);
    }
  LARQ_DENSE_END;
}

template <class Isa, int P, class T>
LARQ_DENSE_INLINE void finish(int channels, const ConvOutput<T>& output, int first,
                              typename Isa::Floats (&y)[P][Isa::kVectors]) {
  if (channels >= kBlock<Isa>) {
    finish_block<Isa, P, false>(channels, output, first, y);
  } else {
    finish_block<Isa, P, true>(channels, output, first, y);
  }
}

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

// The halved dot product of one channel and one pixel, whose words lie side by side.
template <class Isa>
LARQ_DENSE_INLINE int32_t half_of_one(const ConvTile& tile, const uint32_t* x, const uint32_t* w) {
  using Words = typename Isa::Words;
  static const uint32_t kFirst[2 * 16] = {~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u,
                                          ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u};
  const int count = tile.triples.count;
  const ptrdiff_t padded = (count + kFewWords - 1) / kFewWords * kFewWords;
  typename Isa::Counts sums = Isa::zero_counts(), majorities = Isa::zero_counts();
  int32_t half = 0;
  for (int i = 0; i < count; i += Isa::kLanes) {
    const Words a = Isa::bit_xor(Isa::load(x + i), Isa::load(w + i));
    const Words parity =
        Isa::bit_xor(Isa::load(x + tile.plane + i), Isa::load(w + padded + i));
    Words s = Isa::bit_xor(Isa::load(x + 2 * tile.plane + i), Isa::load(w + 2 * padded + i));
    Words majority = Isa::select(parity, s, a);
    if (count - i < Isa::kLanes) {
      const Words inside = Isa::load(kFirst + 16 - (count - i));
      const Words nothing = Isa::bit_xor(a, a);
      s = Isa::select(inside, s, nothing);
      majority = Isa::select(inside, majority, nothing);
    }
    sums = Isa::count(sums, s);
    if constexpr (Isa::kOneCount) {
      sums = Isa::count_majority(sums, majority);
      half -= 64 * Isa::kLanes;
    } else {
      majorities = Isa::count(majorities, majority);
    }
  }
  return half + Isa::sum_lanes(Isa::widen(Isa::splat_int(0), sums, majorities));
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
LARQ_DENSE_TILES(tile_few_bytes, ByteTile, kBytePixels * Isa::kVectors)
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

template <class Isa>
void prepare_triples(const uint32_t* a, const uint32_t* b, const uint32_t* c, size_t count,
                     uint32_t* __restrict out, size_t plane) {
  uint32_t* __restrict two = out + plane;
  uint32_t* __restrict three = two + plane;
  if (a != nullptr && b != nullptr && c != nullptr) {
    for (size_t i = 0; i < count; ++i) {
      const uint32_t parity = a[i] ^ b[i];
      out[i] = a[i];
      two[i] = parity;
      three[i] = parity ^ c[i];
    }
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    const uint32_t first = a == nullptr ? 0 : a[i];
    const uint32_t parity = first ^ (b == nullptr ? 0 : b[i]);
    out[i] = first;
    two[i] = parity;
    three[i] = parity ^ (c == nullptr ? 0 : c[i]);
  }
}

template <class Isa>
void to_bytes(const int8_t* __restrict x, size_t count, uint8_t* __restrict out) {
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(x[i]) ^ 0x80;
}

template <class Isa>
void quantize_float(const float* x, const float* limit, size_t count, uint32_t* bits) {
  constexpr int lanes = Isa::kLanes;
  const typename Isa::Floats zero = Isa::splat_float(0.0f);
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    uint32_t word = 0;
#pragma GCC unroll 16
    for (int c = 0; c < 32 / lanes; ++c) {
      const typename Isa::Floats bound =
          limit == nullptr ? zero : Isa::load_floats(limit + i + c * lanes);
      word |= Isa::less(Isa::load_floats(x + i + c * lanes), bound) << (c * lanes);
    }
    *bits++ = word;
  }
  if (i < count) {
    uint32_t word = 0;
    for (int b = 0; i < count; ++i, ++b) {
      const float bound = limit == nullptr ? 0.0f : limit[i];
      word |= static_cast<uint32_t>(x[i] < bound) << b;
    }
    *bits = word;
  }
}

// Bit i is x[i] < limit(i), whole blocks of which limits(i) gives.
template <class Isa, class Limit, class Limits>
LARQ_DENSE_INLINE void quantize_bytes(const int8_t* x, const Limit& limit, const Limits& limits,
                                      size_t count, uint32_t* bits) {
  constexpr int block = kBlock<Isa>;
  size_t i = 0;
  for (; i + 32 <= count; i += 32) {
    uint32_t word = 0;
#pragma GCC unroll 4
    for (int c = 0; c < 32; c += block) {
      word |= Isa::less_bytes(Isa::load_bytes(x + i + c), limits(i + c)) << c;
    }
    *bits++ = word;
  }
  if (i < count) {
    uint32_t word = 0;
    for (int b = 0; i < count; ++i, ++b) word |= static_cast<uint32_t>(x[i] < limit(i)) << b;
    *bits = word;
  }
}

template <class Isa>
void quantize_int8(const int8_t* x, int zero_point, size_t count, uint32_t* bits) {
  const int8_t zero = static_cast<int8_t>(zero_point);
  const typename Isa::Bytes limit = Isa::splat_byte(zero);
  quantize_bytes<Isa>(x, [&](size_t) { return zero; }, [&](size_t) { return limit; }, count, bits);
}

template <class Isa>
void quantize_int8_by(const int8_t* x, const int8_t* limit, size_t count, uint32_t* bits) {
  quantize_bytes<Isa>(x, [&](size_t i) { return limit[i]; },
                      [&](size_t i) { return Isa::load_bytes(limit + i); }, count, bits);
}

template <class Isa, Combination kOp>
void combine_rows(const Combine<float>& c) {
  using Floats = typename Isa::Floats;
  constexpr size_t lanes = Isa::kLanes;
  const Floats low = Isa::splat_float(c.low);
  const Floats high = Isa::splat_float(c.high);
  const auto join = [&](Floats x, Floats y) {
    if (kOp == Combination::kAdd) x = Isa::add(x, y);
    if (kOp == Combination::kMultiply) x = Isa::mul(x, y);
    if (kOp == Combination::kRound) x = Isa::round_even(x);
    return Isa::min(Isa::max(x, low), high);
  };
  const bool spread = c.broadcast == Broadcast::kRows || c.broadcast == Broadcast::kScalar;
  for (size_t r = 0; r < c.rows; ++r) {
    const float* x = c.x + r * c.channels;
    float* out = c.out + r * c.channels;
    const float* operand = c.operand;
    if (c.broadcast == Broadcast::kNone) operand += r * c.channels;
    if (c.broadcast == Broadcast::kRows) operand += r;
    const Floats same = Isa::splat_float(spread ? *operand : 0.0f);
    size_t i = 0;
    for (; i + lanes <= c.channels; i += lanes) {
      Floats y = spread ? same : Isa::load_floats(operand + i);
      if (c.scale != nullptr) y = Isa::mul(y, Isa::load_floats(c.scale + i));
      Isa::store_floats(out + i, join(Isa::load_floats(x + i), y));
    }
    if (i < c.channels) {
      const int rest = static_cast<int>(c.channels - i);
      Floats y = spread ? same : Isa::load_some_floats(operand + i, rest);
      if (c.scale != nullptr) y = Isa::mul(y, Isa::load_some_floats(c.scale + i, rest));
      Isa::store_some_floats(out + i, join(Isa::load_some_floats(x + i, rest), y), rest);
    }
  }
}

template <class Isa>
void combine(const Combine<float>& given) {
  Combine<float> c = given;
  const bool whole = c.broadcast == Broadcast::kNone || c.broadcast == Broadcast::kScalar;
  if (whole && c.scale == nullptr) {  // one long row
    c.channels *= c.rows;
    c.rows = 1;
  }
  switch (c.op) {
    case Combination::kAdd:
      return combine_rows<Isa, Combination::kAdd>(c);
    case Combination::kMultiply:
      return combine_rows<Isa, Combination::kMultiply>(c);
    case Combination::kFirst:
      return combine_rows<Isa, Combination::kFirst>(c);
    case Combination::kRound:
      return combine_rows<Isa, Combination::kRound>(c);
  }
}

template <class Isa, class Join>
LARQ_DENSE_INLINE void combine_int8_rows(const Combine<int8_t>& c, const Join& join) {
  using Bytes = typename Isa::Bytes;
  constexpr size_t block = kBlock<Isa>;
  const bool spread = c.broadcast == Broadcast::kRows || c.broadcast == Broadcast::kScalar;
  for (size_t r = 0; r < c.rows; ++r) {
    const int8_t* x = c.x + r * c.channels;
    int8_t* out = c.out + r * c.channels;
    const int8_t* operand = c.operand;
    if (c.broadcast == Broadcast::kNone) operand += r * c.channels;
    if (c.broadcast == Broadcast::kRows) operand += r;
    const Bytes same = Isa::splat_byte(spread ? *operand : 0);
    size_t i = 0;
    for (; i + block <= c.channels; i += block) {
      const Bytes y = spread ? same : Isa::load_bytes(operand + i);
      Isa::store_bytes(out + i, join(Isa::load_bytes(x + i), y));
    }
    if (i < c.channels) {
      const size_t rest = c.channels - i;
      const Bytes y = spread ? same : load_some_bytes<Isa>(operand + i, rest);
      store_some_bytes<Isa>(out + i, join(load_some_bytes<Isa>(x + i, rest), y), rest);
    }
  }
}

template <class Isa>
void combine_int8(const Combine<int8_t>& given) {
  using Bytes = typename Isa::Bytes;
  Combine<int8_t> c = given;
  if (c.broadcast == Broadcast::kNone || c.broadcast == Broadcast::kScalar) {  // one long row
    c.channels *= c.rows;
    c.rows = 1;
  }
  const Bytes low = Isa::splat_byte(c.low), high = Isa::splat_byte(c.high);
  const Bytes zero = Isa::splat_byte(static_cast<int8_t>(c.zero_point));
  const auto clamp = [&](Bytes v) { return Isa::min_bytes(Isa::max_bytes(v, low), high); };
  switch (c.op) {
    case Combination::kAdd:
      return combine_int8_rows<Isa>(
          c, [&](Bytes x, Bytes y) { return clamp(Isa::add_bytes(x, y, zero)); });
    case Combination::kMultiply:
      return combine_int8_rows<Isa>(
          c, [&](Bytes x, Bytes y) { return clamp(Isa::where_not_zero(y, x, zero)); });
    default:
      return combine_int8_rows<Isa>(c, [&](Bytes x, Bytes) { return clamp(x); });
  }
}

template <class Isa>
void sum_int8(const int8_t* x, size_t rows, size_t channels, int32_t* sums) {
  // So many channels at once that the sums stay in registers, in 16 bits while they fit.
  constexpr size_t lanes = 32, fits = 255;
  using Bytes = int8_t __attribute__((vector_size(lanes)));
  using Shorts = int16_t __attribute__((vector_size(2 * lanes)));
  size_t c = 0;
  for (; c + lanes <= channels; c += lanes) {
    const int8_t* from = x + c;
    for (size_t first = 0; first < rows; first += fits) {
      const size_t end = rows - first < fits ? rows : first + fits;
      Shorts some = {};
      for (size_t r = first; r < end; ++r, from += channels) {
        Bytes bytes;
        memcpy(&bytes, from, lanes);
        some += __builtin_convertvector(bytes, Shorts);
      }
      for (size_t i = 0; i < lanes; ++i) sums[c + i] += some[i];
    }
  }
  for (; c < channels; ++c) {
    for (size_t r = 0; r < rows; ++r) sums[c] += x[r * channels + c];
  }
}

// Puts pixels of two rows in turn, `kBytes` at a time; what is too much of a pixel is written over
// by the next, but for the last ones.
template <size_t kBytes>
LARQ_DENSE_INLINE void interleave(const int8_t* left, const int8_t* right, size_t count,
                                  size_t channels, int8_t* out) {
  const size_t reach = (channels + kBytes - 1) / kBytes * kBytes;
  const auto put = [&](int8_t* to, const int8_t* from) {
    if (channels <= kBytes) {
      memcpy(to, from, kBytes);
    } else {
      for (size_t c = 0; c < channels; c += kBytes) memcpy(to + c, from + c, kBytes);
    }
  };
  size_t i = 0;
  for (; 2 * i + channels + reach <= 2 * count; i += channels) {
    put(out + 2 * i, left + i);
    put(out + 2 * i + channels, right + i);
  }
  for (; i < count; i += channels) {
    memcpy(out + 2 * i, left + i, channels);
    memcpy(out + 2 * i + channels, right + i, channels);
  }
}

template <class Isa>
void enlarge_int8(const int8_t* row, const int8_t* next, size_t width, size_t channels,
                  int8_t* out, void* workspace) {
  const size_t count = width * channels;
  // The outermost columns stand for those beyond.
  int16_t* before = static_cast<int16_t*>(workspace);
  int16_t* sums = before + channels;
  int16_t* after = sums + channels;
  for (size_t i = 0; i < count; ++i) sums[i] = static_cast<int16_t>(3 * row[i] + next[i]);
  memcpy(before, sums, channels * sizeof(int16_t));
  memcpy(sums + count, sums + count - channels, channels * sizeof(int16_t));
  const auto sixteenth = [](int16_t v) {
    return static_cast<int8_t>(static_cast<int16_t>(v + 8 + (v >> 15)) >> 4);
  };
  int8_t* left = reinterpret_cast<int8_t*>(sums + count + channels);
  int8_t* right = left + count + kEnlargeSlack;
  for (size_t i = 0; i < count; ++i) {
    left[i] = sixteenth(static_cast<int16_t>(3 * sums[i] + before[i]));
    right[i] = sixteenth(static_cast<int16_t>(3 * sums[i] + after[i]));
  }
  switch (channels) {
    case 1:
      return interleave<1>(left, right, count, 1, out);
    case 2:
      return interleave<2>(left, right, count, 2, out);
    default:
      return interleave<8>(left, right, count, channels, out);
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
                 Isa::kByteCounts ? kWidenEvery<Isa> * Isa::kLanes : INT32_MAX,
                 byte_kernel<Isa>(),
                 depth_kernel<Isa>(),
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
