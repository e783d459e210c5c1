#include "features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace larq_dense {
namespace {

bool has(uint32_t bits, int bit) { return (bits >> bit & 1) != 0; }

}  // namespace

Features x86_features(const CpuId& id) {
  constexpr uint32_t kYmm = 0x06, kZmm = 0xe6;  // in XCR0
  Features found = 0;
  const bool saves = has(id.leaf1_ecx, 27);  // XGETBV is there
  if (!saves || (id.xcr0 & kYmm) != kYmm || !has(id.leaf7_ebx, 5)) return found;
  found |= kAvx2;
  if (has(id.leaf7_1_eax, 4)) found |= kAvxVnni;
  const bool foundation = has(id.leaf7_ebx, 16) && has(id.leaf7_ebx, 30) && has(id.leaf7_ebx, 31);
  if ((id.xcr0 & kZmm) != kZmm || !foundation) return found;
  found |= kAvx512;
  if (has(id.leaf7_ecx, 11)) found |= kAvx512Vnni;
  if (has(id.leaf7_ecx, 14)) found |= kAvx512Vpopcntdq;
  return found;
}

Features arm_features(uint64_t hwcap, uint64_t hwcap2) {
  Features found = 0;
  if ((hwcap >> 20 & 1) != 0) found |= kDotProd;
  if ((hwcap2 >> 13 & 1) != 0) found |= kI8mm;
  return found;
}

#if defined(__x86_64__)
Features processor_features() {
  uint32_t a, b, c, d;
  CpuId id = {};
  if (__get_cpuid(1, &a, &b, &c, &d)) id.leaf1_ecx = c;
  if (has(id.leaf1_ecx, 27)) {
    asm("xgetbv" : "=a"(id.xcr0), "=d"(d) : "c"(0));
  }
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    id.leaf7_ebx = b;
    id.leaf7_ecx = c;
    // EAX is the last subleaf.
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) id.leaf7_1_eax = a;
  }
  return x86_features(id);
}
#elif defined(__aarch64__) && defined(__linux__)
Features processor_features() { return arm_features(getauxval(AT_HWCAP), getauxval(AT_HWCAP2)); }
#elif defined(__aarch64__) && defined(__APPLE__)
Features processor_features() {
  const auto is_there = [](const char* name) {
    int answer = 0;
    size_t size = sizeof answer;
    return sysctlbyname(name, &answer, &size, nullptr, 0) == 0 && answer != 0;
  };
  Features found = 0;
  if (is_there("hw.optional.arm.FEAT_DotProd")) found |= kDotProd;
  if (is_there("hw.optional.arm.FEAT_I8MM")) found |= kI8mm;
  return found;
}
#else
Features processor_features() { return 0; }
#endif

}  // namespace larq_dense
