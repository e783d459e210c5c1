// Memory without exceptions: a failed allocation is a status that reaches the interpreter.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32) || !(defined(__unix__) || defined(__APPLE__) || defined(__wasm__))
#include <malloc.h>
#endif

namespace larq_dense {

constexpr size_t kAlignment = 64;  // a cache line and an AVX-512 register

// Memory at a multiple of `alignment`, a power of two; null where it cannot be had. Windows frees
// such memory by a function of its own.
inline void* allocate_aligned(size_t alignment, size_t bytes) {
#if defined(_WIN32)
  return _aligned_malloc(bytes, alignment);
#elif !(defined(__unix__) || defined(__APPLE__) || defined(__wasm__))
  return memalign(alignment, bytes);  // newlib, on a processor without an operating system
#else
  void* memory = nullptr;
  return posix_memalign(&memory, alignment, bytes) == 0 ? memory : nullptr;
#endif
}
inline void free_aligned(void* memory) {
#if defined(_WIN32)
  _aligned_free(memory);
#else
  free(memory);
#endif
}

// `a * b` and `a + b` in a size_t; false where they overflow.
inline bool checked_mul(size_t a, size_t b, size_t* result) {
  return !__builtin_mul_overflow(a, b, result);
}
inline bool checked_add(size_t a, size_t b, size_t* result) {
  return !__builtin_add_overflow(a, b, result);
}
inline bool checked_round_up(size_t value, size_t multiple, size_t* result) {
  size_t sum;
  if (!checked_add(value, multiple - 1, &sum)) return false;
  *result = sum / multiple * multiple;
  return true;
}

enum class Fill { kZero, kNothing };

// An owned, aligned array of a trivially copyable type.
template <class T>
class Array {
 public:
  Array() = default;
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { free_aligned(data_); }

  // False where the memory cannot be had; the array is then empty.
  bool allocate(size_t count, Fill fill = Fill::kZero) {
    free_aligned(data_);
    data_ = nullptr;
    size_ = 0;
    size_t bytes;
    if (!checked_mul(count, sizeof(T), &bytes) ||
        !checked_round_up(bytes == 0 ? 1 : bytes, kAlignment, &bytes)) {
      return false;
    }
    void* memory = allocate_aligned(kAlignment, bytes);
    if (memory == nullptr) return false;
    if (fill == Fill::kZero) memset(memory, 0, bytes);
    data_ = static_cast<T*>(memory);
    size_ = count;
    return true;
  }

  size_t size() const { return size_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

// Objects with constructors, without operator new, which would need the C++ library.
template <class T>
class List {
 public:
  List() = default;
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() { clear(); }

  void clear() {
    for (size_t i = 0; i < size_; ++i) destroy(items_[i]);
    free(items_);
    items_ = nullptr;
    size_ = capacity_ = 0;
  }

  // A new default-constructed item whose address stays valid; null where memory is short.
  T* append();

  void swap(size_t i, size_t j) {
    T* item = items_[i];
    items_[i] = items_[j];
    items_[j] = item;
  }

  size_t size() const { return size_; }
  T& operator[](size_t i) { return *items_[i]; }
  const T& operator[](size_t i) const { return *items_[i]; }

 private:
  static void destroy(T* item) {
    item->~T();
    free_aligned(item);
  }

  T** items_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

struct PlacementTag {};

}  // namespace larq_dense

inline void* operator new(size_t, void* place, larq_dense::PlacementTag) noexcept { return place; }

namespace larq_dense {

template <class T>
T* create() {
  const size_t align = alignof(T) < sizeof(void*) ? sizeof(void*) : alignof(T);
  void* place = allocate_aligned(align, sizeof(T));
  if (place == nullptr) return nullptr;
  return new (place, PlacementTag{}) T();
}

template <class T>
void destroy(T* object) {
  if (object == nullptr) return;
  object->~T();
  free_aligned(object);
}

template <class T>
T* List<T>::append() {
  if (size_ == capacity_) {
    const size_t grown = capacity_ == 0 ? 8 : capacity_ * 2;
    size_t bytes;
    if (!checked_mul(grown, sizeof(T*), &bytes)) return nullptr;
    void* moved = realloc(items_, bytes);
    if (moved == nullptr) return nullptr;
    items_ = static_cast<T**>(moved);
    capacity_ = grown;
  }
  T* item = create<T>();
  if (item != nullptr) items_[size_++] = item;
  return item;
}

}  // namespace larq_dense
