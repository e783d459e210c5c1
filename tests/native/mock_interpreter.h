// As much of TensorFlow Lite's interpreter as a delegate sees. Every tensor lies in memory of
// exactly its size, so that AddressSanitizer notices a read or write outside it.
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <string>
#include <vector>

#include "../../native/src/graph.h"
#include "../../native/src/tflite_abi.h"

extern "C" TfLiteDelegate* tflite_plugin_create_delegate(char** keys, char** values, size_t count,
                                                         void (*report)(const char*));
extern "C" void tflite_plugin_destroy_delegate(TfLiteDelegate*);

class MockInterpreter {
 public:
  static constexpr size_t kLargestTensor = size_t{1} << 22;

  MockInterpreter() {
    context_ = {};
    context_.impl = this;
    context_.GetExecutionPlan = [](TfLiteContext* c, TfLiteIntArray** plan) {
      *plan = self(c)->plan_.get();
      return kTfLiteOk;
    };
    context_.GetNodeAndRegistration = [](TfLiteContext* c, int i, TfLiteNode** node,
                                         TfLiteRegistration** registration) {
      *node = &self(c)->nodes_[static_cast<size_t>(i)]->node;
      *registration = &self(c)->nodes_[static_cast<size_t>(i)]->registration;
      return kTfLiteOk;
    };
    context_.ResizeTensor = [](TfLiteContext* c, TfLiteTensor* tensor, TfLiteIntArray* dims) {
      self(c)->resize(tensor, dims);
      return kTfLiteOk;
    };
    context_.ReportError = report;
    context_.ReplaceNodeSubsetsWithDelegateKernels =
        [](TfLiteContext* c, TfLiteRegistration registration, const TfLiteIntArray* nodes,
           TfLiteDelegate* delegate) {
          return self(c)->replace(registration, *nodes, delegate);
        };
    context_.recommended_num_threads = 1;
  }

  ~MockInterpreter() {
    if (kernel_.registration.free != nullptr) {
      kernel_.registration.free(&context_, kernel_.node.user_data);
    }
    if (delegate_ != nullptr) tflite_plugin_destroy_delegate(delegate_);
    for (TfLiteTensor& tensor : tensors_) {
      free(tensor.dims);
      free(tensor.data);
      if (tensor.quantization_params == nullptr) continue;
      free(static_cast<TfLiteAffineParams*>(tensor.quantization_params)->scale);
      free(tensor.quantization_params);
    }
  }

  // Adds a tensor; a constant one gets the bytes, others get memory when it is due.
  int tensor(int type, const std::vector<int>& dims, const void* constant = nullptr,
             size_t bytes = 0, float scale = 0.0f, int zero_point = 0) {
    TfLiteTensor t = {};
    t.type = type;
    t.dims = ints(dims);
    t.params = {scale, zero_point};
    t.allocation_type = 2;  // the arena
    t.bytes = size_of(t);
    if (constant != nullptr) {
      t.allocation_type = kTfLiteMmapRo;
      t.data = malloc(bytes);
      memcpy(t.data, constant, bytes);
      t.bytes = bytes;
    }
    tensors_.push_back(t);
    return static_cast<int>(tensors_.size()) - 1;
  }

  // Gives a tensor a scale for each of a dimension.
  void set_scales(int tensor, const std::vector<float>& scales, int dimension) {
    auto* params = static_cast<TfLiteAffineParams*>(calloc(1, sizeof(TfLiteAffineParams)));
    params->scale =
        static_cast<TfLiteFloatArray*>(malloc(sizeof(int) + sizeof(float) * (scales.size() + 1)));
    params->scale->size = static_cast<int>(scales.size());
    params->dimension = dimension;
    for (size_t i = 0; i < scales.size(); ++i) params->scale->data[i] = scales[i];
    TfLiteTensor& t = tensors_[static_cast<size_t>(tensor)];
    t.quantization_type = kTfLiteAffineQuantization;
    t.quantization_params = params;
  }

  void custom(const char* name, const std::vector<int>& inputs, int output,
              const std::vector<uint8_t>& options) {
    Node& node = add(inputs, output);
    node.options.assign(options.begin(), options.end());
    node.registration.custom_name = name;
    node.registration.builtin_code = larq_dense::kBuiltinCustom;
    node.node.custom_initial_data = node.options.data();
    node.node.custom_initial_data_size = static_cast<int>(node.options.size());
  }

  void builtin(int code, const std::vector<int>& inputs, int output,
               const std::vector<int>& options) {
    Node& node = add(inputs, output);
    node.registration.builtin_code = code;
    for (size_t i = 0; i < options.size(); ++i) node.builtin_option[i] = options[i];
    node.node.builtin_data = node.builtin_option;
  }
  void builtin(int code, const std::vector<int>& inputs, int output, int option) {
    builtin(code, inputs, output, std::vector<int>{option});
  }

  // Delegates the graph as the interpreter does; `inputs` and `outputs` are the graph's own.
  TfLiteStatus allocate(const std::vector<int>& inputs, const std::vector<int>& outputs,
                        const char* instruction_set, int threads) {
    inputs_ = inputs;
    outputs_ = outputs;
    std::vector<int> all(nodes_.size());
    for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int>(i);
    plan_.reset(ints(all));
    context_.tensors = tensors_.data();
    context_.tensors_size = tensors_.size();
    context_.recommended_num_threads = threads;
    char key[] = "instruction_set";
    std::string value = instruction_set;
    char* keys[] = {key};
    char* values[] = {value.data()};
    delegate_ = tflite_plugin_create_delegate(keys, values, 1, nullptr);
    if (delegate_ == nullptr) return kTfLiteError;
    const TfLiteStatus status = delegate_->Prepare(&context_, delegate_);
    if (status != kTfLiteOk || kernel_.registration.prepare == nullptr) return kTfLiteError;
    return prepare();
  }

  TfLiteStatus prepare() {
    const TfLiteStatus status = kernel_.registration.prepare(&context_, &kernel_.node);
    if (status != kTfLiteOk) return status;
    for (const std::vector<int>* list : {&inputs_, &outputs_}) {
      for (int i : *list) give_memory(&tensors_[static_cast<size_t>(i)]);
    }
    return kTfLiteOk;
  }

  TfLiteStatus invoke() { return kernel_.registration.invoke(&context_, &kernel_.node); }

  void set_shape(int tensor, const std::vector<int>& dims) {
    resize(&tensors_[static_cast<size_t>(tensor)], ints(dims));
  }

  TfLiteTensor& operator[](int tensor) { return tensors_[static_cast<size_t>(tensor)]; }

  std::string error;

 private:
  struct Node {
    TfLiteNode node = {};
    TfLiteRegistration registration = {};
    std::vector<uint8_t> options;
    int builtin_option[8] = {};
    std::unique_ptr<TfLiteIntArray, void (*)(void*)> inputs{nullptr, free};
    std::unique_ptr<TfLiteIntArray, void (*)(void*)> outputs{nullptr, free};
  };

  static MockInterpreter* self(TfLiteContext* context) {
    return static_cast<MockInterpreter*>(context->impl);
  }

  static void report(TfLiteContext* context, const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    self(context)->error = text;
  }

  static TfLiteIntArray* ints(const std::vector<int>& values) {
    TfLiteIntArray* array =
        static_cast<TfLiteIntArray*>(malloc(sizeof(int) * (values.size() + 2)));
    array->size = static_cast<int>(values.size());
    for (size_t i = 0; i < values.size(); ++i) array->data[i] = values[i];
    return array;
  }

  // 0 where a dimension is negative or the product too large for a test.
  static size_t size_of(const TfLiteTensor& tensor) {
    size_t bytes = tensor.type == kTfLiteFloat32 || tensor.type == kTfLiteInt32 ? 4 : 1;
    for (int i = 0; i < tensor.dims->size; ++i) {
      if (tensor.dims->data[i] < 0 ||
          __builtin_mul_overflow(bytes, static_cast<size_t>(tensor.dims->data[i]), &bytes)) {
        return 0;
      }
    }
    return bytes;
  }

  Node& add(const std::vector<int>& inputs, int output) {
    nodes_.push_back(std::make_unique<Node>());
    Node& node = *nodes_.back();
    node.inputs.reset(ints(inputs));
    node.outputs.reset(ints({output}));
    node.node.inputs = node.inputs.get();
    node.node.outputs = node.outputs.get();
    return node;
  }

  void resize(TfLiteTensor* tensor, TfLiteIntArray* dims) {
    free(tensor->dims);
    free(tensor->data);
    tensor->data = nullptr;
    tensor->dims = dims;
    tensor->bytes = size_of(*tensor);
  }

  void give_memory(TfLiteTensor* tensor) {
    if (tensor->data != nullptr) return;
    if (tensor->bytes > 0 && tensor->bytes <= kLargestTensor) {
      tensor->data = calloc(tensor->bytes, 1);
    }
  }

  TfLiteStatus replace(const TfLiteRegistration& registration, const TfLiteIntArray& nodes,
                       TfLiteDelegate* delegate) {
    std::vector<int> chosen(nodes.data, nodes.data + nodes.size);
    kernel_.registration = registration;
    std::unique_ptr<TfLiteIntArray, void (*)(void*)> replaced(ints(chosen), free);
    kernel_.inputs.reset(ints(inputs_));
    kernel_.outputs.reset(ints(outputs_));
    TfLiteDelegateParams params = {delegate, replaced.get(), kernel_.inputs.get(),
                                   kernel_.outputs.get()};
    kernel_.node.inputs = kernel_.inputs.get();
    kernel_.node.outputs = kernel_.outputs.get();
    kernel_.node.user_data =
        registration.init(&context_, reinterpret_cast<const char*>(&params), 0);
    return kTfLiteOk;
  }

  TfLiteContext context_;
  std::vector<TfLiteTensor> tensors_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::unique_ptr<TfLiteIntArray, void (*)(void*)> plan_{nullptr, free};
  std::vector<int> inputs_, outputs_;
  TfLiteDelegate* delegate_ = nullptr;
  Node kernel_;
};

// A FlexBuffer map from names to integers, all 4 bytes wide.
inline std::vector<uint8_t> flex_map(const std::vector<std::pair<std::string, int>>& sorted) {
  std::vector<uint8_t> out;
  const auto put = [&](uint32_t v) {
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<uint8_t>(v >> (8 * i)));
  };
  std::vector<size_t> names;
  for (const auto& entry : sorted) {
    names.push_back(out.size());
    out.insert(out.end(), entry.first.begin(), entry.first.end());
    out.push_back(0);
  }
  while (out.size() % 4 != 0) out.push_back(0);
  put(static_cast<uint32_t>(sorted.size()));
  const size_t keys = out.size();
  for (size_t name : names) put(static_cast<uint32_t>(out.size() - name));
  put(static_cast<uint32_t>(out.size() - keys));
  put(4);
  put(static_cast<uint32_t>(sorted.size()));
  const size_t values = out.size();
  for (const auto& entry : sorted) put(static_cast<uint32_t>(entry.second));
  for (size_t i = 0; i < sorted.size(); ++i) out.push_back(1 << 2 | 2);  // a 4-byte int
  out.push_back(static_cast<uint8_t>(out.size() - values));
  out.push_back(9 << 2 | 2);  // a map of 4-byte values
  out.push_back(1);
  return out;
}
