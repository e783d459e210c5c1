// What one instruction set's microkernels look like to the rest of the runtime.
//
// Words: LCE packs 32 channels into a 32-bit word, bit 1 for a negative value. A kernel holds one
// output channel in each 32-bit lane and broadcasts the input word, so no horizontal sum is needed.
//
// Triples: for three input words x and weight words w with a = x0^w0, b = x1^w1, c = x2^w2,
//   popcount(a) + popcount(b) + popcount(c) = popcount(a^b^c) + 2 popcount(majority(a, b, c)),
// and with p = a^b, s = ~(a^b^c) the majority is "p ? s : a". All of a, p, s are linear in x and w,
// so each costs one xor where x0, x0^x1, x0^x1^x2 and the same of w (the last complemented) are
// stored instead of the words: 8 vector instructions for three words in place of 9.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "features.h"

namespace larq_dense {

// Prepared words of the columns of a row.
struct Columns {
  const uint32_t* x;  // the first pixel's window: `taps` columns
  ptrdiff_t pixel;    // words from one output pixel's window to the next
  ptrdiff_t tap;      // words from one column of the window to the next
  int count;          // in each column
};

// A run of output pixels of one row, for one block of output channels.
//
// Dot products are counted in halves, dot = 2 half + odd with
// half = offset + popcounts(s) - 2 popcounts(majority): that is an instruction less.
struct ConvTile {
  Columns triples;     // the first words; the others of each lie `plane` and 2 `plane` words on
  ptrdiff_t plane;
  Columns singles;     // words left over
  const uint32_t* w;   // prepared weights: taps x (3 * triples + singles) x block
  int taps;
  const int32_t* offset;  // for each channel
  bool odd;
  int pixels;
  int channels;        // of the block that exist; the rest is padding and is not stored
};

// At most this many bit tensors are written in the pass that computes a float tensor.
constexpr int kMaxBitOutputs = 4;

// A second operand of a convolution's result, element by element.
template <class T>
struct Other {
  const T* data;
  ptrdiff_t pixel;
  bool multiplies;  // otherwise it is added; floats only
};
constexpr int kMaxOthers = 3;

// y = after(before(clamp(dot) * multiplier + bias) op others), and the bits of y < limit.
//
// An int8 y is saturate(round(clamp(dot) * multiplier + bias)), the arithmetic of LCE if `dot` is
// short by the number of inputs; each sum is saturated again.
template <class T>
struct ConvOutput {
  T* out;  // null where only bits are wanted
  ptrdiff_t out_pixel;
  const float* multiplier;
  const float* bias;
  bool clamped_below, clamped_above;  // false: the clamp leaves every possible dot product alone
  int32_t clamp_min;
  int32_t clamp_max;
  bool fits_int;       // of int8: what is rounded is an int32 for certain
  bool has_ties;       // of int8: what is rounded may lie between two integers
  int32_t zero_point;  // of int8, the others' as well
  bool post;  // false: nothing of what follows is wanted
  bool clamped_before, clamped_after;  // false: those limits are infinite
  T before_min, before_max;
  int others;
  Other<T> other[kMaxOthers];
  T after_min, after_max;
  int bit_outputs;
  uint8_t* bits[kMaxBitOutputs];
  ptrdiff_t bits_pixel[kMaxBitOutputs];  // bytes
  const T* limit[kMaxBitOutputs];
};
using FloatOutput = ConvOutput<float>;
using Int8Output = ConvOutput<int8_t>;

constexpr int kFewChannels = 4;
constexpr int kFewWords = 16;

// The sign bit is half < limit.
struct BitOutput {
  uint8_t* out;
  ptrdiff_t out_pixel;  // bytes
  const int32_t* limit;
};

// A run of output pixels of one row, for one block of output channels, of an ordinary convolution of
// bytes. A sum is the offset and 4 times that of bytes times quarters of weights, two products of
// which fit 16 bits. Each row of a pixel's window is one run of bytes, taken in groups of
// `Kernels::group`; what the last group has too much meets weights of 0.
struct ByteTile {
  const uint8_t* x;  // the first pixel's window; the bytes are int8 plus `Kernels::byte_offset`
  ptrdiff_t pixel;   // bytes from one output pixel's window to the next
  ptrdiff_t row;     // bytes from one row of the window to the next
  int rows;
  int groups;        // in a row of the window
  const int8_t* w;   // quarters: rows x groups x block x group
  const int32_t* offset;  // for each channel
  int pixels;
  int channels;      // of the block that exist
};

// The same of a depthwise convolution of int8s, whose quarter sums over a window fit 16 bits.
struct DepthTile {
  const int8_t* x;   // the first pixel's window, from the block's first channel on
  ptrdiff_t pixel;   // bytes from one output pixel's window to the next
  ptrdiff_t row;     // from one row of the window to the next
  ptrdiff_t tap;     // from one column of the window to the next
  int rows, taps;
  const int16_t* w;  // rows x taps x block
  const int32_t* offset;  // for each channel
  int pixels;
  int channels;      // of the block that exist; as many bytes as the block has are read
};

// How an operand lies against rows of channels.
enum class Broadcast { kNone, kChannels, kRows, kScalar };
enum class Combination { kAdd, kMultiply, kFirst, kRound };

// out = clamp(x op (operand * scale)), for rows of channels. kFirst is x, kRound is x rounded to the
// nearest integer, halves to the even one.
//
// An int8 sum is x + operand - zero point, and an int8 product is one with a mask: x where the
// operand is not 0, else the zero point. Neither has a scale, and nothing of int8 is rounded.
template <class T>
struct Combine {
  Combination op;
  const T* x;
  const T* operand;
  Broadcast broadcast;
  const float* scale;  // one for each channel, or null
  T low, high;
  int32_t zero_point;
  T* out;  // may be x
  size_t rows, channels;
};

// What enlarge_int8 reads and writes beyond each of the two rows of int8 in its workspace.
constexpr size_t kEnlargeSlack = 8;

struct Kernels {
  const char* name;
  int block;   // output channels of a block, a multiple of 8
  int pixels;  // that one inner loop handles at most
  void (*conv_float)(const ConvTile&, const FloatOutput&);
  void (*conv_bits)(const ConvTile&, const BitOutput&);
  void (*conv_int8)(const ConvTile&, const Int8Output&);
  // As conv_bits, for at most `kFewChannels` whose weights lie one after the other, not in lanes:
  // for each the three planes of a window's words, kept in multiples of `kFewWords`. As many words
  // of the window are read. Nothing is left over and there is one tap.
  void (*conv_few)(const ConvTile&, const BitOutput&);
  int few_triples;  // in a window that conv_few can do
  // Null where the interpreter's own convolutions are as good.
  void (*conv_bytes)(const ByteTile&, const Int8Output&);
  void (*conv_depth)(const DepthTile&, const Int8Output&);
  int group;        // bytes of a window whose weights of one channel lie side by side: 4 or 8
  int byte_offset;  // what to_bytes adds: 128, or 0 where bytes are multiplied with their sign
  // Prepares triples of a word of each of three rows, of which a null one is all zeros: the words of
  // each plane lie side by side.
  void (*prepare_triples)(const uint32_t* a, const uint32_t* b, const uint32_t* c, size_t count,
                          uint32_t* out, size_t plane);
  // int8s plus `byte_offset`.
  void (*to_bytes)(const int8_t* x, size_t count, uint8_t* out);
  // Packs `count` floats into words: bit i is x[i] < limit[i], or x[i] < 0 where limit is null.
  void (*quantize_float)(const float* x, const float* limit, size_t count, uint32_t* bits);
  void (*quantize_int8)(const int8_t* x, int zero_point, size_t count, uint32_t* bits);
  void (*quantize_int8_by)(const int8_t* x, const int8_t* limit, size_t count, uint32_t* bits);
  void (*combine)(const Combine<float>&);
  void (*combine_int8)(const Combine<int8_t>&);
  // Adds rows of channels to sums of each channel.
  void (*sum_int8)(const int8_t* x, size_t rows, size_t channels, int32_t* sums);
  // A row of a picture twice as large: 3 parts of the row at its place and one of the next to it,
  // and so for the columns, rounded once, halves away from 0. The workspace holds a row of int16
  // with two more pixels, and two of int8.
  void (*enlarge_int8)(const int8_t* row, const int8_t* next, size_t width, size_t channels,
                       int8_t* out, void* workspace);
  // Runs xor, popcount, add on registers only; returns the sum so that nothing is optimized away.
  uint32_t (*limit_loop)(uint64_t iterations);
  uint64_t limit_macs;  // binary multiply-adds of one iteration of limit_loop
};

// The i-th kernels of this build that a processor with these features can run, best first; null
// after the last.
const Kernels* kernels_for(Features features, int i);

// The same of this processor.
const Kernels* usable_kernels(int i);

// The best of them or, where `name` is not empty, those that it names; null where it names none.
const Kernels* select_kernels(const char* name);

}  // namespace larq_dense
