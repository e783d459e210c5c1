// AVX2, and what is built upon it: 8 output channels in a register, popcount by two table look-ups for
// each byte.
#pragma once

#include <immintrin.h>

#include "kernel_body.h"

namespace larq_dense {
namespace {

struct Avx2Base {
  static constexpr int kLanes = 8;
  static constexpr int kVectors = 2;
  static constexpr int kPixels = 3;
  static constexpr int kLimitChains = 4;
  static constexpr bool kHoldsInputs = false;
  static constexpr bool kByteCounts = true;
  // Half of the 16 registers would hold counts of majorities; here one count serves for both.
  static constexpr bool kOneCount = true;
  static constexpr bool kSavesCarries = false;
  static constexpr bool kMasksBytes = false;
  static constexpr int kBytePixels = 4;
  static constexpr int kFewBytePixels = 8;
  static constexpr int kGroup = 4;
  static constexpr bool kSignedBytes = false;
  static constexpr bool kSumsBytes = false;
  using Words = __m256i;
  using Counts = __m256i;  // a count in each byte
  using Ints = __m256i;
  using Floats = __m256;
  using Bytes = __m128i;  // all channels of a block
  using Quads = __m256i;  // four bytes of each channel
  using Shorts = __m256i;  // all channels of a block

  static __m256i first_lanes(int n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane);
  }

  static Words load(const uint32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static Words splat(const uint32_t* p) { return _mm256_set1_epi32(static_cast<int>(*p)); }
  static Words bit_xor(Words a, Words b) { return _mm256_xor_si256(a, b); }
  static Words select(Words mask, Words yes, Words no) {
    return _mm256_or_si256(_mm256_and_si256(mask, yes), _mm256_andnot_si256(mask, no));
  }
  static Counts zero_counts() { return _mm256_setzero_si256(); }
  static Counts count(Counts sum, Words v) {
    return look_up(sum, v, _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  }
  // Adds 16 to each byte and takes twice its count away: 64 to each lane, in all.
  static Counts count_majority(Counts sum, Words v) {
    return look_up(sum, v, _mm256_setr_epi8(8, 6, 6, 4, 6, 4, 4, 2, 6, 4, 4, 2, 4, 2, 2, 0,  //
                                            8, 6, 6, 4, 6, 4, 4, 2, 6, 4, 4, 2, 4, 2, 2, 0));
  }
  static Counts look_up(Counts sum, Words v, __m256i table) {
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(v, nibble));
    const __m256i high =
        _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
    return _mm256_add_epi8(sum, _mm256_add_epi8(low, high));
  }
  static Ints sum_bytes(Counts counts) {
    const __m256i pairs = _mm256_maddubs_epi16(counts, _mm256_set1_epi8(1));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  }
  static Ints widen(Ints dot, Counts sums, Counts) {
    return _mm256_add_epi32(dot, sum_bytes(sums));
  }
  static void keep(Words& v) { asm volatile("" : "+x"(v)); }

  static Ints load_ints(const int32_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static void store_ints(int32_t* p, Ints v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
  }
  static Ints splat_int(int32_t v) { return _mm256_set1_epi32(v); }
  static Ints add_int(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  static Ints min_int(Ints a, Ints b) { return _mm256_min_epi32(a, b); }
  static Ints max_int(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
  static int32_t sum_lanes(Ints v) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    four = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_srli_epi64(four, 32)));
  }
  static unsigned less_int(Ints a, Ints b) {
    return static_cast<unsigned>(
        _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a))));
  }

  static Floats load_floats(const float* p) { return _mm256_loadu_ps(p); }
  static Floats load_some_floats(const float* p, int n) {
    return _mm256_maskload_ps(p, first_lanes(n));
  }
  static void store_floats(float* p, Floats v) { _mm256_storeu_ps(p, v); }
  static void store_some_floats(float* p, Floats v, int n) {
    _mm256_maskstore_ps(p, first_lanes(n), v);
  }
  static Floats splat_float(float v) { return _mm256_set1_ps(v); }
  static Floats to_floats(Ints v) { return _mm256_cvtepi32_ps(v); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static unsigned less(Floats a, Floats b) {
    return static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ)));
  }
  static Floats round_even(Floats v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // To nearest, halves away from zero, like std::round: what follows 0.5 from below is added with
  // v's sign and the rest cut off.
  static Ints round(Floats v) {
    const Floats half = _mm256_castsi256_ps(_mm256_set1_epi32(0x3effffff));
    const Floats signed_half = _mm256_or_ps(_mm256_and_ps(v, splat_float(-0.0f)), half);
    return _mm256_cvttps_epi32(_mm256_add_ps(v, signed_half));
  }
  static Ints round_off_ties(Floats v) { return _mm256_cvtps_epi32(v); }

  static Quads load_quads(const int8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static Ints four_times(Ints v) { return _mm256_slli_epi32(v, 2); }

  static Shorts zero_shorts() { return _mm256_setzero_si256(); }
  static Shorts load_shorts(const int16_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static Shorts widen_bytes(const int8_t* p) { return _mm256_cvtepi8_epi16(load_bytes(p)); }
  static Shorts add_products(Shorts sum, Shorts x, Shorts w) {
    return _mm256_add_epi16(sum, _mm256_mullo_epi16(x, w));
  }
  // The first or second half of the channels.
  template <int kHalf>
  static Ints widen_shorts(Shorts v) {
    return _mm256_cvtepi16_epi32(_mm256_extracti128_si256(v, kHalf));
  }

  static Bytes saturate(const Ints (&v)[kVectors]) {
    // The packs join halves of registers; the permutation puts those back in order.
    const __m256i pairs = _mm256_permute4x64_epi64(_mm256_packs_epi32(v[0], v[1]), 0xd8);
    return _mm_packs_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
  }
  static Bytes load_bytes(const int8_t* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  }
  static void store_bytes(int8_t* p, Bytes v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
  }
  static Bytes splat_byte(int8_t v) { return _mm_set1_epi8(v); }
  static Bytes min_bytes(Bytes a, Bytes b) { return _mm_min_epi8(a, b); }
  static Bytes max_bytes(Bytes a, Bytes b) { return _mm_max_epi8(a, b); }
  // saturate(a + b - zero): counted from -128, what b is above or below zero is a byte, too.
  static Bytes add_bytes(Bytes a, Bytes b, Bytes zero) {
    const Bytes least = splat_byte(-128);
    const Bytes from = _mm_xor_si128(zero, least), to = _mm_xor_si128(b, least);
    const Bytes sum = _mm_adds_epu8(_mm_xor_si128(a, least), _mm_subs_epu8(to, from));
    return _mm_xor_si128(_mm_subs_epu8(sum, _mm_subs_epu8(from, to)), least);
  }
  static Bytes where_not_zero(Bytes mask, Bytes x, Bytes other) {
    return _mm_blendv_epi8(x, other, _mm_cmpeq_epi8(mask, _mm_setzero_si128()));
  }
  static unsigned less_bytes(Bytes a, Bytes b) {
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpgt_epi8(b, a)));
  }
};

}  // namespace
}  // namespace larq_dense
