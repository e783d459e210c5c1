// NEON on 64-bit Arm: 4 output channels in a register, popcount by bytes.
#include <arm_neon.h>

#include "kernel_body.h"

namespace larq_dense {
namespace {

struct Neon {
  static constexpr int kLanes = 4;
  static constexpr int kVectors = 2;
  static constexpr int kPixels = 3;
  static constexpr int kLimitChains = 8;
  // A broadcast load is no operand of another instruction here, so each is made once.
  static constexpr bool kHoldsWeights = true;
  static constexpr bool kByteCounts = true;
  static constexpr bool kOneCount = false;
  static constexpr bool kMasksBytes = false;
  static constexpr int kBytePixels = 0;
  using Words = uint32x4_t;
  using Counts = uint8x16_t;  // a count in each byte
  using Ints = int32x4_t;
  using Floats = float32x4_t;
  using Bytes = int8x8_t;  // all channels of a block

  static Words load(const uint32_t* p) { return vld1q_u32(p); }
  // Written out, since GCC makes a load and a copy of it, and the copy takes a vector pipe.
  static Words splat(const uint32_t* p) {
    Words v;
    asm("ld1r {%0.4s}, %1" : "=w"(v) : "Q"(*p));
    return v;
  }
  static Words splat_next(const uint32_t*& p) {
    Words v;
    asm("ld1r {%0.4s}, [%1], #4" : "=w"(v), "+r"(p) : "m"(*p));
    return v;
  }
  static Words bit_xor(Words a, Words b) { return veorq_u32(a, b); }
  static Words select(Words mask, Words yes, Words no) { return vbslq_u32(mask, yes, no); }
  static Counts zero_counts() { return vdupq_n_u8(0); }
  static Counts count(Counts sum, Words v) {
    return vaddq_u8(sum, vcntq_u8(vreinterpretq_u8_u32(v)));
  }
  static Ints sum_bytes(Counts counts) {
    return vreinterpretq_s32_u32(vpaddlq_u16(vpaddlq_u8(counts)));
  }
  static Ints widen(Ints dot, Counts sums, Counts majorities) {
    return vsubq_s32(vaddq_s32(dot, sum_bytes(sums)), vshlq_n_s32(sum_bytes(majorities), 1));
  }
  static void keep(Words& v) { asm volatile("" : "+w"(v)); }

  static Ints load_ints(const int32_t* p) { return vld1q_s32(p); }
  static void store_ints(int32_t* p, Ints v) { vst1q_s32(p, v); }
  static Ints splat_int(int32_t v) { return vdupq_n_s32(v); }
  static Ints add_int(Ints a, Ints b) { return vaddq_s32(a, b); }
  static Ints min_int(Ints a, Ints b) { return vminq_s32(a, b); }
  static Ints max_int(Ints a, Ints b) { return vmaxq_s32(a, b); }
  static unsigned lane_bits(uint32x4_t mask) {
    const uint32x4_t bit = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(mask, bit));
  }
  static int32_t sum_lanes(Ints v) { return vaddvq_s32(v); }
  static unsigned less_int(Ints a, Ints b) { return lane_bits(vcltq_s32(a, b)); }

  static Floats load_floats(const float* p) { return vld1q_f32(p); }
  static Floats load_some_floats(const float* p, int n) {
    float lanes[kLanes] = {};
    memcpy(lanes, p, static_cast<size_t>(n) * sizeof(float));
    return vld1q_f32(lanes);
  }
  static void store_floats(float* p, Floats v) { vst1q_f32(p, v); }
  static void store_some_floats(float* p, Floats v, int n) {
    float lanes[kLanes];
    vst1q_f32(lanes, v);
    memcpy(p, lanes, static_cast<size_t>(n) * sizeof(float));
  }
  static Floats splat_float(float v) { return vdupq_n_f32(v); }
  static Floats to_floats(Ints v) { return vcvtq_f32_s32(v); }
  static Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
  static Floats mul(Floats a, Floats b) { return vmulq_f32(a, b); }
  static Floats min(Floats a, Floats b) { return vminq_f32(a, b); }
  static Floats max(Floats a, Floats b) { return vmaxq_f32(a, b); }
  static unsigned less(Floats a, Floats b) { return lane_bits(vcltq_f32(a, b)); }
  static Floats round_even(Floats v) { return vrndnq_f32(v); }
  // To nearest, halves away from zero, like std::round.
  static Ints round(Floats v) { return vcvtaq_s32_f32(v); }
  static Ints round_off_ties(Floats v) { return round(v); }

  static Bytes saturate(const Ints (&v)[kVectors]) {
    return vqmovn_s16(vcombine_s16(vqmovn_s32(v[0]), vqmovn_s32(v[1])));
  }
  static Bytes load_bytes(const int8_t* p) { return vld1_s8(p); }
  static void store_bytes(int8_t* p, Bytes v) { vst1_s8(p, v); }
  static Bytes splat_byte(int8_t v) { return vdup_n_s8(v); }
  static Bytes min_bytes(Bytes a, Bytes b) { return vmin_s8(a, b); }
  static Bytes max_bytes(Bytes a, Bytes b) { return vmax_s8(a, b); }
  // saturate(a + b - zero)
  static Bytes add_bytes(Bytes a, Bytes b, Bytes zero) {
    return vqmovn_s16(vaddw_s8(vsubl_s8(b, zero), a));
  }
  static Bytes where_not_zero(Bytes mask, Bytes x, Bytes other) {
    return vbsl_s8(vtst_s8(mask, mask), x, other);
  }
  static unsigned less_bytes(Bytes a, Bytes b) {
    const uint8x8_t bit = {1, 2, 4, 8, 16, 32, 64, 128};
    return vaddv_u8(vand_u8(vclt_s8(a, b), bit));
  }
};

}  // namespace

extern const Kernels kNeonKernels = make_kernels<Neon>("neon");

}  // namespace larq_dense
