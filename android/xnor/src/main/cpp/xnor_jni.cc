// The native side of larqdense.xnor.XnorDelegate: from Java to the delegate's two symbols.
#include <jni.h>
#include <stdint.h>
#include <stdio.h>

struct TfLiteDelegate;

// Both stand in native/src/delegate.cc.
extern "C" TfLiteDelegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count,
                                                         void (*report)(const char*));
extern "C" void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate);

namespace {

// The report carries no context; it comes during the call and on its thread.
thread_local JNIEnv* caller = nullptr;

void throw_refusal(const char* sentence) {
  jclass type = caller->FindClass("java/lang/IllegalArgumentException");
  if (type != nullptr) caller->ThrowNew(type, sentence);
}

}  // namespace

extern "C" JNIEXPORT jlong JNICALL Java_larqdense_xnor_XnorDelegate_create(JNIEnv* env, jclass,
                                                                           jint threads) {
  char key[] = "num_threads";
  char value[12];
  snprintf(value, sizeof value, "%d", static_cast<int>(threads));
  char* keys[] = {key};
  char* values[] = {value};
  caller = env;
  TfLiteDelegate* delegate = tflite_plugin_create_delegate(keys, values, 1, throw_refusal);
  return static_cast<jlong>(reinterpret_cast<intptr_t>(delegate));
}

extern "C" JNIEXPORT void JNICALL Java_larqdense_xnor_XnorDelegate_destroy(JNIEnv*, jclass,
                                                                           jlong handle) {
  tflite_plugin_destroy_delegate(
      reinterpret_cast<TfLiteDelegate*>(static_cast<intptr_t>(handle)));
}
