// What every tier with 512-bit registers shares: AVX-512 F, BW and VL. 16 output channels in a
// register.
#pragma once

// GCC 12's header reads a variable of itself to mean "undefined" and then warns about that.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "kernel_body.h"

namespace larq_dense {
namespace {

struct Avx512Base {
  static constexpr int kLanes = 16;
  static constexpr int kVectors = 2;
  static constexpr bool kHoldsInputs = false;
  static constexpr bool kMasksBytes = true;
  static constexpr int kBytePixels = 4;
  static constexpr int kFewBytePixels = 8;
  static constexpr int kGroup = 4;
  static constexpr bool kSignedBytes = false;
  static constexpr bool kSumsBytes = false;
  using Words = __m512i;
  using Counts = __m512i;
  using Ints = __m512i;
  using Floats = __m512;
  using Bytes = __m256i;  // all channels of a block
  using Quads = __m512i;  // four bytes of each channel
  using Shorts = __m512i;  // all channels of a block

  static __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }

  static Words load(const uint32_t* p) { return _mm512_loadu_si512(p); }
  static Words splat(const uint32_t* p) { return _mm512_set1_epi32(static_cast<int>(*p)); }
  static Words bit_xor(Words a, Words b) { return _mm512_xor_si512(a, b); }
  // Truth table of "mask ? yes : no".
  static Words select(Words mask, Words yes, Words no) {
    return _mm512_ternarylogic_epi32(mask, yes, no, 0xca);
  }
  static Counts zero_counts() { return _mm512_setzero_si512(); }
  static void keep(Words& v) { asm volatile("" : "+v"(v)); }

  static Ints load_ints(const int32_t* p) { return _mm512_loadu_si512(p); }
  static void store_ints(int32_t* p, Ints v) { _mm512_storeu_si512(p, v); }
  static Ints splat_int(int32_t v) { return _mm512_set1_epi32(v); }
  static Ints add_int(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Ints min_int(Ints a, Ints b) { return _mm512_min_epi32(a, b); }
  static Ints max_int(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
  static int32_t sum_lanes(Ints v) { return _mm512_reduce_add_epi32(v); }
  static unsigned less_int(Ints a, Ints b) { return _mm512_cmplt_epi32_mask(a, b); }

  static Floats load_floats(const float* p) { return _mm512_loadu_ps(p); }
  static Floats load_some_floats(const float* p, int n) {
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
  }
  static void store_floats(float* p, Floats v) { _mm512_storeu_ps(p, v); }
  static void store_some_floats(float* p, Floats v, int n) {
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
  }
  static Floats splat_float(float v) { return _mm512_set1_ps(v); }
  static Floats to_floats(Ints v) { return _mm512_cvtepi32_ps(v); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static unsigned less(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  static Floats round_even(Floats v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  // To nearest, halves away from zero, like std::round: what follows 0.5 from below is added with
  // v's sign ("v & sign | half") and the rest cut off.
  static Ints round(Floats v) {
    const __m512i half = _mm512_set1_epi32(0x3effffff);
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    const __m512i signed_half =
        _mm512_ternarylogic_epi32(_mm512_castps_si512(v), sign, half, 0xea);
    return _mm512_cvttps_epi32(_mm512_add_ps(v, _mm512_castsi512_ps(signed_half)));
  }
  static Ints round_off_ties(Floats v) {
    return _mm512_cvt_roundps_epi32(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }

  static Quads load_quads(const int8_t* p) { return _mm512_loadu_si512(p); }
  static Ints four_times(Ints v) { return _mm512_slli_epi32(v, 2); }

  static Shorts zero_shorts() { return _mm512_setzero_si512(); }
  static Shorts load_shorts(const int16_t* p) { return _mm512_loadu_si512(p); }
  static Shorts widen_bytes(const int8_t* p) { return _mm512_cvtepi8_epi16(load_bytes(p)); }
  static Shorts add_products(Shorts sum, Shorts x, Shorts w) {
    return _mm512_add_epi16(sum, _mm512_mullo_epi16(x, w));
  }
  // The first or second half of the channels.
  template <int kHalf>
  static Ints widen_shorts(Shorts v) {
    return _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(v, kHalf));
  }

  static Bytes saturate(const Ints (&v)[kVectors]) {
    return _mm256_set_m128i(_mm512_cvtsepi32_epi8(v[1]), _mm512_cvtsepi32_epi8(v[0]));
  }
  static Bytes load_bytes(const int8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static __mmask32 first_bytes(size_t n) { return static_cast<__mmask32>((uint64_t{1} << n) - 1); }
  static Bytes load_first_bytes(const int8_t* p, size_t n) {
    return _mm256_maskz_loadu_epi8(first_bytes(n), p);
  }
  static void store_first_bytes(int8_t* p, Bytes v, size_t n) {
    _mm256_mask_storeu_epi8(p, first_bytes(n), v);
  }
  static void store_bytes(int8_t* p, Bytes v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
  }
  static Bytes splat_byte(int8_t v) { return _mm256_set1_epi8(v); }
  static Bytes min_bytes(Bytes a, Bytes b) { return _mm256_min_epi8(a, b); }
  static Bytes max_bytes(Bytes a, Bytes b) { return _mm256_max_epi8(a, b); }
  // saturate(a + b - zero): counted from -128, what b is above or below zero is a byte, too.
  static Bytes add_bytes(Bytes a, Bytes b, Bytes zero) {
    const Bytes least = splat_byte(-128);
    const Bytes from = _mm256_xor_si256(zero, least), to = _mm256_xor_si256(b, least);
    const Bytes sum = _mm256_adds_epu8(_mm256_xor_si256(a, least), _mm256_subs_epu8(to, from));
    return _mm256_xor_si256(_mm256_subs_epu8(sum, _mm256_subs_epu8(from, to)), least);
  }
  static Bytes where_not_zero(Bytes mask, Bytes x, Bytes other) {
    return _mm256_blendv_epi8(x, other, _mm256_cmpeq_epi8(mask, _mm256_setzero_si256()));
  }
  static unsigned less_bytes(Bytes a, Bytes b) {
    return static_cast<unsigned>(_mm256_movemask_epi8(_mm256_cmpgt_epi8(b, a)));
  }
};

}  // namespace
}  // namespace larq_dense
