// NEON alone (Cortex-A53, A57, A72): products of bytes are 16 bits wide.
#include "isa_neon.h"

namespace larq_dense {
namespace {

struct Neon : NeonBase {
  static constexpr int kGroup = 4;
  static constexpr bool kSumsBytes = false;
  using Quads = Ints;  // four bytes of each channel

  static Quads load_quads(const int8_t* p) { return vreinterpretq_s32_s8(vld1q_s8(p)); }
  // Two bytes times quarters of weights are at most 2 * 128 * 32, which fits 16 bits.
  static Ints add_dots(Ints sum, Quads x, Quads w) {
    const int8x16_t a = vreinterpretq_s8_s32(x), b = vreinterpretq_s8_s32(w);
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(a, b)));
  }
};

}  // namespace

extern const Kernels kNeonKernels = make_kernels<Neon>("neon");

}  // namespace larq_dense
