// What is not a convolution: a row of words, floats or bytes at a time.
#pragma once

#include "kernel_common.h"

namespace larq_dense {
namespace {

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
  constexpr uint8_t sign = Isa::kSignedBytes ? 0 : 0x80;
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(x[i]) ^ sign;
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

// Whether one value of the operand goes with a whole row.
template <class T>
LARQ_DENSE_INLINE bool is_spread(const Combine<T>& c) {
  return c.broadcast == Broadcast::kRows || c.broadcast == Broadcast::kScalar;
}

// What goes with row r.
template <class T>
LARQ_DENSE_INLINE const T* operand_row(const Combine<T>& c, size_t r) {
  if (c.broadcast == Broadcast::kNone) return c.operand + r * c.channels;
  return c.broadcast == Broadcast::kRows ? c.operand + r : c.operand;
}

// One long row, where that comes to the same.
template <class T>
LARQ_DENSE_INLINE Combine<T> joined_rows(Combine<T> c) {
  const bool whole = c.broadcast == Broadcast::kNone || c.broadcast == Broadcast::kScalar;
  if (whole && c.scale == nullptr) {
    c.channels *= c.rows;
    c.rows = 1;
  }
  return c;
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
  const bool spread = is_spread(c);
  for (size_t r = 0; r < c.rows; ++r) {
    const float* x = c.x + r * c.channels;
    float* out = c.out + r * c.channels;
    const float* operand = operand_row(c, r);
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
  const Combine<float> c = joined_rows(given);
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
  const bool spread = is_spread(c);
  for (size_t r = 0; r < c.rows; ++r) {
    const int8_t* x = c.x + r * c.channels;
    int8_t* out = c.out + r * c.channels;
    const int8_t* operand = operand_row(c, r);
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
  const Combine<int8_t> c = joined_rows(given);
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
  // The outermost columns are repeated beyond the border.
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

}  // namespace
}  // namespace larq_dense
