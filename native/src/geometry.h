// Shapes, and the arithmetic of windows that slide over pictures.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace larq_dense {

constexpr int kMaxDimensions = 6;

struct Shape {
  int rank = 0;
  int32_t dims[kMaxDimensions] = {};

  bool operator==(const Shape& other) const;
  int32_t last() const { return rank > 0 ? dims[rank - 1] : 1; }
};

// The number of elements; false where a dimension is negative or the product overflows.
bool count_elements(const Shape& shape, size_t* count);

inline bool is_twice(int32_t large, int32_t small) { return large % 2 == 0 && large / 2 == small; }

inline int32_t words_for(int32_t channels) { return channels / 32 + (channels % 32 != 0); }

// From `first` up to, but without, `end`.
struct Range {
  int64_t first, end;
};

struct Window {
  int32_t kernel = 1;
  int32_t stride = 1;
  int32_t dilation = 1;
};

// The output size and the padding before the first element, as TensorFlow defines SAME and VALID.
// False where the window is malformed or nothing is left.
bool slide(const Window& window, bool same_padding, int32_t input, int32_t* output,
           int32_t* padding);

}  // namespace larq_dense
