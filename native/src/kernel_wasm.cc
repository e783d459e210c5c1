// WebAssembly's SIMD: 4 output channels in a register, popcount by bytes.
#include <wasm_simd128.h>

#include "kernel_body.h"

namespace larq_dense {
namespace {

struct Wasm {
  static constexpr int kLanes = 4;
  static constexpr int kVectors = 4;
  static constexpr int kPixels = 2;
  static constexpr int kLimitChains = 8;
  static constexpr bool kHoldsInputs = true;
  static constexpr bool kByteCounts = true;
  static constexpr bool kOneCount = false;
  static constexpr bool kSavesCarries = false;
  static constexpr bool kMasksBytes = false;
  static constexpr int kBytePixels = 2;
  static constexpr int kFewBytePixels = 4;
  static constexpr int kGroup = 4;
  static constexpr bool kSignedBytes = true;
  static constexpr bool kSumsBytes = false;
  using Words = v128_t;
  using Counts = v128_t;  // a count in each byte
  using Ints = v128_t;
  using Floats = v128_t;
  using Bytes = v128_t;  // all channels of a block
  using Quads = v128_t;  // four bytes of each channel
  struct Shorts {        // all channels of a block
    v128_t v[2];
  };

  static Words load(const uint32_t* p) { return wasm_v128_load(p); }
  static Words splat(const uint32_t* p) { return wasm_v128_load32_splat(p); }
  static Words splat_next(const uint32_t*& p) { return wasm_v128_load32_splat(p++); }
  static Words bit_xor(Words a, Words b) { return wasm_v128_xor(a, b); }
  static Words select(Words mask, Words yes, Words no) {
    return wasm_v128_bitselect(yes, no, mask);
  }
  static Counts zero_counts() { return wasm_i32x4_const_splat(0); }
  static Counts count(Counts sum, Words v) { return wasm_i8x16_add(sum, wasm_i8x16_popcnt(v)); }
  static Ints sum_bytes(Counts counts) {
    return wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(counts));
  }
  static Ints widen(Ints dot, Counts sums, Counts majorities) {
    const v128_t twice = wasm_i32x4_shl(sum_bytes(majorities), 1);
    return wasm_i32x4_sub(wasm_i32x4_add(dot, sum_bytes(sums)), twice);
  }
  static void keep(Words& v) { asm volatile("" : "+r"(v)); }

  static Ints load_ints(const int32_t* p) { return wasm_v128_load(p); }
  static void store_ints(int32_t* p, Ints v) { wasm_v128_store(p, v); }
  static Ints splat_int(int32_t v) { return wasm_i32x4_splat(v); }
  static Ints add_int(Ints a, Ints b) { return wasm_i32x4_add(a, b); }
  static Ints min_int(Ints a, Ints b) { return wasm_i32x4_min(a, b); }
  static Ints max_int(Ints a, Ints b) { return wasm_i32x4_max(a, b); }
  static int32_t sum_lanes(Ints v) {
    return wasm_i32x4_extract_lane(v, 0) + wasm_i32x4_extract_lane(v, 1) +
           wasm_i32x4_extract_lane(v, 2) + wasm_i32x4_extract_lane(v, 3);
  }
  static unsigned less_int(Ints a, Ints b) { return wasm_i32x4_bitmask(wasm_i32x4_lt(a, b)); }

  static Floats load_floats(const float* p) { return wasm_v128_load(p); }
  static Floats load_some_floats(const float* p, int n) {
    float lanes[kLanes] = {};
    memcpy(lanes, p, static_cast<size_t>(n) * sizeof(float));
    return wasm_v128_load(lanes);
  }
  static void store_floats(float* p, Floats v) { wasm_v128_store(p, v); }
  static void store_some_floats(float* p, Floats v, int n) {
    float lanes[kLanes];
    wasm_v128_store(lanes, v);
    memcpy(p, lanes, static_cast<size_t>(n) * sizeof(float));
  }
  static Floats splat_float(float v) { return wasm_f32x4_splat(v); }
  static Floats to_floats(Ints v) { return wasm_f32x4_convert_i32x4(v); }
  static Floats add(Floats a, Floats b) { return wasm_f32x4_add(a, b); }
  static Floats mul(Floats a, Floats b) { return wasm_f32x4_mul(a, b); }
  // The second operand where one is not a number, as the x86 instructions do.
  static Floats min(Floats a, Floats b) { return wasm_f32x4_pmin(b, a); }
  static Floats max(Floats a, Floats b) { return wasm_f32x4_pmax(b, a); }
  static unsigned less(Floats a, Floats b) { return wasm_i32x4_bitmask(wasm_f32x4_lt(a, b)); }
  static Floats round_even(Floats v) { return wasm_f32x4_nearest(v); }
  // To nearest, halves away from zero, like std::round: what follows 0.5 from below is added with
  // v's sign and the rest cut off.
  static Ints round(Floats v) {
    const v128_t sign = wasm_v128_and(v, wasm_i32x4_const_splat(INT32_MIN));
    const v128_t half = wasm_v128_or(sign, wasm_i32x4_const_splat(0x3effffff));
    return wasm_i32x4_trunc_sat_f32x4(wasm_f32x4_add(v, half));
  }
  static Ints round_off_ties(Floats v) { return round(v); }

  static Quads load_quads(const int8_t* p) { return wasm_v128_load(p); }
  // Two bytes times quarters of weights are at most 2 * 128 * 32, which fits 16 bits.
  static Ints add_dots(Ints sum, Quads x, Quads w) {
    const v128_t low = wasm_i16x8_extmul_low_i8x16(x, w);
    const v128_t high = wasm_i16x8_extmul_high_i8x16(x, w);
    const v128_t even = wasm_i16x8_shuffle(low, high, 0, 2, 4, 6, 8, 10, 12, 14);
    const v128_t odd = wasm_i16x8_shuffle(low, high, 1, 3, 5, 7, 9, 11, 13, 15);
    return wasm_i32x4_add(sum, wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_add(even, odd)));
  }
  static Ints four_times(Ints v) { return wasm_i32x4_shl(v, 2); }

  static Shorts zero_shorts() { return {{zero_counts(), zero_counts()}}; }
  static Shorts load_shorts(const int16_t* p) {
    return {{wasm_v128_load(p), wasm_v128_load(p + 8)}};
  }
  static Shorts widen_bytes(const int8_t* p) {
    return {{wasm_i16x8_load8x8(p), wasm_i16x8_load8x8(p + 8)}};
  }
  static Shorts add_products(Shorts sum, Shorts x, Shorts w) {
    return {{wasm_i16x8_add(sum.v[0], wasm_i16x8_mul(x.v[0], w.v[0])),
             wasm_i16x8_add(sum.v[1], wasm_i16x8_mul(x.v[1], w.v[1]))}};
  }
  // A quarter of the channels.
  template <int kQuarter>
  static Ints widen_shorts(Shorts v) {
    const v128_t half = v.v[kQuarter / 2];
    return kQuarter % 2 == 0 ? wasm_i32x4_extend_low_i16x8(half)
                             : wasm_i32x4_extend_high_i16x8(half);
  }

  static Bytes saturate(const Ints (&v)[kVectors]) {
    return wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(v[0], v[1]),
                                   wasm_i16x8_narrow_i32x4(v[2], v[3]));
  }
  static Bytes load_bytes(const int8_t* p) { return wasm_v128_load(p); }
  static void store_bytes(int8_t* p, Bytes v) { wasm_v128_store(p, v); }
  static Bytes splat_byte(int8_t v) { return wasm_i8x16_splat(v); }
  static Bytes min_bytes(Bytes a, Bytes b) { return wasm_i8x16_min(a, b); }
  static Bytes max_bytes(Bytes a, Bytes b) { return wasm_i8x16_max(a, b); }
  // saturate(a + b - zero): counted from -128, what b is above or below zero is a byte, too.
  static Bytes add_bytes(Bytes a, Bytes b, Bytes zero) {
    const Bytes least = splat_byte(-128);
    const Bytes from = wasm_v128_xor(zero, least), to = wasm_v128_xor(b, least);
    const Bytes sum = wasm_u8x16_add_sat(wasm_v128_xor(a, least), wasm_u8x16_sub_sat(to, from));
    return wasm_v128_xor(wasm_u8x16_sub_sat(sum, wasm_u8x16_sub_sat(from, to)), least);
  }
  static Bytes where_not_zero(Bytes mask, Bytes x, Bytes other) {
    return wasm_v128_bitselect(other, x, wasm_i8x16_eq(mask, zero_counts()));
  }
  static unsigned less_bytes(Bytes a, Bytes b) { return wasm_i8x16_bitmask(wasm_i8x16_lt(a, b)); }
};

}  // namespace

extern const Kernels kWasmKernels = make_kernels<Wasm>("wasm");

}  // namespace larq_dense
