// NEON on 64-bit Arm, and what is built upon it: 4 output channels in a register, popcount by bytes.
#pragma once

#include <arm_neon.h>

#include "kernel_body.h"

namespace larq_dense {
namespace {

struct NeonBase {
  static constexpr int kLanes = 4;
  static constexpr int kVectors = 4;
  static constexpr int kPixels = 2;  // 16 of the 32 registers hold counts, 6 the inputs
  static constexpr int kLimitChains = 8;
  // A broadcast load is no operand of another instruction here and takes a vector pipe, so each is
  // made once, and for many channels.
  static constexpr bool kHoldsInputs = true;
  static constexpr bool kByteCounts = true;
  static constexpr bool kOneCount = false;
  static constexpr bool kSavesCarries = false;
  static constexpr bool kMasksBytes = false;
  static constexpr int kBytePixels = 4;
  static constexpr int kFewBytePixels = 8;
  static constexpr bool kSignedBytes = true;
  using Words = uint32x4_t;
  using Counts = uint8x16_t;  // a count in each byte
  using Ints = int32x4_t;
  using Floats = float32x4_t;
  using Bytes = int8x16_t;     // all channels of a block
  using Shorts = int16x8x2_t;  // all channels of a block

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
  // The second operand where one is not a number, as the x86 instructions do.
  static Floats min(Floats a, Floats b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  static Floats max(Floats a, Floats b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
  static unsigned less(Floats a, Floats b) { return lane_bits(vcltq_f32(a, b)); }
  static Floats round_even(Floats v) { return vrndnq_f32(v); }
  // To nearest, halves away from zero, like std::round.
  static Ints round(Floats v) { return vcvtaq_s32_f32(v); }
  static Ints round_off_ties(Floats v) { return round(v); }

  static Ints four_times(Ints v) { return vshlq_n_s32(v, 2); }
  static Shorts zero_shorts() { return {{vdupq_n_s16(0), vdupq_n_s16(0)}}; }
  static Shorts load_shorts(const int16_t* p) { return {{vld1q_s16(p), vld1q_s16(p + 8)}}; }
  static Shorts widen_bytes(const int8_t* p) {
    const int8x16_t v = vld1q_s8(p);
    return {{vmovl_s8(vget_low_s8(v)), vmovl_high_s8(v)}};
  }
  static Shorts add_products(Shorts sum, Shorts x, Shorts w) {
    return {{vmlaq_s16(sum.val[0], x.val[0], w.val[0]),
             vmlaq_s16(sum.val[1], x.val[1], w.val[1])}};
  }
  // A quarter of the channels.
  template <int kQuarter>
  static Ints widen_shorts(Shorts v) {
    const int16x8_t half = v.val[kQuarter / 2];
    return kQuarter % 2 == 0 ? vmovl_s16(vget_low_s16(half)) : vmovl_high_s16(half);
  }

  static Bytes saturate(const Ints (&v)[kVectors]) {
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(v[0]), v[1]);
    const int16x8_t high = vqmovn_high_s32(vqmovn_s32(v[2]), v[3]);
    return vqmovn_high_s16(vqmovn_s16(low), high);
  }
  static Bytes load_bytes(const int8_t* p) { return vld1q_s8(p); }
  static void store_bytes(int8_t* p, Bytes v) { vst1q_s8(p, v); }
  static Bytes splat_byte(int8_t v) { return vdupq_n_s8(v); }
  static Bytes min_bytes(Bytes a, Bytes b) { return vminq_s8(a, b); }
  static Bytes max_bytes(Bytes a, Bytes b) { return vmaxq_s8(a, b); }
  // saturate(a + b - zero)
  static Bytes add_bytes(Bytes a, Bytes b, Bytes zero) {
    const int16x8_t low = vsubl_s8(vget_low_s8(b), vget_low_s8(zero));
    const int16x8_t high = vsubl_high_s8(b, zero);
    return vqmovn_high_s16(vqmovn_s16(vaddw_s8(low, vget_low_s8(a))), vaddw_high_s8(high, a));
  }
  static Bytes where_not_zero(Bytes mask, Bytes x, Bytes other) {
    return vbslq_s8(vtstq_s8(mask, mask), x, other);
  }
  static unsigned less_bytes(Bytes a, Bytes b) {
    const uint8x16_t bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t bits = vandq_u8(vcltq_s8(a, b), bit);
    return vaddv_u8(vget_low_u8(bits)) | unsigned{vaddv_u8(vget_high_u8(bits))} << 8;
  }
};

}  // namespace
}  // namespace larq_dense
