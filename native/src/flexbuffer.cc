#include "flexbuffer.h"

#include <string.h>

namespace larq_dense {
namespace {

// FlexBuffer type codes; the low two bits of a packed type hold the logarithm of the width.
enum { kInt = 1, kUint = 2, kIndirectInt = 6, kIndirectUint = 7, kMap = 9, kBool = 26 };

bool is_width(size_t width) { return width == 1 || width == 2 || width == 4 || width == 8; }

int64_t sign_extend(uint64_t value, size_t width) {
  switch (width) {
    case 1:
      return static_cast<int8_t>(value);
    case 2:
      return static_cast<int16_t>(value);
    case 4:
      return static_cast<int32_t>(value);
    default:
      return static_cast<int64_t>(value);
  }
}

}  // namespace

bool FlexMap::read_unsigned(size_t position, size_t width, uint64_t* value) const {
  if (!is_width(width) || position > size_ || size_ - position < width) return false;
  uint64_t result = 0;
  memcpy(&result, bytes_ + position, width);  // FlexBuffers and all targets are little-endian
  *value = result;
  return true;
}

bool FlexMap::read_offset(size_t position, size_t width, size_t* target) const {
  uint64_t distance;
  if (!read_unsigned(position, width, &distance) || distance > position) return false;
  *target = position - static_cast<size_t>(distance);
  return true;
}

bool FlexMap::key_equals(size_t position, const char* key) const {
  const size_t length = strlen(key) + 1;  // with the closing zero
  return position <= size_ && size_ - position >= length &&
         memcmp(bytes_ + position, key, length) == 0;
}

bool FlexMap::parse(const void* buffer, size_t size) {
  bytes_ = static_cast<const uint8_t*>(buffer);
  size_ = size;
  count_ = 0;
  if (buffer == nullptr || size < 3) return false;
  const size_t root_width = bytes_[size - 1];
  const uint8_t root_type = bytes_[size - 2];
  if (!is_width(root_width) || (root_type >> 2) != kMap || size - 2 < root_width) return false;
  value_width_ = size_t{1} << (root_type & 3);
  if (!read_offset(size - 2 - root_width, root_width, &values_)) return false;

  // Before the values lie the keys' offset, the keys' width and the number of entries.
  if (values_ < 3 * value_width_) return false;
  uint64_t key_width;
  uint64_t count;
  if (!read_offset(values_ - 3 * value_width_, value_width_, &keys_) ||
      !read_unsigned(values_ - 2 * value_width_, value_width_, &key_width) ||
      !read_unsigned(values_ - value_width_, value_width_, &count)) {
    return false;
  }
  key_width_ = static_cast<size_t>(key_width);
  if (key_width > 8 || !is_width(key_width_) || count > size) return false;
  // The values are followed by one type byte each.
  if (count * (value_width_ + 1) > size - values_ || count * key_width_ > size - keys_) {
    return false;
  }
  count_ = static_cast<size_t>(count);
  return true;
}

bool FlexMap::get(const char* key, int32_t* value) const {
  for (size_t i = 0; i < count_; ++i) {
    size_t name;
    if (!read_offset(keys_ + i * key_width_, key_width_, &name)) return false;
    if (!key_equals(name, key)) continue;

    const uint8_t packed = bytes_[values_ + count_ * value_width_ + i];
    const int type = packed >> 2;
    size_t position = values_ + i * value_width_;
    size_t width = value_width_;
    if (type == kIndirectInt || type == kIndirectUint) {
      if (!read_offset(position, width, &position)) return false;
      width = size_t{1} << (packed & 3);
    } else if (type != kInt && type != kUint && type != kBool) {
      return false;
    }
    uint64_t bits;
    if (!read_unsigned(position, width, &bits)) return false;
    if (type == kInt || type == kIndirectInt) {
      const int64_t number = sign_extend(bits, width);
      if (number < INT32_MIN || number > INT32_MAX) return false;
      *value = static_cast<int32_t>(number);
    } else {
      if (bits > INT32_MAX) return false;
      *value = static_cast<int32_t>(bits);
    }
    return true;
  }
  return false;
}

}  // namespace larq_dense
