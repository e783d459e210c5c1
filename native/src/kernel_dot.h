// Binary dot products.
#pragma once

#include "kernel_common.h"

namespace larq_dense {
namespace {

// Byte counters must be widened before they overflow: a triple adds at most 8 to each byte, 24 where
// both counts share it, and up to two single words, at most 8 each, may follow the last triple.
template <class Isa>
constexpr int kFewWidenEvery = Isa::kOneCount ? 9 : 29;
// Where carries are saved, all that is counted adds at most 8; an even number leaves no odd triple.
template <class Isa>
constexpr int kWidenEvery = Isa::kSavesCarries ? 28 : kFewWidenEvery<Isa>;

struct NoDigits {};
template <class Isa>
constexpr auto zero_digits() {
  if constexpr (Isa::kSavesCarries) {
    return Isa::zero_digits();
  } else {
    return NoDigits{};
  }
}

template <class Isa, int P>
struct Tile {
  static constexpr int C = Isa::kVectors;
  // Where a broadcast is an instruction of its own, a pointer for each pixel moves on with it;
  // else distances between pixels are part of the operands' addresses.
  static constexpr int kPointers = Isa::kHoldsInputs ? P : 1;
  using Words = typename Isa::Words;
  using Counts = typename Isa::Counts;
  using Ints = typename Isa::Ints;

  Counts sums[P][C];  // of eights, where carries are saved
  Counts majorities[P][C];
  decltype(zero_digits<Isa>()) digits[P][C];
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
        if constexpr (Isa::kSavesCarries) digits[p][c] = Isa::zero_digits();
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
        if constexpr (Isa::kSavesCarries) {
          dot[p][c] = Isa::widen_eights(dot[p][c], sums[p][c]);
        } else if constexpr (Isa::kByteCounts) {
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
    if constexpr (Isa::kHoldsInputs) {
      Words inputs[3][P];
      LARQ_DENSE_EACH(P, p)
        LARQ_DENSE_EACH(3, i)
          inputs[i][p] = Isa::splat_next(x[i][p]);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
      // Step by step over all pixels, for cores that run instructions in order.
      LARQ_DENSE_EACH(C, c)
        Words weights[3], a[P], parity[P], s[P];
        LARQ_DENSE_EACH(3, i)
          weights[i] = Isa::load(w + i * kBlock<Isa> + c * Isa::kLanes);
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(P, p)
          a[p] = Isa::bit_xor(weights[0], inputs[0][p]);
          parity[p] = Isa::bit_xor(weights[1], inputs[1][p]);
          s[p] = Isa::bit_xor(weights[2], inputs[2][p]);
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(P, p)
          a[p] = Isa::select(parity[p], s[p], a[p]);
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(P, p)
          sums[p][c] = Isa::count(sums[p][c], s[p]);
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(P, p)
          majorities[p][c] = Isa::count(majorities[p][c], a[p]);
        LARQ_DENSE_END;
        forget_memory();
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

  // Where carries are saved: `N` triples, one or two.
  template <int N>
  LARQ_DENSE_INLINE void save_triples(const uint32_t* (&x)[3][kPointers], ptrdiff_t pixel,
                                      const uint32_t* w) {
    LARQ_DENSE_EACH(C, c)
      Words weights[3 * N];
      LARQ_DENSE_EACH(3 * N, i)
        weights[i] = Isa::load(w + i * kBlock<Isa> + c * Isa::kLanes);
      LARQ_DENSE_END;
      LARQ_DENSE_EACH(P, p)
        Words s[2], others[2];  // what is counted once, and what twice: majorities, complemented
        LARQ_DENSE_EACH(2, t)
          if constexpr (t < N) {
            const ptrdiff_t at = t + p * pixel;
            const Words a = Isa::bit_xor(weights[3 * t], Isa::splat(x[0][0] + at));
            const Words parity = Isa::bit_xor(weights[3 * t + 1], Isa::splat(x[1][0] + at));
            s[t] = Isa::bit_xor(weights[3 * t + 2], Isa::splat(x[2][0] + at));
            others[t] = Isa::select_not(parity, s[t], a);
          } else {
            s[t] = others[t] = Isa::zero_counts();
          }
        LARQ_DENSE_END;
        sums[p][c] =
            Isa::add_digits(digits[p][c], sums[p][c], s[0], others[0], s[1], others[1]);
      LARQ_DENSE_END;
      forget_memory();
    LARQ_DENSE_END;
    for (auto& plane : x) plane[0] += N;
  }

  LARQ_DENSE_INLINE void count_triples(int count, const uint32_t* (&x)[3][kPointers],
                                       ptrdiff_t pixel, const uint32_t* w) {
    if constexpr (Isa::kSavesCarries) {
      for (; count >= 2; count -= 2, w += 6 * kBlock<Isa>) save_triples<2>(x, pixel, w);
      if (count != 0) save_triples<1>(x, pixel, w);
    } else {
      for (; count > 0; --count, w += 3 * kBlock<Isa>) count_triple(x, pixel, w);
    }
  }

  LARQ_DENSE_INLINE void count_single(const uint32_t* x, ptrdiff_t pixel, const uint32_t* w) {
    LARQ_DENSE_EACH(C, c)
      const Words weights = Isa::load(w + c * Isa::kLanes);
      LARQ_DENSE_EACH(P, p)
        const Words v = Isa::bit_xor(weights, Isa::splat(x + p * pixel));
        if constexpr (Isa::kSavesCarries) {
          const Words zero = Isa::zero_counts();
          sums[p][c] = Isa::add_digits(digits[p][c], sums[p][c], v, zero, zero, zero);
        } else {
          sums[p][c] = Isa::count(sums[p][c], v);
        }
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
        count_triples(chunk, words, in_threes.pixel, w);
        w += 3 * chunk * kBlock<Isa>;
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
    if constexpr (Isa::kSavesCarries) {
      LARQ_DENSE_EACH(P, p)
        LARQ_DENSE_EACH(C, c)
          dot[p][c] = Isa::widen_digits(dot[p][c], digits[p][c]);
        LARQ_DENSE_END;
      LARQ_DENSE_END;
    }
  }
};

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

}  // namespace
}  // namespace larq_dense
