// AVX-512 with VPOPCNTDQ and VNNI (Ice Lake, Zen 4 and later): one instruction counts a word's bits.
#include "isa_avx512.h"

namespace larq_dense {
namespace {

struct Avx512 : Avx512Base {
  static constexpr int kPixels = 6;  // 24 of the 32 registers hold sums
  static constexpr int kLimitChains = 12;
  static constexpr bool kByteCounts = false;
  static constexpr bool kOneCount = false;
  static constexpr bool kSavesCarries = false;

  static Counts count(Counts sum, Words v) {
    // In place: GCC would copy the sum to another register, and then run out of them.
    asm("vpaddd %1, %0, %0" : "+v"(sum) : "v"(_mm512_popcnt_epi32(v)));
    return sum;
  }
  static Ints widen(Ints dot, Counts sums, Counts majorities) {
    return _mm512_sub_epi32(_mm512_add_epi32(dot, sums), _mm512_slli_epi32(majorities, 1));
  }
  static Ints add_dots(Ints sum, Quads x, Quads w) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));  // in place, as in `count`
    return sum;
  }
};

}  // namespace

extern const Kernels kAvx512Kernels = make_kernels<Avx512>("avx512");

}  // namespace larq_dense
