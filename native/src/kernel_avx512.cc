// AVX-512 with VPOPCNTDQ (Ice Lake, Zen 4 and later): 16 output channels in a register.

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

struct Avx512 {
  static constexpr int kLanes = 16;
  static constexpr int kVectors = 2;
  static constexpr int kPixels = 6;  // 24 of the 32 registers hold sums
  static constexpr int kLimitChains = 12;
  static constexpr bool kHoldsWeights = false;
  static constexpr bool kByteCounts = false;
  using Words = __m512i;
  using Counts = __m512i;
  using Ints = __m512i;
  using Floats = __m512;

  static __mmask16 first_lanes(int n) { return static_cast<__mmask16>((1u << n) - 1); }

  static Words load(const uint32_t* p) { return _mm512_loadu_si512(p); }
  static Words splat(const uint32_t* p) { return _mm512_set1_epi32(static_cast<int>(*p)); }
  static Words bit_xor(Words a, Words b) { return _mm512_xor_si512(a, b); }
  // Truth table of "mask ? yes : no".
  static Words select(Words mask, Words yes, Words no) {
    return _mm512_ternarylogic_epi32(mask, yes, no, 0xca);
  }
  static Counts zero_counts() { return _mm512_setzero_si512(); }
  static Counts count(Counts sum, Words v) {
    return _mm512_add_epi32(sum, _mm512_popcnt_epi32(v));
  }
  static Ints widen(Ints dot, Counts sums, Counts majorities) {
    return _mm512_add_epi32(
        dot, _mm512_sub_epi32(_mm512_slli_epi32(sums, 1), _mm512_slli_epi32(majorities, 2)));
  }
  static void keep(Words& v) { asm volatile("" : "+v"(v)); }

  static Ints load_ints(const int32_t* p) { return _mm512_loadu_si512(p); }
  static void store_ints(int32_t* p, Ints v) { _mm512_storeu_si512(p, v); }
  static Ints splat_int(int32_t v) { return _mm512_set1_epi32(v); }
  static Ints sub_int(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
  static Ints min_int(Ints a, Ints b) { return _mm512_min_epi32(a, b); }
  static Ints max_int(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
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
  // To nearest, halves away from zero, like std::round.
  static Ints round(Floats v) {
    const Floats whole = _mm512_roundscale_ps(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const Floats rest = _mm512_sub_ps(v, whole);
    const __mmask16 up = _mm512_cmp_ps_mask(rest, splat_float(0.5f), _CMP_GE_OQ);
    const __mmask16 down = _mm512_cmp_ps_mask(rest, splat_float(-0.5f), _CMP_LE_OQ);
    Ints result = _mm512_cvttps_epi32(whole);
    result = _mm512_mask_add_epi32(result, up, result, splat_int(1));
    return _mm512_mask_sub_epi32(result, down, result, splat_int(1));
  }
  static void store_int8(int8_t* p, Ints v, int n) {
    _mm512_mask_cvtepi32_storeu_epi8(p, first_lanes(n), v);
  }
};

}  // namespace

extern const Kernels kAvx512Kernels = make_kernels<Avx512>("avx512");

}  // namespace larq_dense
