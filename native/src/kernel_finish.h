// What follows the multiply-add of a convolution.
#pragma once

#include "kernel_common.h"

namespace larq_dense {
namespace {

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

}  // namespace
}  // namespace larq_dense
