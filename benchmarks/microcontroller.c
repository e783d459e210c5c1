/* Runs a network on a Cortex-M without an operating system, for benchmarks/microcontroller.py.
 *
 * QEMU's semihosting prints; its timer, at one instruction a nanosecond, counts instructions. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../native/include/larq_dense_engine.h"

extern const char network[], network_end[]; /* in flash */
extern char heap_start[], heap_end[], stack_top[];
extern void initialise_monitor_handles(void);
void reset(void);

__attribute__((section(".vectors"), used)) const void* const vectors[] = {stack_top, (void*)reset};

static char* heap = heap_start;

/* What malloc takes its memory from: `heap - heap_start` is the most that was in use. */
void* _sbrk(int bytes) {
  if (heap + bytes > heap_end) return (void*)-1;
  heap += bytes;
  return heap - bytes;
}

/* A 32-bit timer of ARM's CMSDK that counts down. */
#define TIMER ((volatile uint32_t*)TIMER_ADDRESS)
static void start_timer(void) {
  TIMER[0] = 0xffffffffu;
  TIMER[2] = 0x82; /* on, 32 bits */
}
static uint32_t ticks(void) { return 0xffffffffu - TIMER[1]; }

int main(void) {
  char message[256] = "";
  larq_dense_engine* engine;
  larq_dense_tensor in, out;
  const size_t size = (size_t)(network_end - network);
  start_timer();
  uint32_t start = ticks();
  if (larq_dense_engine_open(network, size, NULL, &engine, message, sizeof message) != 0) {
    printf("{\"error\": \"%s\"}\n", message);
    return 1;
  }
  const uint32_t opened = ticks() - start;
  larq_dense_engine_input(engine, 0, &in);
  larq_dense_engine_output(engine, 0, &out);
  int8_t* picture = malloc(in.bytes);
  int8_t* logits = malloc(out.bytes);
  if (picture == NULL || logits == NULL) return 1;
  for (size_t i = 0; i < in.bytes; ++i) picture[i] = (int8_t)(i * 37 % 251 - 125);
  const void* inputs[] = {picture};
  void* outputs[] = {logits};
  start = ticks();
  if (larq_dense_engine_run(engine, inputs, outputs, 1, message, sizeof message) != 0) {
    printf("{\"error\": \"%s\"}\n", message);
    return 1;
  }
  const uint32_t ran = ticks() - start;
  uint32_t sum = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < out.bytes; ++i) sum = (sum ^ (uint8_t)logits[i]) * 16777619u;
  printf("{\"open_ticks\": %lu, \"run_ticks\": %lu, \"heap\": %ld, \"in\": %lu, \"out\": %lu, "
         "\"hash\": %lu}\n",
         (unsigned long)opened, (unsigned long)ran, (long)(heap - heap_start),
         (unsigned long)in.bytes, (unsigned long)out.bytes, (unsigned long)sum);
  return 0;
}

extern char bss_start[], bss_end[];
void reset(void) {
  *(volatile uint32_t*)0xe000ed88 |= 0xf << 20; /* switches the floating-point unit on */
  for (char* byte = bss_start; byte < bss_end; ++byte) *byte = 0;
  initialise_monitor_handles();
  exit(main());
}
