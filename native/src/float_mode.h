// How the processor treats floats, which belongs to each thread.
#pragma once

#include <stdint.h>

namespace larq_dense {

// Rounds to nearest and keeps denormal numbers while it lives, whatever the caller has set: some
// programs flush them to zero for speed, and a sign or a sum would depend on that.
class DefaultFloatMode {
 public:
  DefaultFloatMode() : before_(get()) { set(kDefault); }
  ~DefaultFloatMode() { set(before_); }
  DefaultFloatMode(const DefaultFloatMode&) = delete;
  DefaultFloatMode& operator=(const DefaultFloatMode&) = delete;

#if defined(__x86_64__)
  using Register = uint32_t;                    // MXCSR
  static constexpr Register kDefault = 0x1f80;  // exceptions masked
  static constexpr Register kFlush = 0x9fc0;    // and denormals are zeros, in and out
  static Register get() { return __builtin_ia32_stmxcsr(); }
  static void set(Register value) { __builtin_ia32_ldmxcsr(value); }
#elif defined(__aarch64__)
  using Register = uint64_t;  // FPCR
  static constexpr Register kDefault = 0;
  static constexpr Register kFlush = 1 << 24;
  static Register get() {
    Register value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void set(Register value) { asm volatile("msr fpcr, %0" : : "r"(value) : "memory"); }
#else
  using Register = int;  // WebAssembly knows no other mode
  static constexpr Register kDefault = 0, kFlush = 0;
  static Register get() { return 0; }
  static void set(Register) {}
#endif

 private:
  const Register before_;
};

}  // namespace larq_dense
