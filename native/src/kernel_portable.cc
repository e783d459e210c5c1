// Plain C++ for any 64-bit processor: two output channels in a 64-bit word, popcount by shifts.
#include "kernel_body.h"

namespace larq_dense {
namespace {

struct Portable {
  static constexpr int kLanes = 2;
  static constexpr int kVectors = 4;
  static constexpr int kPixels = 1;
  static constexpr int kLimitChains = 4;
  static constexpr bool kHoldsInputs = false;
  static constexpr bool kByteCounts = true;
  static constexpr bool kOneCount = false;
  static constexpr bool kSavesCarries = false;
  static constexpr bool kMasksBytes = false;
  static constexpr int kBytePixels = 1;
  static constexpr int kFewBytePixels = 4;
  static constexpr int kGroup = 4;
  static constexpr bool kSignedBytes = false;
  static constexpr bool kSumsBytes = false;
  using Words = uint64_t;
  using Counts = uint64_t;  // a count in each byte
  struct Ints {
    int32_t v[kLanes];
  };
  struct Floats {
    float v[kLanes];
  };
  using Quads = Ints;  // four bytes of each channel
  struct Shorts {      // all channels of a block
    int16_t v[kLanes * kVectors];
  };
  struct Bytes {  // all channels of a block
    int8_t v[kLanes * kVectors];
  };

  static Words load(const uint32_t* p) {
    Words v;
    memcpy(&v, p, sizeof v);
    return v;
  }
  static Words splat(const uint32_t* p) { return *p * uint64_t{0x100000001}; }
  static Words bit_xor(Words a, Words b) { return a ^ b; }
  static Words select(Words mask, Words yes, Words no) { return (mask & yes) | (~mask & no); }
  static Counts zero_counts() { return 0; }
  static Counts count(Counts sum, Words v) {
    v -= (v >> 1) & 0x5555555555555555u;
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    return sum + ((v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu);
  }
  static int32_t sum_bytes(uint32_t counts) {
    const uint32_t pairs = (counts & 0x00ff00ffu) + ((counts >> 8) & 0x00ff00ffu);
    return static_cast<int32_t>((pairs & 0xffffu) + (pairs >> 16));
  }
  static Ints widen(Ints dot, Counts sums, Counts majorities) {
    for (int i = 0; i < kLanes; ++i) {
      dot.v[i] += sum_bytes(static_cast<uint32_t>(sums >> (32 * i))) -
                  2 * sum_bytes(static_cast<uint32_t>(majorities >> (32 * i)));
    }
    return dot;
  }
  static void keep(Words& v) { asm volatile("" : "+r"(v)); }

  static Ints load_ints(const int32_t* p) { return {{p[0], p[1]}}; }
  static void store_ints(int32_t* p, Ints v) {
    p[0] = v.v[0];
    p[1] = v.v[1];
  }
  static Ints splat_int(int32_t v) { return {{v, v}}; }
  static Ints add_int(Ints a, Ints b) { return {{a.v[0] + b.v[0], a.v[1] + b.v[1]}}; }
  static int32_t min_of(int32_t a, int32_t b) { return a < b ? a : b; }
  static int32_t max_of(int32_t a, int32_t b) { return a > b ? a : b; }
  static Ints min_int(Ints a, Ints b) { return {{min_of(a.v[0], b.v[0]), min_of(a.v[1], b.v[1])}}; }
  static Ints max_int(Ints a, Ints b) { return {{max_of(a.v[0], b.v[0]), max_of(a.v[1], b.v[1])}}; }
  static int32_t sum_lanes(Ints v) { return v.v[0] + v.v[1]; }
  static unsigned less_int(Ints a, Ints b) {
    return static_cast<unsigned>(a.v[0] < b.v[0]) | static_cast<unsigned>(a.v[1] < b.v[1]) << 1;
  }

  static Floats load_floats(const float* p) { return {{p[0], p[1]}}; }
  static Floats load_some_floats(const float* p, int n) {
    return {{n > 0 ? p[0] : 0.0f, n > 1 ? p[1] : 0.0f}};
  }
  static void store_floats(float* p, Floats v) {
    p[0] = v.v[0];
    p[1] = v.v[1];
  }
  static void store_some_floats(float* p, Floats v, int n) {
    for (int i = 0; i < n; ++i) p[i] = v.v[i];
  }
  static Floats splat_float(float v) { return {{v, v}}; }
  static Floats to_floats(Ints v) {
    return {{static_cast<float>(v.v[0]), static_cast<float>(v.v[1])}};
  }
  static Floats add(Floats a, Floats b) { return {{a.v[0] + b.v[0], a.v[1] + b.v[1]}}; }
  static Floats mul(Floats a, Floats b) { return {{a.v[0] * b.v[0], a.v[1] * b.v[1]}}; }
  // The second operand where one is not a number, as the x86 instructions do.
  static float least(float a, float b) { return a < b ? a : b; }
  static float most(float a, float b) { return a > b ? a : b; }
  static Floats min(Floats a, Floats b) { return {{least(a.v[0], b.v[0]), least(a.v[1], b.v[1])}}; }
  static Floats max(Floats a, Floats b) { return {{most(a.v[0], b.v[0]), most(a.v[1], b.v[1])}}; }
  static unsigned less(Floats a, Floats b) {
    return static_cast<unsigned>(a.v[0] < b.v[0]) | static_cast<unsigned>(a.v[1] < b.v[1]) << 1;
  }
  // From 2^23 on every float is whole; below, an add of 2^23 rounds the fraction away.
  static float round_even_one(float v) {
    const float whole = 8388608.0f;
    const bool negative = __builtin_signbit(v);  // of -0, too
    const float size = negative ? -v : v;
    if (!(size < whole)) return v;
    const float rounded = (size + whole) - whole;
    return negative ? -rounded : rounded;
  }
  static Floats round_even(Floats v) {
    return {{round_even_one(v.v[0]), round_even_one(v.v[1])}};
  }
  // To nearest, halves away from zero, like std::round.
  static int32_t round_one(float v) {
    const int32_t whole = static_cast<int32_t>(v);
    const float rest = v - static_cast<float>(whole);
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
  }
  static Ints round(Floats v) { return {{round_one(v.v[0]), round_one(v.v[1])}}; }
  static Ints round_off_ties(Floats v) { return round(v); }

  static Quads load_quads(const int8_t* p) {
    Quads quads;
    memcpy(quads.v, p, sizeof quads.v);
    return quads;
  }
  static int32_t dot(uint32_t bytes, uint32_t weights) {
    int32_t sum = 0;
    for (int i = 0; i < 32; i += 8) {
      sum += static_cast<uint8_t>(bytes >> i) * static_cast<int8_t>(weights >> i);
    }
    return sum;
  }
  static Ints add_dots(Ints sum, Quads x, Quads w) {
    for (int i = 0; i < kLanes; ++i) {
      sum.v[i] += dot(static_cast<uint32_t>(x.v[i]), static_cast<uint32_t>(w.v[i]));
    }
    return sum;
  }
  static Ints four_times(Ints v) { return {{v.v[0] * 4, v.v[1] * 4}}; }

  static Shorts zero_shorts() { return {}; }
  static Shorts load_shorts(const int16_t* p) {
    Shorts shorts;
    memcpy(shorts.v, p, sizeof shorts.v);
    return shorts;
  }
  static Shorts widen_bytes(const int8_t* p) {
    Shorts shorts;
    for (int i = 0; i < kLanes * kVectors; ++i) shorts.v[i] = p[i];
    return shorts;
  }
  static Shorts add_products(Shorts sum, Shorts x, Shorts w) {
    for (int i = 0; i < kLanes * kVectors; ++i) {
      sum.v[i] = static_cast<int16_t>(sum.v[i] + x.v[i] * w.v[i]);
    }
    return sum;
  }
  template <int kVector>
  static Ints widen_shorts(Shorts v) {
    return {{v.v[kLanes * kVector], v.v[kLanes * kVector + 1]}};
  }

  static int8_t to_int8(int32_t v) { return static_cast<int8_t>(min_of(max_of(v, -128), 127)); }
  static Bytes saturate(const Ints (&v)[kVectors]) {
    return each([&](int i) { return v[i / kLanes].v[i % kLanes]; });
  }
  // function(lane), saturated.
  template <class Function>
  static Bytes each(const Function& function) {
    Bytes bytes;
    for (int i = 0; i < kLanes * kVectors; ++i) bytes.v[i] = to_int8(function(i));
    return bytes;
  }
  static Bytes load_bytes(const int8_t* p) {
    return each([&](int i) { return p[i]; });
  }
  static void store_bytes(int8_t* p, Bytes v) { memcpy(p, v.v, sizeof v.v); }
  static Bytes splat_byte(int8_t v) {
    return each([&](int) { return v; });
  }
  static Bytes min_bytes(Bytes a, Bytes b) {
    return each([&](int i) { return min_of(a.v[i], b.v[i]); });
  }
  static Bytes max_bytes(Bytes a, Bytes b) {
    return each([&](int i) { return max_of(a.v[i], b.v[i]); });
  }
  // saturate(a + b - zero)
  static Bytes add_bytes(Bytes a, Bytes b, Bytes zero) {
    return each([&](int i) { return a.v[i] + b.v[i] - zero.v[i]; });
  }
  static Bytes where_not_zero(Bytes mask, Bytes x, Bytes other) {
    return each([&](int i) { return mask.v[i] != 0 ? x.v[i] : other.v[i]; });
  }
  static unsigned less_bytes(Bytes a, Bytes b) {
    unsigned bits = 0;
    for (int i = 0; i < kLanes * kVectors; ++i) {
      bits |= static_cast<unsigned>(a.v[i] < b.v[i]) << i;
    }
    return bits;
  }
};

}  // namespace

extern const Kernels kPortableKernels = make_kernels<Portable>("portable");

}  // namespace larq_dense
