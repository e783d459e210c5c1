#include "flatbuffer.h"

namespace larq_dense {

FlatTable::FlatTable(FlatBytes* bytes, size_t offset) : bytes_(bytes) {
  if (!bytes->holds(offset, 4)) return;
  position_ = offset + bytes->read<uint32_t>(offset);
  if (!bytes->holds(position_, 4)) return;
  // The list of fields lies as far before the table as a signed number says.
  const int64_t vtable = static_cast<int64_t>(position_) - bytes->read<int32_t>(position_);
  if (vtable < 0 || !bytes->holds(static_cast<size_t>(vtable), 4)) {
    bytes->damaged = true;
    return;
  }
  vtable_ = static_cast<size_t>(vtable);
  const size_t size = bytes->read<uint16_t>(vtable_);
  if (size >= 4 && bytes->holds(vtable_, size)) {
    size_ = size;
  } else {
    bytes->damaged = true;
  }
}

size_t FlatTable::find(int field) const {
  const size_t slot = 4 + 2 * static_cast<size_t>(field);
  if (slot + 2 > size_) return 0;
  const size_t offset = bytes_->read<uint16_t>(vtable_ + slot);
  return offset == 0 ? 0 : position_ + offset;
}

FlatTable FlatTable::table(int field) const {
  const size_t position = find(field);
  return position == 0 ? FlatTable() : FlatTable(bytes_, position);
}

FlatVector FlatTable::vector(int field, size_t item_size) const {
  FlatVector vector;
  const size_t position = find(field);
  if (position == 0) return vector;
  const size_t start = position + bytes_->read<uint32_t>(position);
  const size_t count = bytes_->read<uint32_t>(start);
  if (!bytes_->holds(start, 4) || count > (bytes_->size - start - 4) / item_size) {
    bytes_->damaged = true;
    return vector;
  }
  vector.first = start + 4;
  vector.count = count;
  return vector;
}

const char* FlatTable::text(int field) const {
  const FlatVector text = vector(field, 1);
  if (text.first == 0) return nullptr;
  if (!bytes_->holds(text.first, text.count + 1) ||
      bytes_->data[text.first + text.count] != 0) {
    bytes_->damaged = true;
    return nullptr;
  }
  return reinterpret_cast<const char*>(bytes_->data + text.first);
}

}  // namespace larq_dense
