// NEON with sdot (Cortex-A55, A76 and later).
#include "isa_neon.h"

namespace larq_dense {
namespace {

struct DotProd : NeonBase {
  static constexpr int kGroup = 4;
  static constexpr bool kSumsBytes = true;

  // Four groups of a pixel fill a register, so that no group must be broadcast.
  template <int P, int C>
  LARQ_DENSE_INLINE static void sum_bytes(const ByteTile& tile, int first, Ints (&quarters)[P][C]) {
    constexpr int block = kLanes * kVectors;
    LARQ_DENSE_EACH(P, p)
      LARQ_DENSE_EACH(C, c)
        quarters[p][c] = vdupq_n_s32(0);
      LARQ_DENSE_END;
    LARQ_DENSE_END;
    const ptrdiff_t pixel = tile.pixel;
    const int8_t* row = reinterpret_cast<const int8_t*>(tile.x) + first * pixel;
    const int8_t* w = tile.w;
    for (int y = 0; y < tile.rows; ++y, row += tile.row) {
      const int8_t* x = row;
      int groups = tile.groups;
      for (; groups >= 4; groups -= 4, x += 16, w += 16 * block) {
        int8x16_t bytes[P];
        LARQ_DENSE_EACH(P, p)
          bytes[p] = vld1q_s8(x + p * pixel);
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(4, g)
          LARQ_DENSE_EACH(C, c)
            const int8x16_t weights = vld1q_s8(w + 4 * (g * block + c * kLanes));
            LARQ_DENSE_EACH(P, p)
              constexpr int lane = decltype(g){};
              quarters[p][c] = vdotq_laneq_s32(quarters[p][c], weights, bytes[p], lane);
            LARQ_DENSE_END;
          LARQ_DENSE_END;
        LARQ_DENSE_END;
      }
      for (; groups > 0; --groups, x += 4, w += 4 * block) {
        LARQ_DENSE_EACH(P, p)
          int32_t four;
          memcpy(&four, x + p * pixel, sizeof four);
          const int8x16_t bytes = vreinterpretq_s8_s32(vdupq_n_s32(four));
          LARQ_DENSE_EACH(C, c)
            const int8x16_t weights = vld1q_s8(w + 4 * c * kLanes);
            quarters[p][c] = vdotq_s32(quarters[p][c], weights, bytes);
          LARQ_DENSE_END;
        LARQ_DENSE_END;
      }
    }
  }
};

}  // namespace

extern const Kernels kDotProdKernels = make_kernels<DotProd>("dotprod");

}  // namespace larq_dense
