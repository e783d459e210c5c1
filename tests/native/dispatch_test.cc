// Which kernels a processor gets: the choice for given features, not only for this machine's.
#include <stdio.h>

#include <string>

#include "../../native/src/kernels.h"

namespace {

using larq_dense::Features;

int failures = 0;

void expect(const char* processor, Features features, const char* names) {
  std::string found;
  for (int i = 0; larq_dense::kernels_for(features, i) != nullptr; ++i) {
    found += (i == 0 ? "" : " ") + std::string(larq_dense::kernels_for(features, i)->name);
  }
  if (found == names) return;
  ++failures;
  printf("FAILED %s: %s instead of %s\n", processor, found.c_str(), names);
}

#if defined(__x86_64__)
// Bits of CPUID's answers.
constexpr uint32_t kOsxsave = 1u << 27, kAvx = 1u << 28;
constexpr uint32_t kEbxAvx2 = 1u << 5;
constexpr uint32_t kEbxF = 1u << 16, kEbxBw = 1u << 30, kEbxVl = 1u << 31;
constexpr uint32_t kEcxVnni = 1u << 11, kEcxVpopcntdq = 1u << 14;
constexpr uint32_t kEaxAvxVnni = 1u << 4;
constexpr uint32_t kXmm = 0x03, kYmm = 0x07, kZmm = 0xe7;  // what the system saves

void run() {
  const uint32_t on = kOsxsave | kAvx, avx512 = kEbxAvx2 | kEbxF | kEbxBw | kEbxVl;
  const struct {
    const char* processor;
    larq_dense::CpuId id;
    const char* names;
  } cases[] = {
      {"Nehalem", {0, 0, 0, 0, 0}, "portable"},
      {"Sandy Bridge", {on, 0, 0, 0, kYmm}, "portable"},
      {"Haswell", {on, kEbxAvx2, 0, 0, kYmm}, "avx2 portable"},
      {"Alder Lake", {on, kEbxAvx2, 0, kEaxAvxVnni, kYmm}, "avxvnni avx2 portable"},
      {"Xeon Phi", {on, kEbxAvx2 | kEbxF, 0, 0, kZmm}, "avx2 portable"},
      {"Skylake-SP", {on, avx512, 0, 0, kZmm}, "avx512bw avx2 portable"},
      {"Cascade Lake", {on, avx512, kEcxVnni, 0, kZmm}, "avx512vnni avx512bw avx2 portable"},
      {"Ice Lake and Zen 4",
       {on, avx512, kEcxVnni | kEcxVpopcntdq, 0, kZmm},
       "avx512 avx512vnni avx512bw avx2 portable"},
      {"Sapphire Rapids",
       {on, avx512, kEcxVnni | kEcxVpopcntdq, kEaxAvxVnni, kZmm},
       "avx512 avx512vnni avx512bw avxvnni avx2 portable"},
      // What the operating system does not save must not be used.
      {"no 512 bits saved",
       {on, avx512, kEcxVnni | kEcxVpopcntdq, kEaxAvxVnni, kYmm},
       "avxvnni avx2 portable"},
      {"no 256 bits saved", {on, avx512, kEcxVnni | kEcxVpopcntdq, 0, kXmm}, "portable"},
      {"no XSAVE", {kAvx, avx512, kEcxVnni | kEcxVpopcntdq, 0, kZmm}, "portable"},
  };
  for (const auto& c : cases) expect(c.processor, larq_dense::x86_features(c.id), c.names);
}
#elif defined(__aarch64__)
void run() {
  using larq_dense::arm_features;
  constexpr uint64_t kAsimdDp = 1 << 20, kHwcap2I8mm = 1 << 13;
  expect("Cortex-A72", arm_features(0x8ff, 0), "neon portable");
  expect("Cortex-A76", arm_features(0x8ff | kAsimdDp, 0), "dotprod neon portable");
  expect("Neoverse V1", arm_features(0x8ff | kAsimdDp, kHwcap2I8mm),
         "i8mm dotprod neon portable");
}
#else
void run() {}
#endif

}  // namespace

int main() {
  run();
  printf("dispatch: done\n");
  return failures == 0 ? 0 : 1;
}
