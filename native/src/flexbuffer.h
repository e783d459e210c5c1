// A reader for the one shape of FlexBuffer that LCE writes: a map from names to integers.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace larq_dense {

// Every access is checked against the buffer's bounds: the bytes come from a file that anyone may
// have written.
class FlexMap {
 public:
  // False where the bytes are not a FlexBuffer whose root is a map.
  bool parse(const void* buffer, size_t size);

  // False where the key is missing, is no integer, or does not fit an int32.
  bool get(const char* key, int32_t* value) const;

 private:
  bool read_unsigned(size_t position, size_t width, uint64_t* value) const;
  bool read_offset(size_t position, size_t width, size_t* target) const;
  bool key_equals(size_t position, const char* key) const;

  const uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
  size_t values_ = 0;       // position of the first value
  size_t value_width_ = 1;  // bytes of each value
  size_t keys_ = 0;         // position of the first key's offset
  size_t key_width_ = 1;
  size_t count_ = 0;
};

}  // namespace larq_dense
