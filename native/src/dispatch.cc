// The one place where an instruction set is chosen.
#include <string.h>

#include "kernels.h"

namespace larq_dense {

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx2Kernels;
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

const Kernels* usable_kernels(int i) {
  const Kernels* usable[4] = {};
  int count = 0;
#if defined(__x86_64__)
  // These builtins also ask whether the operating system saves the registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
      __builtin_cpu_supports("avx512vpopcntdq")) {
    usable[count++] = &kAvx512Kernels;
  }
  if (__builtin_cpu_supports("avx2")) usable[count++] = &kAvx2Kernels;
#elif defined(__aarch64__)
  usable[count++] = &kNeonKernels;  // part of every 64-bit Arm processor
#endif
  usable[count++] = &kPortableKernels;
  return i >= 0 && i < count ? usable[i] : nullptr;
}

const Kernels* select_kernels(const char* name) {
  if (name == nullptr || *name == '\0') return usable_kernels(0);
  for (int i = 0; usable_kernels(i) != nullptr; ++i) {
    if (strcmp(usable_kernels(i)->name, name) == 0) return usable_kernels(i);
  }
  return nullptr;
}

}  // namespace larq_dense
