// A reader of FlatBuffers for bytes that nobody vouches for: every access is checked against their
// bounds, and what points outside them reads as if it were left out and marks the file as damaged.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace larq_dense {

struct FlatBytes {
  const uint8_t* data = nullptr;
  size_t size = 0;
  bool damaged = false;

  bool holds(size_t position, size_t bytes) {
    if (position <= size && size - position >= bytes) return true;
    damaged = true;
    return false;
  }
  // A number; FlatBuffers and all targets are little-endian.
  template <class T>
  T read(size_t position) {
    T value = 0;
    if (holds(position, sizeof value)) memcpy(&value, data + position, sizeof value);
    return value;
  }
};

// Items side by side; none where the field is left out.
struct FlatVector {
  size_t first = 0;
  size_t count = 0;
};

class FlatTable {
 public:
  FlatTable() = default;  // has no field
  // The table that the offset at `position` leads to.
  FlatTable(FlatBytes* bytes, size_t position);

  bool exists() const { return size_ != 0; }
  // Fields go by their number in the schema.
  template <class T>
  T number(int field, T otherwise) const {
    const size_t position = find(field);
    return position == 0 ? otherwise : bytes_->read<T>(position);
  }
  FlatTable table(int field) const;
  FlatVector vector(int field, size_t item_size) const;
  // Text that ends with a zero; null where it is left out.
  const char* text(int field) const;

 private:
  size_t find(int field) const;  // 0 where it is left out

  FlatBytes* bytes_ = nullptr;
  size_t position_ = 0;
  size_t vtable_ = 0;
  size_t size_ = 0;  // of the list of fields
};

}  // namespace larq_dense
