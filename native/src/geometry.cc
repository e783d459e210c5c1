#include "geometry.h"

#include "memory.h"

namespace larq_dense {

bool Shape::operator==(const Shape& other) const {
  if (rank != other.rank) return false;
  for (int i = 0; i < rank; ++i) {
    if (dims[i] != other.dims[i]) return false;
  }
  return true;
}

bool count_elements(const Shape& shape, size_t* count) {
  size_t product = 1;
  for (int i = 0; i < shape.rank; ++i) {
    if (shape.dims[i] < 0 ||
        !checked_mul(product, static_cast<size_t>(shape.dims[i]), &product)) {
      return false;
    }
  }
  *count = product;
  return true;
}

bool slide(const Window& window, bool same_padding, int32_t input, int32_t* output,
           int32_t* padding) {
  if (window.kernel <= 0 || window.stride <= 0 || window.dilation <= 0 || input <= 0) return false;
  const int64_t reach = (int64_t{window.kernel} - 1) * window.dilation + 1;
  const int64_t stride = window.stride;
  const int64_t size = same_padding ? (input + stride - 1) / stride
                                    : (input < reach ? 0 : (input - reach) / stride + 1);
  if (size <= 0) return false;
  int64_t before = 0;
  if (same_padding) {
    const int64_t total = (size - 1) * stride + reach - input;
    before = total > 0 ? total / 2 : 0;
  }
  if (before > INT32_MAX) return false;
  *output = static_cast<int32_t>(size);
  *padding = static_cast<int32_t>(before);
  return true;
}

}  // namespace larq_dense
