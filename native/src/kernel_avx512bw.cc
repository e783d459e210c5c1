// AVX-512 with neither VPOPCNTDQ nor VNNI (Skylake-SP).
#include "isa_avx512bw.h"

namespace larq_dense {
namespace {

struct Avx512Bw : Avx512BwBase {
  // Two bytes times quarters of weights are at most 2 * 255 * 32, which fits 16 bits.
  static Ints add_dots(Ints sum, Quads x, Quads w) {
    const __m512i pairs = _mm512_maddubs_epi16(x, w);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
  }
};

}  // namespace

extern const Kernels kAvx512BwKernels = make_kernels<Avx512Bw>("avx512bw");

}  // namespace larq_dense
