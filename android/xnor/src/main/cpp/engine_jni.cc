// The native side of larqdense.xnor.XnorEngine: from Java to native/include/larq_dense_engine.h.
#include <jni.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../../../../../native/include/larq_dense_engine.h"

namespace {

void refuse(JNIEnv* env, const char* sentence) {
  jclass type = env->FindClass("java/lang/IllegalArgumentException");
  if (type != nullptr) env->ThrowNew(type, sentence);
}

larq_dense_engine* engine_of(jlong handle) {
  return reinterpret_cast<larq_dense_engine*>(static_cast<intptr_t>(handle));
}

// The memory of a direct buffer that holds `bytes` from its start on; null where it does not.
void* memory_of(JNIEnv* env, jobject buffer, size_t bytes) {
  const jlong capacity = env->GetDirectBufferCapacity(buffer);
  const bool holds = capacity >= 0 && static_cast<uint64_t>(capacity) >= bytes;
  return holds ? env->GetDirectBufferAddress(buffer) : nullptr;
}

}  // namespace

extern "C" JNIEXPORT jlong JNICALL Java_larqdense_xnor_XnorEngine_open(JNIEnv* env, jclass,
                                                                       jobject file) {
  char message[256] = "the file is not in a direct buffer";
  larq_dense_engine* engine = nullptr;
  const void* bytes = memory_of(env, file, 0);
  if (bytes != nullptr) {
    const auto size = static_cast<size_t>(env->GetDirectBufferCapacity(file));
    larq_dense_engine_open(bytes, size, nullptr, &engine, message, sizeof message);
  }
  if (engine == nullptr) refuse(env, message);
  return static_cast<jlong>(reinterpret_cast<intptr_t>(engine));
}

extern "C" JNIEXPORT void JNICALL Java_larqdense_xnor_XnorEngine_close(JNIEnv*, jclass,
                                                                       jlong handle) {
  larq_dense_engine_close(engine_of(handle));
}

// Writes type, rank, six sizes, scale and zero point, of four bytes each.
extern "C" JNIEXPORT jint JNICALL Java_larqdense_xnor_XnorEngine_describe(JNIEnv* env, jclass,
                                                                          jlong handle, jint end,
                                                                          jobject description) {
  larq_dense_tensor tensor;
  constexpr size_t kBytes = offsetof(larq_dense_tensor, zero_point) + sizeof tensor.zero_point;
  void* memory = memory_of(env, description, kBytes);
  const auto describe = end == 0 ? larq_dense_engine_input : larq_dense_engine_output;
  const auto count = end == 0 ? larq_dense_engine_input_count : larq_dense_engine_output_count;
  if (memory == nullptr || count(engine_of(handle)) != 1 ||
      describe(engine_of(handle), 0, &tensor) != LARQ_DENSE_OK) {
    return LARQ_DENSE_BAD_ARGUMENT;
  }
  memcpy(memory, &tensor, kBytes);
  return LARQ_DENSE_OK;
}

extern "C" JNIEXPORT void JNICALL Java_larqdense_xnor_XnorEngine_run(JNIEnv* env, jclass,
                                                                     jlong handle, jobject input,
                                                                     jobject output, jint threads) {
  larq_dense_engine* engine = engine_of(handle);
  larq_dense_tensor in, out;
  larq_dense_engine_input(engine, 0, &in);
  larq_dense_engine_output(engine, 0, &out);
  const void* inputs[] = {memory_of(env, input, in.bytes)};
  void* outputs[] = {memory_of(env, output, out.bytes)};
  char message[256];
  if (larq_dense_engine_run(engine, inputs, outputs, threads, message, sizeof message) !=
      LARQ_DENSE_OK) {
    refuse(env, message);
  }
}
