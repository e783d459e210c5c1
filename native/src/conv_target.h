// What happens to the result of a convolution of any kind, and where it goes.
#pragma once

#include <string.h>

#include "geometry.h"
#include "kernels.h"

namespace larq_dense {

// A limit as one of the elements; an int8 saturates before an infinite one.
template <class T>
T limit_of(float value) {
  if constexpr (sizeof(T) == 1) {
    return static_cast<T>(value < -128.0f ? -128.0f : (value > 127.0f ? 127.0f : value));
  } else {
    return value;
  }
}

// Whether a clamp leaves everything alone.
inline bool is_open(float low, float high) {
  return low == -__builtin_inff() && high == __builtin_inff();
}

// How a second operand of the result lies.
enum class OtherLayout {
  kPlain,    // as the convolution's result, before a depth to space
  kSplit,    // as what comes out of the depth to space
  kNearest,  // that at 1 / block of its size: each pixel is a square of them
};

// What happens to a float or int8 output before it is stored, and where it goes.
struct ConvTarget {
  void* out = nullptr;     // null where only bits are wanted
  int depth_to_space = 1;  // the block size; 1 leaves the picture as it is
  bool post = false;
  float before_min = 0, before_max = 0;
  int others = 0;
  struct {
    const void* data;  // of the output's type
    OtherLayout layout;
    bool multiplies;
  } other[kMaxOthers] = {};
  float after_min = 0, after_max = 0;
  int bit_outputs = 0;
  uint32_t* bits[kMaxBitOutputs] = {};
  int32_t bit_words[kMaxBitOutputs] = {};  // from one pixel to the next
  const void* limit[kMaxBitOutputs] = {};  // of its type, too, padded to whole blocks
};

// The kernels write whole bytes only; the rest of a pixel's last word must be zero.
inline void clear_padding(void* bits, int64_t row, int64_t width, int32_t channels) {
  if (channels % 32 == 0) return;
  const int64_t words = width * words_for(channels);
  memset(static_cast<uint32_t*>(bits) + row * words, 0, static_cast<size_t>(words) * 4);
}

// Where some pixels of an output row lie, for one block of their channels.
struct Place {
  int64_t row, width;
  int32_t channels;          // of all segments together
  int32_t segment_channels;  // of a run of channels that a depth to space keeps together
  int segment;
  int32_t first;             // pixel
  int64_t in_segment;        // the block's first channel
};

// Fills in where the kernel finds and leaves things; the factors are the convolution's own.
template <class T>
void aim(const ConvTarget& target, const Place& place, ConvOutput<T>* output) {
  // A depth to space of block n keeps runs of n output pixels together: segment dy of the channels
  // goes to row n * y + dy, n pixels wide.
  const int64_t split = target.depth_to_space;
  const int64_t channels = split == 1 ? place.channels : place.segment_channels;
  const int64_t in_all = int64_t{place.segment} * place.segment_channels + place.in_segment;
  const int64_t channel = split == 1 ? in_all : place.in_segment;
  const int64_t plain = place.row * place.width + place.first;
  const int64_t pixel =
      split == 1 ? plain : (place.row * split + place.segment) * place.width + place.first;
  const int64_t start = pixel * channels + channel;

  output->out = target.out == nullptr ? nullptr : static_cast<T*>(target.out) + start;
  output->out_pixel = channels;
  output->post = target.post;
  output->clamped_before = !is_open(target.before_min, target.before_max);
  output->clamped_after = !is_open(target.after_min, target.after_max);
  output->before_min = limit_of<T>(target.before_min);
  output->before_max = limit_of<T>(target.before_max);
  output->after_min = limit_of<T>(target.after_min);
  output->after_max = limit_of<T>(target.after_max);
  output->others = target.others;
  for (int j = 0; j < target.others; ++j) {
    Other<T>& other = output->other[j];
    other.multiplies = target.other[j].multiplies;
    other.data = static_cast<const T*>(target.other[j].data);
    switch (target.other[j].layout) {
      case OtherLayout::kPlain:
        other.pixel = place.channels;
        other.data += plain * place.channels + in_all;
        break;
      case OtherLayout::kSplit:
        other.pixel = channels;
        other.data += start;
        break;
      case OtherLayout::kNearest:
        // A block of channels lies within one pixel of the run.
        other.pixel = channels / split;
        other.data += plain * other.pixel + place.in_segment % other.pixel;
        break;
    }
  }
  output->bit_outputs = target.bit_outputs;
  for (int j = 0; j < target.bit_outputs; ++j) {
    const int64_t bytes = split * target.bit_words[j] * 4;
    output->bits[j] = reinterpret_cast<uint8_t*>(target.bits[j]) + pixel * bytes + channel / 8;
    output->bits_pixel[j] = bytes;
    output->limit[j] = static_cast<const T*>(target.limit[j]) + channel;
  }
}

}  // namespace larq_dense
