/* Runs a network on the engine, as an example of its C interface:
 *
 *   engine_run NETWORK.tflite INPUT OUTPUT [INSTRUCTION_SET]
 *
 * INPUT holds the bytes of the network's one input; those of its one output go to OUTPUT. */
#include <stdio.h>
#include <stdlib.h>

#include "../include/larq_dense_engine.h"

/* The bytes of a file, which the caller frees; null where it cannot be read. */
static void* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  char* bytes = NULL;
  size_t room = 0;
  *size = 0;
  if (file == NULL) return NULL;
  for (;;) {
    char* grown = realloc(bytes, room += 1 << 20);
    if (grown == NULL) break;
    bytes = grown;
    *size += fread(bytes + *size, 1, room - *size, file);
    if (*size < room) break;
  }
  fclose(file);
  return bytes;
}

static int fail(const char* what, const char* why) {
  fprintf(stderr, "engine_run: %s: %s\n", what, why);
  return 1;
}

int main(int argc, char** argv) {
  char message[256] = "";
  if (argc < 4) return fail("usage", "engine_run NETWORK.tflite INPUT OUTPUT [INSTRUCTION_SET]");

  size_t network_size, input_size;
  void* network = read_file(argv[1], &network_size);
  void* input = read_file(argv[2], &input_size);
  if (network == NULL) return fail(argv[1], "cannot be read");
  if (input == NULL) return fail(argv[2], "cannot be read");

  larq_dense_engine* engine;
  if (larq_dense_engine_open(network, network_size, argc > 4 ? argv[4] : NULL, &engine, message,
                             sizeof message) != LARQ_DENSE_OK) {
    return fail(argv[1], message);
  }
  free(network); /* not needed any more */

  larq_dense_tensor in, out;
  if (larq_dense_engine_input_count(engine) != 1 || larq_dense_engine_output_count(engine) != 1 ||
      larq_dense_engine_input(engine, 0, &in) != LARQ_DENSE_OK ||
      larq_dense_engine_output(engine, 0, &out) != LARQ_DENSE_OK) {
    return fail(argv[1], "does not have one input and one output");
  }
  if (in.bytes != input_size) return fail(argv[2], "is not as large as the network's input");

  void* output = malloc(out.bytes);
  const void* inputs[] = {input};
  void* outputs[] = {output};
  if (output == NULL) return fail(argv[3], "out of memory");
  if (larq_dense_engine_run(engine, inputs, outputs, 1, message, sizeof message) !=
      LARQ_DENSE_OK) {
    return fail(argv[1], message);
  }
  larq_dense_engine_close(engine);

  FILE* file = fopen(argv[3], "wb");
  const int written = file != NULL && fwrite(output, 1, out.bytes, file) == out.bytes;
  if (file == NULL || fclose(file) != 0 || !written) return fail(argv[3], "cannot be written");
  free(input);
  free(output);
  return 0;
}
