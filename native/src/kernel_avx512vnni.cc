// AVX-512 with VNNI but without VPOPCNTDQ (Cascade Lake, Cooper Lake).
#include "isa_avx512bw.h"

namespace larq_dense {
namespace {

struct Avx512Vnni : Avx512BwBase {
  static Ints add_dots(Ints sum, Quads x, Quads w) { return _mm512_dpbusd_epi32(sum, x, w); }
};

}  // namespace

extern const Kernels kAvx512VnniKernels = make_kernels<Avx512Vnni>("avx512vnni");

}  // namespace larq_dense
