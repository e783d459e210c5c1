/* Runs converted networks whose tensors between the binary layers are int8, without an interpreter.
 *
 *   larq_dense_engine* engine;
 *   char message[256];
 *   if (larq_dense_engine_open(bytes, size, NULL, &engine, message, sizeof message) != 0) ...
 *   const void* inputs[] = {picture};
 *   void* outputs[] = {logits};
 *   larq_dense_engine_run(engine, inputs, outputs, 2, message, sizeof message);
 *   larq_dense_engine_close(engine);
 *
 * Whatever the bytes say, the answer is a status and a sentence. There is no global state: any
 * number of engines may be open, and different ones may run at the same time.
 */
#ifndef LARQ_DENSE_ENGINE_H_
#define LARQ_DENSE_ENGINE_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define LARQ_DENSE_API __declspec(dllexport)
#else
#define LARQ_DENSE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum {
  LARQ_DENSE_OK = 0,
  LARQ_DENSE_DAMAGED = 1,      /* the bytes are no .tflite file, or one that contradicts itself */
  LARQ_DENSE_UNSUPPORTED = 2,  /* a sound file that the engine cannot run */
  LARQ_DENSE_NO_MEMORY = 3,
  LARQ_DENSE_BAD_ARGUMENT = 4, /* the caller's mistake */
  LARQ_DENSE_BUSY = 5,         /* the engine is running, on another thread */
};

enum {
  LARQ_DENSE_FLOAT32 = 1,
  LARQ_DENSE_INT32 = 2, /* also bits of signs, 32 channels in each */
  LARQ_DENSE_BOOL = 3,
  LARQ_DENSE_INT8 = 4,
};

#define LARQ_DENSE_MAX_RANK 6

typedef struct larq_dense_engine larq_dense_engine;

/* An input or an output: row-major, the last dimension side by side. */
typedef struct {
  int32_t type;
  int32_t rank;
  int32_t dims[LARQ_DENSE_MAX_RANK];
  float scale; /* a value is scale * (integer - zero_point); 0 where it has no range */
  int32_t zero_point;
  size_t bytes;
} larq_dense_tensor;

/* Opens a network. The bytes are not needed any more afterwards. `instruction_set` is one of
 * larq_dense_xnor_instruction_set(); null or "" takes the one that the environment variable
 * LARQ_DENSE_XNOR_ISA names, or the fastest. `message` receives a sentence where the status is not
 * LARQ_DENSE_OK, and may be null. */
LARQ_DENSE_API int larq_dense_engine_open(const void* bytes, size_t size,
                                          const char* instruction_set, larq_dense_engine** engine,
                                          char* message, size_t message_size);

/* Closes it; null is allowed. */
LARQ_DENSE_API void larq_dense_engine_close(larq_dense_engine* engine);

LARQ_DENSE_API int larq_dense_engine_input_count(const larq_dense_engine* engine);
LARQ_DENSE_API int larq_dense_engine_output_count(const larq_dense_engine* engine);
/* Describe the i-th; LARQ_DENSE_BAD_ARGUMENT where there is none. */
LARQ_DENSE_API int larq_dense_engine_input(const larq_dense_engine* engine, int i,
                                           larq_dense_tensor* tensor);
LARQ_DENSE_API int larq_dense_engine_output(const larq_dense_engine* engine, int i,
                                            larq_dense_tensor* tensor);

/* The name of the instruction set that it uses. */
LARQ_DENSE_API const char* larq_dense_engine_instruction_set(const larq_dense_engine* engine);

/* The bytes that the file holds under a name next to its graph, such as "larq_dense"; they live as long
 * as the engine. Null, and a size of 0, where there are none. */
LARQ_DENSE_API const void* larq_dense_engine_metadata(const larq_dense_engine* engine,
                                                      const char* name, size_t* size);

/* Runs the network on all its inputs, by 1 to 64 threads, the caller's own among them. Each input
 * and output lies in memory of as many bytes as its description says. */
LARQ_DENSE_API int larq_dense_engine_run(larq_dense_engine* engine, const void* const* inputs,
                                         void* const* outputs, int threads, char* message,
                                         size_t message_size);

#ifdef __cplusplus
}
#endif

#endif /* LARQ_DENSE_ENGINE_H_ */
