/* Hides all of AVX-512, AMX and AVX-VNNI from a process, so that every library in it, XNNPACK as
 * well as the XNOR runtime, takes its AVX2 code:
 *
 *   gcc -O2 -shared -fPIC -o avx2_only.so benchmarks/avx2_only.c
 *   LD_PRELOAD=$PWD/avx2_only.so larq-dense frontier ...
 *
 * Linux can make CPUID fault (arch_prctl, ARCH_SET_CPUID) on processors with `cpuid_fault` in
 * /proc/cpuinfo, which are Intel's since Ivy Bridge and AMD's since Zen 4. The handler executes the
 * instruction and clears the bits. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { kArchSetCpuid = 0x1012 };

static void allow(int enabled) { syscall(SYS_arch_prctl, kArchSetCpuid, (unsigned long)enabled); }

static uint32_t bits(const int* positions, int count) {
  uint32_t mask = 0;
  for (int i = 0; i < count; ++i) mask |= UINT32_C(1) << positions[i];
  return mask;
}
#define BITS(...) bits((const int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

static void on_fault(int signal, siginfo_t* info, void* context) {
  (void)info;
  greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
  const uint8_t* code = (const uint8_t*)registers[REG_RIP];
  if (code[0] != 0x0f || code[1] != 0xa2) { /* an ordinary crash */
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(signal, &standard, NULL);
    return;
  }
  const uint32_t leaf = (uint32_t)registers[REG_RAX], part = (uint32_t)registers[REG_RCX];
  uint32_t a, b, c, d;
  allow(1);
  __cpuid_count(leaf, part, a, b, c, d);
  allow(0);
  if (leaf == 7 && part == 0) {
    b &= ~BITS(16, 17, 21, 26, 27, 28, 30, 31); /* AVX-512 F, DQ, IFMA, PF, ER, CD, BW, VL */
    c &= ~BITS(1, 6, 11, 12, 14);               /* VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ */
    d &= ~BITS(2, 3, 8, 22, 23, 24, 25);        /* 4VNNIW, 4FMAPS, VP2INTERSECT, AMX, FP16 */
  } else if (leaf == 7 && part == 1) {
    a &= ~BITS(4, 5, 21, 23);   /* AVX-VNNI, AVX-512 BF16, AMX-FP16, AVX-IFMA */
    d &= ~BITS(4, 5, 8, 10, 19); /* AVX-VNNI-INT8, AVX-NE-CONVERT, AMX-COMPLEX, INT16, AVX10 */
  }
  registers[REG_RAX] = a;
  registers[REG_RBX] = b;
  registers[REG_RCX] = c;
  registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide(void) {
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  if (syscall(SYS_arch_prctl, kArchSetCpuid, 0UL) != 0) {
    perror("this processor or kernel cannot make CPUID fault");
    exit(1);
  }
}
