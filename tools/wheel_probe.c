// Loads the library of a wheel on the system that it is for, and runs a network with it.
//
//   wheel_probe LIBRARY NETWORK.tflite
//
// The network is one that the engine can run whole, its input bytes of a fixed pattern. What is
// printed, a checksum of its outputs for each instruction set, is the same on every system.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../native/include/larq_dense_engine.h"

#if defined(_WIN32)
#include <windows.h>
static void* open_library(const char* path) { return (void*)LoadLibraryA(path); }
static void* find(void* library, const char* name) {
  return (void*)GetProcAddress((HMODULE)library, name);
}
#else
#include <dlfcn.h>
static void* open_library(const char* path) {
  void* library = dlopen(path, RTLD_NOW);
  if (library == NULL) fprintf(stderr, "%s\n", dlerror());
  return library;
}
static void* find(void* library, const char* name) { return dlsym(library, name); }
#endif

static const char* (*instruction_set)(int);
static int (*engine_open)(const void*, size_t, const char*, larq_dense_engine**, char*, size_t);
static void (*engine_close)(larq_dense_engine*);
static int (*engine_input)(const larq_dense_engine*, int, larq_dense_tensor*);
static int (*engine_output)(const larq_dense_engine*, int, larq_dense_tensor*);
static int (*engine_run)(larq_dense_engine*, const void* const*, void* const*, int, char*, size_t);

static int bind(const char* path) {
  void* library = open_library(path);
  if (library == NULL) return 0;
  *(void**)&instruction_set = find(library, "larq_dense_xnor_instruction_set");
  *(void**)&engine_open = find(library, "larq_dense_engine_open");
  *(void**)&engine_close = find(library, "larq_dense_engine_close");
  *(void**)&engine_input = find(library, "larq_dense_engine_input");
  *(void**)&engine_output = find(library, "larq_dense_engine_output");
  *(void**)&engine_run = find(library, "larq_dense_engine_run");
  return instruction_set && engine_open && engine_close && engine_input && engine_output &&
         engine_run && find(library, "tflite_plugin_create_delegate");
}

static unsigned char* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) return NULL;
  *size = (size_t)ftell(file);
  rewind(file);
  unsigned char* bytes = malloc(*size);
  if (bytes == NULL || fread(bytes, 1, *size, file) != *size) return NULL;
  fclose(file);
  return bytes;
}

static int run(const char* name, const unsigned char* bytes, size_t size) {
  char message[256] = "";
  larq_dense_engine* engine = NULL;
  larq_dense_tensor input, output;
  if (engine_open(bytes, size, name, &engine, message, sizeof message) != LARQ_DENSE_OK ||
      engine_input(engine, 0, &input) != LARQ_DENSE_OK ||
      engine_output(engine, 0, &output) != LARQ_DENSE_OK) {
    fprintf(stderr, "%s: %s\n", name, message);
    return 0;
  }
  unsigned char* picture = malloc(input.bytes);
  unsigned char* logits = malloc(output.bytes);
  if (picture == NULL || logits == NULL) return 0;
  for (size_t i = 0; i < input.bytes; ++i) picture[i] = (unsigned char)(i * 2654435761u >> 24);
  const void* inputs[] = {picture};
  void* outputs[] = {logits};
  if (engine_run(engine, inputs, outputs, 2, message, sizeof message) != LARQ_DENSE_OK) {
    fprintf(stderr, "%s: %s\n", name, message);
    return 0;
  }
  uint32_t checksum = 2166136261u;  // FNV-1a
  for (size_t i = 0; i < output.bytes; ++i) checksum = (checksum ^ logits[i]) * 16777619u;
  printf("%s %08x\n", name, (unsigned)checksum);
  free(picture);
  free(logits);
  engine_close(engine);
  return 1;
}

int main(int argc, char** argv) {
  size_t size = 0;
  if (argc != 3 || !bind(argv[1])) {
    fprintf(stderr, "usage: wheel_probe LIBRARY NETWORK, or the library is not whole\n");
    return 2;
  }
  unsigned char* bytes = read_file(argv[2], &size);
  if (bytes == NULL) {
    fprintf(stderr, "cannot read %s\n", argv[2]);
    return 2;
  }
  const char* name;
  for (int i = 0; (name = instruction_set(i)) != NULL; ++i) {
    if (!run(name, bytes, size)) return 1;
  }
  return 0;
}
