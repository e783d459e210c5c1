// AVX2 with AVX-VNNI (Alder Lake and later, Zen 5): sums of bytes in one instruction.
#include "isa_avx2.h"

namespace larq_dense {
namespace {

struct AvxVnni : Avx2Base {
  static Ints add_dots(Ints sum, Quads x, Quads w) { return _mm256_dpbusd_avx_epi32(sum, x, w); }
};

}  // namespace

extern const Kernels kAvxVnniKernels = make_kernels<AvxVnni>("avxvnni");

}  // namespace larq_dense
