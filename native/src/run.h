// What a step sees while it runs.
#pragma once

#include "plan.h"

namespace larq_dense {

class Run {
 public:
  Run(const Plan& plan, void* const* pointers, uint8_t* workspace, size_t stride)
      : plan_(plan), pointers_(pointers), workspace_(workspace), stride_(stride) {}

  const Plan& plan() const { return plan_; }
  const Kernels& kernels() const { return *plan_.kernels; }
  const Value& value(int i) const { return plan_.value(i); }
  const Shape& shape_of(int value) const { return plan_.shape_of(value); }

  // A step reads its input, its links and parts, and writes its output and bits, nothing else.
  template <class T>
  const T* read(int value) const {
    return static_cast<const T*>(pointers_[static_cast<size_t>(value)]);
  }
  template <class T>
  T* write(int value) const {
    return static_cast<T*>(pointers_[static_cast<size_t>(value)]);
  }
  // As many bytes as the step's `size` asked for; what they hold is left over from other tasks.
  template <class T>
  T* workspace(int worker) const {
    return reinterpret_cast<T*>(workspace_ + stride_ * static_cast<size_t>(worker));
  }

 private:
  const Plan& plan_;
  void* const* pointers_;  // of each value
  uint8_t* workspace_;
  size_t stride_;
};

// Packs the signs of some channels for the j-th of the step's bit outputs.
void pack_bits(const Run& run, const Step& step, int j, const float* x, size_t count,
               uint32_t* bits);
void pack_bits(const Run& run, const Step& step, int j, const int8_t* x, size_t count,
               uint32_t* bits);
// Where a convolution's result goes, and what happens to it before.
ConvTarget target_of(const Run& run, const Step& step);

}  // namespace larq_dense
