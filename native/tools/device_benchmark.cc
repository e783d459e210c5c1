// Times several models in turn on a phone: on stock LiteRT with XNNPACK, as Python's interpreter
// runs them, with the XNOR delegate in front or without.
//
//   device_benchmark LITERT XNOR PICTURE REPEATS CANDIDATE [CANDIDATE ...]
//
// LITERT is a library that exports TensorFlow Lite's C API, XNOR the delegate's library, PICTURE
// the bytes of the models' input. A CANDIDATE is ENGINE:THREADS:MODEL, its engine `xnor` or
// `litert`. Prints one JSON document with every repeat's milliseconds and leaves the first
// candidate's output in PICTURE.output.
//
// Written in C's terms, so that libc is all that the program needs on the phone.
#include <dlfcn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct TfLiteModel;
struct TfLiteInterpreterOptions;
struct TfLiteInterpreter;
struct TfLiteDelegate;
struct TfLiteTensor;

namespace {

[[noreturn]] void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputs(".\n", stderr);
  exit(1);
}

template <typename Function>
void find(void* library, const char* path, const char* name, Function** function) {
  *function = reinterpret_cast<Function*>(dlsym(library, name));
  if (*function == nullptr) fail("%s does not export %s", path, name);
}

void* open_library(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) fail("%s cannot be loaded: %s", path, dlerror());
  return library;
}

using Reporter = void(void*, const char*, va_list);

// What every version begins with, and room for what follows; only the library knows the rest.
struct XnnpackOptions {
  int32_t threads;
  char rest[1020];
};

// The part of TensorFlow Lite's C API that is called here; a status of 0 is success.
struct LiteRt {
  const char* (*version)();
  TfLiteModel* (*create_model)(const char*);
  TfLiteInterpreterOptions* (*create_options)();
  void (*set_threads)(TfLiteInterpreterOptions*, int32_t);
  void (*set_reporter)(TfLiteInterpreterOptions*, Reporter*, void*);
  void (*add_delegate)(TfLiteInterpreterOptions*, TfLiteDelegate*);
  TfLiteInterpreter* (*create_interpreter)(const TfLiteModel*, const TfLiteInterpreterOptions*);
  int (*allocate)(TfLiteInterpreter*);
  int (*invoke)(TfLiteInterpreter*);
  TfLiteTensor* (*input)(const TfLiteInterpreter*, int32_t);
  const TfLiteTensor* (*output)(const TfLiteInterpreter*, int32_t);
  size_t (*byte_size)(const TfLiteTensor*);
  int (*copy_in)(TfLiteTensor*, const void*, size_t);
  int (*copy_out)(const TfLiteTensor*, void*, size_t);
  XnnpackOptions (*xnnpack_options)();
  TfLiteDelegate* (*create_xnnpack)(const XnnpackOptions*);

  explicit LiteRt(const char* path) {
    void* library = open_library(path);
    find(library, path, "TfLiteVersion", &version);
    find(library, path, "TfLiteModelCreateFromFile", &create_model);
    find(library, path, "TfLiteInterpreterOptionsCreate", &create_options);
    find(library, path, "TfLiteInterpreterOptionsSetNumThreads", &set_threads);
    find(library, path, "TfLiteInterpreterOptionsSetErrorReporter", &set_reporter);
    find(library, path, "TfLiteInterpreterOptionsAddDelegate", &add_delegate);
    find(library, path, "TfLiteInterpreterCreate", &create_interpreter);
    find(library, path, "TfLiteInterpreterAllocateTensors", &allocate);
    find(library, path, "TfLiteInterpreterInvoke", &invoke);
    find(library, path, "TfLiteInterpreterGetInputTensor", &input);
    find(library, path, "TfLiteInterpreterGetOutputTensor", &output);
    find(library, path, "TfLiteTensorByteSize", &byte_size);
    find(library, path, "TfLiteTensorCopyFromBuffer", &copy_in);
    find(library, path, "TfLiteTensorCopyToBuffer", &copy_out);
    find(library, path, "TfLiteXNNPackDelegateOptionsDefault", &xnnpack_options);
    find(library, path, "TfLiteXNNPackDelegateCreate", &create_xnnpack);
  }
};

struct Xnor {
  TfLiteDelegate* (*create)(char**, char**, size_t, void (*)(const char*));
  const char* (*instruction_set)(int);

  explicit Xnor(const char* path) {
    void* library = open_library(path);
    find(library, path, "tflite_plugin_create_delegate", &create);
    find(library, path, "larq_dense_xnor_instruction_set", &instruction_set);
  }
};

struct Bytes {
  char* data;
  size_t size;
};

Bytes allocate(size_t size) {
  char* data = static_cast<char*>(malloc(size > 0 ? size : 1));
  if (data == nullptr) fail("out of memory");
  return {data, size};
}

Bytes read_file(const char* path) {
  FILE* file = fopen(path, "rb");
  if (file == nullptr || fseek(file, 0, SEEK_END) != 0) fail("%s cannot be read", path);
  const Bytes bytes = allocate(static_cast<size_t>(ftell(file)));
  rewind(file);
  if (fread(bytes.data, 1, bytes.size, file) != bytes.size) fail("%s cannot be read", path);
  fclose(file);
  return bytes;
}

void write_file(const char* path, const Bytes& bytes) {
  FILE* file = fopen(path, "wb");
  const bool written = file != nullptr && fwrite(bytes.data, 1, bytes.size, file) == bytes.size;
  if (!written || fclose(file) != 0) fail("%s cannot be written", path);
}

int read_number(const char* text) {
  char* end;
  const long number = strtol(text, &end, 10);
  if (end == text || *end != '\0' || number < 1 || number > 1000000) {
    fail("%s is no number from 1 to 1000000", text);
  }
  return static_cast<int>(number);
}

// What the interpreter or the delegate last complained of, for the sentence that ends the program.
char complaint[300] = "no reason given";

void keep_complaint(void*, const char* format, va_list arguments) {
  vsnprintf(complaint, sizeof complaint, format, arguments);
  const size_t length = strlen(complaint);
  if (length > 0 && complaint[length - 1] == '.') complaint[length - 1] = '\0';
}

void keep_sentence(const char* sentence) {
  snprintf(complaint, sizeof complaint, "%s", sentence);
}

struct Candidate {
  const char* path;
  TfLiteInterpreter* interpreter;
  Bytes output;
  double* milliseconds;
};

TfLiteDelegate* create_xnor(const Xnor& xnor, const char* threads) {
  // The plug-in's signature has no const; it writes to neither.
  char* keys[] = {const_cast<char*>("num_threads")};
  char* values[] = {const_cast<char*>(threads)};
  TfLiteDelegate* delegate = xnor.create(keys, values, 1, keep_sentence);
  if (delegate == nullptr) fail("no XNOR delegate: %s", complaint);
  return delegate;
}

// Through the C API the interpreter does not apply XNNPACK by itself.
TfLiteDelegate* create_xnnpack(const LiteRt& litert, int threads) {
  XnnpackOptions options = litert.xnnpack_options();
  options.threads = threads;
  TfLiteDelegate* delegate = litert.create_xnnpack(&options);
  if (delegate == nullptr) fail("LiteRT's XNNPACK does not run on this processor");
  return delegate;
}

// Reads ENGINE:THREADS:MODEL, whose text it takes apart, and gets the model ready to run.
Candidate open_candidate(const LiteRt& litert, const Xnor& xnor, char* text, int repeats,
                         const Bytes& picture) {
  char* threads = strchr(text, ':');
  char* path = threads == nullptr ? nullptr : strchr(threads + 1, ':');
  if (path == nullptr) fail("%s is not ENGINE:THREADS:MODEL", text);
  *threads++ = *path++ = '\0';
  const bool delegated = strcmp(text, "xnor") == 0;
  if (!delegated && strcmp(text, "litert") != 0) fail("there is no engine %s", text);

  TfLiteModel* model = litert.create_model(path);
  if (model == nullptr) fail("%s is no model that LiteRT can read", path);
  TfLiteInterpreterOptions* options = litert.create_options();
  litert.set_threads(options, read_number(threads));
  litert.set_reporter(options, keep_complaint, nullptr);
  if (delegated) litert.add_delegate(options, create_xnor(xnor, threads));
  litert.add_delegate(options, create_xnnpack(litert, read_number(threads)));
  TfLiteInterpreter* interpreter = litert.create_interpreter(model, options);
  if (interpreter == nullptr || litert.allocate(interpreter) != 0) {
    fail("LiteRT cannot run %s: %s", path, complaint);
  }
  const size_t wanted = litert.byte_size(litert.input(interpreter, 0));
  if (wanted != picture.size) {
    fail("%s takes %zu bytes, but the picture has %zu", path, wanted, picture.size);
  }
  const Bytes output = allocate(litert.byte_size(litert.output(interpreter, 0)));
  const Bytes times = allocate(sizeof(double) * static_cast<size_t>(repeats));
  return {path, interpreter, output, reinterpret_cast<double*>(times.data)};
}

double now_ms() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

double run(const LiteRt& litert, const Candidate& candidate, const Bytes& picture) {
  TfLiteInterpreter* interpreter = candidate.interpreter;
  const double start = now_ms();
  const bool done =
      litert.copy_in(litert.input(interpreter, 0), picture.data, picture.size) == 0 &&
      litert.invoke(interpreter) == 0 &&
      litert.copy_out(litert.output(interpreter, 0), candidate.output.data,
                      candidate.output.size) == 0;
  if (!done) fail("LiteRT failed to run %s: %s", candidate.path, complaint);
  return now_ms() - start;
}

void print(const LiteRt& litert, const Xnor& xnor, const Candidate* candidates, int count,
           int repeats) {
  printf("{\"tflite\": \"%s\", \"instruction_sets\": [", litert.version());
  const char* name;
  for (int i = 0; (name = xnor.instruction_set(i)) != nullptr; ++i) {
    printf("%s\"%s\"", i > 0 ? ", " : "", name);
  }
  printf("], \"milliseconds\": [");
  for (int i = 0; i < count; ++i) {
    printf("%s[", i > 0 ? ", " : "");
    for (int turn = 0; turn < repeats; ++turn) {
      printf("%s%.6f", turn > 0 ? ", " : "", candidates[i].milliseconds[turn]);
    }
    printf("]");
  }
  printf("]}\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) fail("usage: %s LITERT XNOR PICTURE REPEATS CANDIDATE [CANDIDATE ...]", argv[0]);
  const LiteRt litert(argv[1]);
  const Xnor xnor(argv[2]);
  const Bytes picture = read_file(argv[3]);
  const int repeats = read_number(argv[4]);
  const int count = argc - 5;
  const Bytes storage = allocate(sizeof(Candidate) * static_cast<size_t>(count));
  Candidate* candidates = reinterpret_cast<Candidate*>(storage.data);
  for (int i = 0; i < count; ++i) {
    candidates[i] = open_candidate(litert, xnor, argv[5 + i], repeats, picture);
  }
  // One run of each is not timed; then they take turns, so that whatever else the phone does, and
  // its growing warm, falls on all of them alike.
  for (int i = 0; i < count; ++i) run(litert, candidates[i], picture);
  for (int turn = 0; turn < repeats; ++turn) {
    for (int i = 0; i < count; ++i) {
      candidates[i].milliseconds[turn] = run(litert, candidates[i], picture);
    }
  }
  char path[4096];
  snprintf(path, sizeof path, "%s.output", argv[3]);
  write_file(path, candidates[0].output);
  print(litert, xnor, candidates, count, repeats);
  // The interpreters and the delegates' threads end with the process.
  return 0;
}
