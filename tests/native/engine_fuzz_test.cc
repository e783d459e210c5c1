// A fuzz target over `.tflite` files: whatever the bytes say, the engine must answer with a status
// and a sentence, never with a crash, a leak, or an access outside a buffer.
//
// Under libFuzzer (-fsanitize=fuzzer) only the target is compiled; elsewhere `main` damages the
// files that it is given, at random, the same on every machine:
//
//   engine_fuzz_test RUNS SEED FILE...
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <random>
#include <vector>

#include "../../native/include/larq_dense_engine.h"

namespace {

// Larger ones take minutes under the sanitizers.
constexpr size_t kLargestTensor = size_t{1} << 14;

// How far the runs came: a target whose inputs are all refused at the door tests nothing.
long opened = 0, invoked = 0;

// Memory of exactly so many bytes, so that AddressSanitizer notices an access outside it.
struct Ends {
  std::vector<std::unique_ptr<uint8_t[]>> memory;
  std::vector<void*> pointers;

  bool add(const larq_dense_tensor& tensor, int fill) {
    if (tensor.bytes > kLargestTensor) return false;
    memory.emplace_back(new uint8_t[tensor.bytes]);
    memset(memory.back().get(), fill, tensor.bytes);
    pointers.push_back(memory.back().get());
    return true;
  }
};

[[noreturn]] void fail(const char* what) {
  fprintf(stderr, "engine fuzz: %s\n", what);
  abort();
}

void run(larq_dense_engine* engine, int threads) {
  Ends inputs, outputs;
  larq_dense_tensor tensor;
  for (int i = 0; i < larq_dense_engine_input_count(engine); ++i) {
    if (larq_dense_engine_input(engine, i, &tensor) != LARQ_DENSE_OK) fail("an input is not told");
    if (!inputs.add(tensor, 3 + i)) return;
  }
  for (int i = 0; i < larq_dense_engine_output_count(engine); ++i) {
    if (larq_dense_engine_output(engine, i, &tensor) != LARQ_DENSE_OK) fail("an output is not told");
    if (!outputs.add(tensor, 0)) return;
  }
  char message[256] = "";
  const int status = larq_dense_engine_run(engine, inputs.pointers.data(), outputs.pointers.data(),
                                           threads, message, sizeof message);
  if (status == LARQ_DENSE_OK) {
    ++invoked;
  } else if (*message == '\0') {
    fail("a run failed without a sentence");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const char* sets[] = {"", "avx2", "portable"};
  char message[256] = "";
  larq_dense_engine* engine = nullptr;
  const int status =
      larq_dense_engine_open(data, size, sets[size % 3], &engine, message, sizeof message);
  if (status == LARQ_DENSE_BAD_ARGUMENT && size % 3 == 1) return 0;  // a processor without AVX2
  if ((status == LARQ_DENSE_OK) != (engine != nullptr)) fail("status and engine disagree");
  if (status != LARQ_DENSE_OK) {
    if (*message == '\0') fail("a file was refused without a sentence");
    return 0;
  }
  ++opened;
  size_t length;
  larq_dense_engine_metadata(engine, "larq_dense", &length);
  run(engine, 1 + static_cast<int>(size % 2));
  larq_dense_engine_close(engine);
  return 0;
}

#ifndef LARQ_DENSE_LIBFUZZER
namespace {

using Bytes = std::vector<uint8_t>;

Bytes read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == nullptr) fail("a file cannot be read");
  Bytes bytes(size_t{1} << 20);
  bytes.resize(fread(bytes.data(), 1, bytes.size(), file));
  fclose(file);
  return bytes;
}

// Bits, bytes, numbers and lengths, here and there.
void damage(Bytes* bytes, std::mt19937* random) {
  static const uint32_t hostile[] = {0,          1,          0xffffffffu, 0x7fffffffu, 0x80000000u,
                                     0xfffffffeu, 4,         0x10000u,    0x40000000u, 31,
                                     46341,      0x55555556u, 0xfffffff9u, 256,        65535};
  const auto below = [&](size_t limit) { return static_cast<size_t>((*random)()) % limit; };
  for (size_t n = 1 + below(4); n > 0 && bytes->size() > 8; --n) {
    const size_t at = below(bytes->size());
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        (*bytes)[at] ^= static_cast<uint8_t>(1u << below(8));
        break;
      case 3:
        (*bytes)[at] = static_cast<uint8_t>((*random)());
        break;
      case 4:
        (*bytes)[at] = static_cast<uint8_t>((*bytes)[at] + (below(2) == 0 ? 1 : 255));
        break;
      case 5: {
        const size_t place = at / 4 * 4;
        if (place + 4 <= bytes->size()) memcpy(bytes->data() + place, &hostile[below(15)], 4);
        break;
      }
      case 6: {  // a piece over another
        const size_t from = below(bytes->size()), size = 1 + below(16);
        if (at + size <= bytes->size() && from + size <= bytes->size()) {
          memmove(bytes->data() + at, bytes->data() + from, size);
        }
        break;
      }
      default:
        if (below(8) == 0) bytes->resize(at);
        break;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) fail("usage: engine_fuzz_test RUNS SEED FILE...");
  const long runs = atol(argv[1]);
  std::mt19937 random(static_cast<unsigned>(atol(argv[2])));
  std::vector<Bytes> files;
  for (int i = 3; i < argc; ++i) files.push_back(read_file(argv[i]));
  for (long i = 0; i < runs; ++i) {
    Bytes bytes = files[static_cast<size_t>(i) % files.size()];
    if (i >= static_cast<long>(files.size())) damage(&bytes, &random);
    const std::unique_ptr<uint8_t[]> exact(new uint8_t[bytes.size()]);
    if (!bytes.empty()) memcpy(exact.get(), bytes.data(), bytes.size());
    LLVMFuzzerTestOneInput(exact.get(), bytes.size());
    if (i + 1 == static_cast<long>(files.size()) && invoked != i + 1) {
      fail("a sound file does not run");
    }
  }
  printf("engine fuzz: %ld runs, %ld opened, %ld invoked\n", runs, opened, invoked);
  return invoked >= runs / 20 && opened < runs ? 0 : 1;
}
#endif
