// The one place where an instruction set is chosen.
#include <string.h>

#include "features.h"
#include "kernels.h"

namespace larq_dense {

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512VnniKernels;
extern const Kernels kAvx512BwKernels;
extern const Kernels kAvxVnniKernels;
extern const Kernels kAvx2Kernels;
#elif defined(__aarch64__)
extern const Kernels kI8mmKernels;
extern const Kernels kDotProdKernels;
extern const Kernels kNeonKernels;
#elif defined(__wasm__)  // where a module needs SIMD or does not, as a whole
extern const Kernels kWasmKernels;
#endif

namespace {

struct Tier {
  const Kernels* kernels;
  Features needs;
};

// Best first. The build may leave some out (native/build.py).
const Tier kTiers[] = {
#if defined(__x86_64__)
    {&kAvx512Kernels, kAvx512 | kAvx512Vnni | kAvx512Vpopcntdq},
#if !defined(LARQ_DENSE_WITHOUT_KERNEL_AVX512VNNI)
    {&kAvx512VnniKernels, kAvx512 | kAvx512Vnni},
#endif
    {&kAvx512BwKernels, kAvx512},
#if !defined(LARQ_DENSE_WITHOUT_KERNEL_AVXVNNI)
    {&kAvxVnniKernels, kAvx2 | kAvxVnni},
#endif
    {&kAvx2Kernels, kAvx2},
#elif defined(__aarch64__)
#if !defined(LARQ_DENSE_WITHOUT_KERNEL_I8MM)
    {&kI8mmKernels, kDotProd | kI8mm},
#endif
    {&kDotProdKernels, kDotProd},
    {&kNeonKernels, 0},  // part of every 64-bit Arm processor
#elif defined(__wasm__)
    {&kWasmKernels, 0},
#endif
    {&kPortableKernels, 0},
};

}  // namespace

const Kernels* kernels_for(Features features, int i) {
  for (const Tier& tier : kTiers) {
    if ((tier.needs & ~features) == 0 && i-- == 0) return tier.kernels;
  }
  return nullptr;
}

const Kernels* usable_kernels(int i) { return kernels_for(processor_features(), i); }

const Kernels* select_kernels(const char* name) {
  if (name == nullptr || *name == '\0') return usable_kernels(0);
  for (int i = 0; usable_kernels(i) != nullptr; ++i) {
    if (strcmp(usable_kernels(i)->name, name) == 0) return usable_kernels(i);
  }
  return nullptr;
}

}  // namespace larq_dense
