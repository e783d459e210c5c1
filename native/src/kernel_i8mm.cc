// NEON with smmla (Cortex-A510, X2, Neoverse V1, Apple M2 and later): two pixels times two channels,
// eight bytes of each, in one instruction.
#include "isa_neon.h"

namespace larq_dense {
namespace {

struct I8mm : NeonBase {
  static constexpr int kBytePixels = 6;  // 24 of the 32 registers hold sums
  static constexpr int kGroup = 8;
  static constexpr bool kSumsBytes = true;

  template <int P, int C>
  LARQ_DENSE_INLINE static void sum_bytes(const ByteTile& tile, int first, Ints (&quarters)[P][C]) {
    // Each holds the sums of two channels of a pixel, and then those of the next pixel. Of an odd
    // number of pixels the last one is its own next.
    constexpr int pairs = (P + 1) / 2, couples = 2 * C;
    int32x4_t sums[pairs][couples];
    LARQ_DENSE_EACH(pairs, k)
      LARQ_DENSE_EACH(couples, c)
        sums[k][c] = vdupq_n_s32(0);
      LARQ_DENSE_END;
    LARQ_DENSE_END;
    // Copies, since memory is forgotten below.
    const ptrdiff_t pixel = tile.pixel;
    const int groups = tile.groups;
    const int8_t* row = reinterpret_cast<const int8_t*>(tile.x) + first * pixel;
    const int8_t* w = tile.w;
    for (int y = 0; y < tile.rows; ++y, row += tile.row) {
      const int8_t* x = row;
      for (int i = 0; i < groups; ++i, x += 8, w += 8 * kLanes * kVectors) {
        int8x16_t bytes[pairs];
        LARQ_DENSE_EACH(pairs, k)
          constexpr int at = 2 * decltype(k){}, next = at + 1 < P ? at + 1 : at;
          bytes[k] = vcombine_s8(vld1_s8(x + at * pixel), vld1_s8(x + next * pixel));
        LARQ_DENSE_END;
        LARQ_DENSE_EACH(couples, c)
          const int8x16_t weights = vld1q_s8(w + 16 * c);
          LARQ_DENSE_EACH(pairs, k)
            sums[k][c] = vmmlaq_s32(sums[k][c], bytes[k], weights);
          LARQ_DENSE_END;
          forget_memory();
        LARQ_DENSE_END;
      }
    }
    LARQ_DENSE_EACH(P, p)
      LARQ_DENSE_EACH(C, c)
        const int64x2_t low = vreinterpretq_s64_s32(sums[p / 2][2 * c]);
        const int64x2_t high = vreinterpretq_s64_s32(sums[p / 2][2 * c + 1]);
        quarters[p][c] =
            vreinterpretq_s32_s64(p % 2 == 0 ? vzip1q_s64(low, high) : vzip2q_s64(low, high));
      LARQ_DENSE_END;
    LARQ_DENSE_END;
  }
};

}  // namespace

extern const Kernels kI8mmKernels = make_kernels<I8mm>("i8mm");

}  // namespace larq_dense
