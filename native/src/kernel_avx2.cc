// AVX2: 8 output channels in a register, popcount by two table look-ups for each byte.
#include <immintrin.h>

#include "kernel_body.h"

namespace larq_dense {
namespace {

struct Avx2 {
  static constexpr int kLanes = 8;
  static constexpr int kVectors = 2;
  static constexpr int kPixels = 3;
  static constexpr int kLimitChains = 4;
  static constexpr bool kHoldsWeights = false;
  static constexpr bool kByteCounts = true;
  // Half of the 16 registers would hold counts of majorities; here one count serves for both.
  static constexpr bool kOneCount = true;
  using Words = __m256i;
  using Counts = __m256i;  // a count in each byte
  using Ints = __m256i;
  using Floats = __m256;

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
  // Bit i: p[i] < limit, of 32 bytes.
  static uint32_t less_bytes(const int8_t* p, int limit) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return static_cast<uint32_t>(
        _mm256_movemask_epi8(_mm256_cmpgt_epi8(_mm256_set1_epi8(static_cast<char>(limit)), v)));
  }
  // The nearest int8.
  static void store_int8(int8_t* p, Ints v) { store_some_int8(p, v, kLanes); }
  static void store_some_int8(int8_t* p, Ints v, int n) {
    const __m128i pairs =
        _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const int64_t bytes = _mm_cvtsi128_si64(_mm_packs_epi16(pairs, pairs));
    memcpy(p, &bytes, static_cast<size_t>(n));
  }
};

}  // namespace

extern const Kernels kAvx2Kernels = make_kernels<Avx2>("avx2");

}  // namespace larq_dense
