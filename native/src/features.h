// The instructions that a processor has, as far as the kernels ask.
#pragma once

#include <stdint.h>

namespace larq_dense {

using Features = uint32_t;  // a set of the following
constexpr Features kAvx2 = 1 << 0;
constexpr Features kAvxVnni = 1 << 1;
constexpr Features kAvx512 = 1 << 2;  // F, BW and VL
constexpr Features kAvx512Vnni = 1 << 3;
constexpr Features kAvx512Vpopcntdq = 1 << 4;
constexpr Features kDotProd = 1 << 5;  // sdot
constexpr Features kI8mm = 1 << 6;     // smmla

// What CPUID and XGETBV answer on x86; 0 for a leaf that the processor does not have.
struct CpuId {
  uint32_t leaf1_ecx;
  uint32_t leaf7_ebx, leaf7_ecx;
  uint32_t leaf7_1_eax;  // subleaf 1
  uint32_t xcr0;         // registers that the operating system saves
};
Features x86_features(const CpuId& id);

// AT_HWCAP and AT_HWCAP2 of Linux and Android on 64-bit Arm.
Features arm_features(uint64_t hwcap, uint64_t hwcap2);

// Those of the processor that this runs on.
Features processor_features();

}  // namespace larq_dense
