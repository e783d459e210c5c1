// AVX2 (Haswell, Zen and later).
#include "isa_avx2.h"

namespace larq_dense {
namespace {

struct Avx2 : Avx2Base {
  // Two bytes times quarters of weights are at most 2 * 255 * 32, which fits 16 bits.
  static Ints add_dots(Ints sum, Quads x, Quads w) {
    const __m256i pairs = _mm256_maddubs_epi16(x, w);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

}  // namespace

extern const Kernels kAvx2Kernels = make_kernels<Avx2>("avx2");

}  // namespace larq_dense
