// The plug-in that an unmodified TensorFlow Lite or LiteRT interpreter loads.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../include/larq_dense_engine.h"
#include "memory.h"
#include "partition.h"
#include "tflite_abi.h"

#define LARQ_DENSE_EXPORT extern "C" LARQ_DENSE_API

namespace larq_dense {
namespace {

using Report = void (*)(const char*);

// One for each loaded delegate; the partitions of an interpreter share its threads.
struct Delegate {
  TfLiteDelegate base = {};
  const Kernels* kernels = nullptr;
  int threads = 0;  // 0: as many as the interpreter recommends
  bool fuse = true;
  ThreadPool pool;
};

// What the interpreter knows as one node.
struct Kernel {
  Delegate* delegate = nullptr;
  Graph graph;  // the nodes are read once, the tensors whenever their sizes may have changed
  Partition partition;
  const char* error = nullptr;  // from `init_node`, where the interpreter offers no way to fail
};

Type read_type(int type) {
  switch (type) {
    case kTfLiteFloat32:
      return Type::kFloat32;
    case kTfLiteInt32:
      return Type::kInt32;
    case kTfLiteBool:
      return Type::kBool;
    case kTfLiteInt8:
      return Type::kInt8;
    default:
      return Type::kOther;
  }
}

bool read_shape(const TfLiteTensor& tensor, Shape* shape) {
  if (tensor.dims == nullptr || tensor.dims->size < 0 || tensor.dims->size > kMaxDimensions) {
    return false;
  }
  shape->rank = tensor.dims->size;
  for (int i = 0; i < shape->rank; ++i) shape->dims[i] = tensor.dims->data[i];
  size_t count;
  return count_elements(*shape, &count);
}

bool is_constant(const TfLiteTensor& tensor) {
  return tensor.allocation_type == kTfLiteMmapRo && tensor.data != nullptr &&
         tensor.sparsity == nullptr;
}

void read_tensor(const TfLiteTensor& from, Tensor* to) {
  to->type = read_type(from.type);
  to->has_shape = read_shape(from, &to->shape);
  to->is_dynamic = from.allocation_type == kTfLiteDynamic;
  to->constant = is_constant(from) ? from.data : nullptr;
  to->bytes = from.bytes;
  to->scale = from.params.scale;
  to->zero_point = from.params.zero_point;
  const auto* ranges = static_cast<const TfLiteAffineParams*>(from.quantization_params);
  if (from.quantization_type != kTfLiteAffineQuantization || ranges == nullptr ||
      ranges->scale == nullptr) {
    return;
  }
  to->scales = ranges->scale->data;
  to->scale_count = ranges->scale->size;
  to->scale_dimension = ranges->dimension;
  for (int i = 0; ranges->zero_point != nullptr && i < ranges->zero_point->size; ++i) {
    to->all_zero_points_zero = to->all_zero_points_zero && ranges->zero_point->data[i] == 0;
  }
}

bool read_tensors(const TfLiteContext& context, Graph* graph) {
  if (graph->tensors.size() != context.tensors_size &&
      !graph->tensors.allocate(context.tensors_size)) {
    return false;
  }
  for (size_t i = 0; i < context.tensors_size; ++i) {
    graph->tensors[i] = Tensor();
    read_tensor(context.tensors[i], &graph->tensors[i]);
  }
  return true;
}

void read_padding(int padding, BuiltinOptions* options) {
  options->same_padding = padding == kTfLitePaddingSame;
  options->known_padding = options->same_padding || padding == kTfLitePaddingValid;
}

template <class Params>
void read_conv_options(const Params& params, BuiltinOptions* options) {
  options->activation = params.activation;
  read_padding(params.padding, options);
  options->stride_height = params.stride_height;
  options->stride_width = params.stride_width;
  options->dilation_height = params.dilation_height;
  options->dilation_width = params.dilation_width;
}

void read_options(int code, const void* data, BuiltinOptions* options) {
  switch (code) {
    case kBuiltinAdd:
      options->activation = static_cast<const TfLiteAddParams*>(data)->activation;
      return;
    case kBuiltinMul:
      options->activation = static_cast<const TfLiteMulParams*>(data)->activation;
      return;
    case kBuiltinConv2d:
      return read_conv_options(*static_cast<const TfLiteConvParams*>(data), options);
    case kBuiltinDepthwiseConv2d: {
      const auto* params = static_cast<const TfLiteDepthwiseConvParams*>(data);
      options->depth_multiplier = params->depth_multiplier;
      return read_conv_options(*params, options);
    }
    case kBuiltinMaxPool2d: {
      const auto* params = static_cast<const TfLitePoolParams*>(data);
      read_padding(params->padding, options);
      options->stride_height = params->stride_height;
      options->stride_width = params->stride_width;
      options->filter_height = params->filter_height;
      options->filter_width = params->filter_width;
      options->activation = params->activation;
      return;
    }
    case kBuiltinConcatenation: {
      const auto* params = static_cast<const TfLiteConcatenationParams*>(data);
      options->axis = params->axis;
      options->activation = params->activation;
      return;
    }
    case kBuiltinDepthToSpace:
      options->block_size = static_cast<const TfLiteDepthToSpaceParams*>(data)->block_size;
      return;
    case kBuiltinMean:
      options->keep_dims = static_cast<const TfLiteReducerParams*>(data)->keep_dims;
      return;
    case kBuiltinResizeBilinear: {
      const auto* params = static_cast<const TfLiteResizeBilinearParams*>(data);
      options->align_corners = params->align_corners;
      options->half_pixel_centers = params->half_pixel_centers;
      return;
    }
    case kBuiltinResizeNearestNeighbor: {
      const auto* params = static_cast<const TfLiteResizeNearestNeighborParams*>(data);
      options->align_corners = params->align_corners;
      options->half_pixel_centers = params->half_pixel_centers;
      return;
    }
    default:
      return;
  }
}

void read_node(const TfLiteNode& from, const TfLiteRegistration& registration, Node* to) {
  to->code = registration.builtin_code;
  to->custom_name = registration.custom_name;
  if (from.inputs != nullptr) {
    to->input_count = from.inputs->size <= kMaxInputs ? from.inputs->size : -1;
    for (int i = 0; i < to->input_count; ++i) to->inputs[i] = from.inputs->data[i];
  }
  if (from.outputs != nullptr) {
    to->output_count = from.outputs->size;
    if (to->output_count > 0) to->output = from.outputs->data[0];
  }
  if (to->custom_name != nullptr) {
    to->custom_options = from.custom_initial_data;
    to->custom_size = from.custom_initial_data_size > 0
                          ? static_cast<size_t>(from.custom_initial_data_size)
                          : 0;
  } else if (from.builtin_data != nullptr) {
    to->has_options = true;
    read_options(to->code, from.builtin_data, &to->options);
  }
}

// Reads the nodes that a plan or a list names, and all tensors.
const char* read_graph(TfLiteContext* context, const TfLiteIntArray& nodes, Graph* graph) {
  if (!read_tensors(*context, graph)) return kNoMemory;
  for (int i = 0; i < nodes.size; ++i) {
    TfLiteNode* node = nullptr;
    TfLiteRegistration* registration = nullptr;
    if (context->GetNodeAndRegistration(context, nodes.data[i], &node, &registration) !=
        kTfLiteOk) {
      return "a node cannot be read";
    }
    Node* read = graph->nodes.append();
    if (read == nullptr) return kNoMemory;
    read_node(*node, *registration, read);
  }
  return nullptr;
}

bool plausible_pointer(const void* pointer, size_t alignment) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  return address >= 4096 && address % alignment == 0;
}

// Whether the interpreter's structs look like those of tflite_abi.h: constant tensors tell, since
// their type, shape and size in bytes must agree.
const char* check_layout(TfLiteContext* context) {
  const char* unknown =
      "this interpreter's structures are laid out in a way that the XNOR delegate does not know";
  if (context->tensors_size > (size_t{1} << 28) ||
      !plausible_pointer(context->tensors, alignof(TfLiteTensor)) ||
      context->GetExecutionPlan == nullptr || context->GetNodeAndRegistration == nullptr ||
      context->ReplaceNodeSubsetsWithDelegateKernels == nullptr ||
      context->ResizeTensor == nullptr || context->recommended_num_threads < -1 ||
      context->recommended_num_threads > 65536) {
    return unknown;
  }
  for (size_t i = 0; i < context->tensors_size; ++i) {
    const TfLiteTensor& tensor = context->tensors[i];
    if (tensor.type < 0 || tensor.type > 64 || tensor.allocation_type < 0 ||
        tensor.allocation_type > 16 ||
        (tensor.dims != nullptr && !plausible_pointer(tensor.dims, alignof(TfLiteIntArray)))) {
      return unknown;
    }
    Shape shape;
    size_t count;
    // A sparse constant holds fewer bytes than its shape says.
    if (tensor.allocation_type != kTfLiteMmapRo || tensor.sparsity != nullptr ||
        element_size(read_type(tensor.type)) == 0 || !read_shape(tensor, &shape) ||
        !count_elements(shape, &count) ||
        !checked_mul(count, element_size(read_type(tensor.type)), &count)) {
      continue;
    }
    if (tensor.bytes != count) return unknown;
  }
  return nullptr;
}

void* init_node(TfLiteContext* context, const char* buffer, size_t) {
  const TfLiteDelegateParams* params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  Kernel* kernel = create<Kernel>();
  if (kernel == nullptr) return nullptr;
  kernel->delegate = static_cast<Delegate*>(params->delegate->data);
  Array<int> outputs;
  const TfLiteIntArray* written = params->output_tensors;
  if (!outputs.allocate(written == nullptr ? 0 : static_cast<size_t>(written->size))) {
    kernel->error = kNoMemory;
  }
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = written->data[i];
  if (kernel->error == nullptr) {
    kernel->error = read_graph(context, *params->nodes_to_replace, &kernel->graph);
  }
  if (kernel->error == nullptr) {
    kernel->error = kernel->partition.init(kernel->graph, kernel->delegate->kernels, outputs);
  }
  return kernel;
}

void free_node(TfLiteContext*, void* data) { destroy(static_cast<Kernel*>(data)); }

// Gives the interpreter's tensors the sizes of what the partition writes into them.
const char* resize_outputs(TfLiteContext* context, const Partition& partition) {
  for (size_t v = 0; v < partition.values().size(); ++v) {
    const Value& value = partition.values()[v];
    if (!value.escapes || value.producer < 0) continue;
    TfLiteTensor* tensor = &context->tensors[value.tensor];
    Shape now;
    if (read_shape(*tensor, &now) && now == value.shape && tensor->bytes == value.bytes) continue;
    const size_t size = sizeof(TfLiteIntArray) + sizeof(int) * static_cast<size_t>(kMaxDimensions);
    TfLiteIntArray* dims = static_cast<TfLiteIntArray*>(malloc(size));
    if (dims == nullptr) return kNoMemory;
    dims->size = value.shape.rank;
    for (int i = 0; i < value.shape.rank; ++i) dims->data[i] = value.shape.dims[i];
    if (context->ResizeTensor(context, tensor, dims) != kTfLiteOk) {
      return "an output cannot be resized";
    }
  }
  return nullptr;
}

TfLiteStatus report(TfLiteContext* context, const char* error) {
  if (error == nullptr) return kTfLiteOk;
  context->ReportError(context, "larq_dense: %s.", error);
  return kTfLiteError;
}

TfLiteStatus prepare_node(TfLiteContext* context, TfLiteNode* node) {
  Kernel* kernel = static_cast<Kernel*>(node->user_data);
  if (kernel == nullptr) return report(context, kNoMemory);
  Delegate* delegate = kernel->delegate;
  const int wanted = delegate->threads > 0 ? delegate->threads : context->recommended_num_threads;
  delegate->pool.resize(wanted);
  const char* error = kernel->error;
  if (error == nullptr && !read_tensors(*context, &kernel->graph)) error = kNoMemory;
  if (error == nullptr) error = kernel->partition.prepare(kernel->graph);
  if (error == nullptr) error = resize_outputs(context, kernel->partition);
  return report(context, error);
}

TfLiteStatus invoke_node(TfLiteContext* context, TfLiteNode* node) {
  Kernel* kernel = static_cast<Kernel*>(node->user_data);
  const auto find = [context](int tensor, size_t* bytes) {
    *bytes = context->tensors[tensor].bytes;
    return context->tensors[tensor].data;
  };
  return report(context, kernel->partition.invoke(find, &kernel->delegate->pool));
}

// Marks the nodes to claim: all of LCE's, and the operators between that touch a claimed one.
const char* choose_nodes(const Graph& graph, const Delegate& delegate, Array<bool>* chosen) {
  const size_t count = graph.nodes.size();
  Array<bool> candidate, wet;  // wet: a tensor that a chosen node reads or writes
  if (!chosen->allocate(count) || !candidate.allocate(count) ||
      !wet.allocate(graph.tensors.size())) {
    return kNoMemory;
  }
  const auto for_tensors = [&](const Node& node, auto function) {
    const auto touch = [&](int32_t tensor) {
      if (graph.has(tensor) && graph.tensor(tensor).constant == nullptr) {
        function(static_cast<size_t>(tensor));
      }
    };
    for (int i = 0; i < node.input_count; ++i) touch(node.inputs[i]);
    touch(node.output);
  };
  bool any = false;
  for (bool changed = true, first = true; changed; first = false) {
    changed = false;
    for (size_t i = 0; i < count; ++i) {
      if ((*chosen)[i]) continue;
      const Node& node = graph.nodes[i];
      bool take = false;
      if (first) {
        take = is_lce_node(node);
        candidate[i] = !take && delegate.fuse && is_tflite_node(graph, *delegate.kernels, node);
      } else if (candidate[i]) {
        // XNNPACK would round this one's ties otherwise than LCE's interpreter, anywhere in the graph.
        take = any && node.code == kBuiltinResizeBilinear;
        for_tensors(node, [&](size_t tensor) { take = take || wet[tensor]; });
      }
      if (!take) continue;
      (*chosen)[i] = any = changed = true;
      for_tensors(node, [&](size_t tensor) { wet[tensor] = true; });
    }
    if (first) changed = true;
  }
  return nullptr;
}

TfLiteStatus prepare_delegate(TfLiteContext* context, TfLiteDelegate* tflite_delegate) {
  const Delegate* delegate = static_cast<Delegate*>(tflite_delegate->data);
  const char* error = check_layout(context);
  TfLiteIntArray* plan = nullptr;
  if (error == nullptr && context->GetExecutionPlan(context, &plan) != kTfLiteOk) {
    error = "the interpreter has no execution plan";
  }
  Graph graph;
  Array<bool> chosen;
  // The plan's array may be invalidated by a later GetExecutionPlan, not by what is called here.
  if (error == nullptr) error = read_graph(context, *plan, &graph);
  if (error == nullptr) error = choose_nodes(graph, *delegate, &chosen);
  TfLiteIntArray* nodes = nullptr;
  if (error == nullptr) {
    nodes = static_cast<TfLiteIntArray*>(
        malloc(sizeof(TfLiteIntArray) + sizeof(int) * static_cast<size_t>(plan->size)));
    if (nodes == nullptr) error = kNoMemory;
  }
  if (error != nullptr) return report(context, error);
  nodes->size = 0;
  for (int i = 0; i < plan->size; ++i) {
    if (chosen[static_cast<size_t>(i)]) nodes->data[nodes->size++] = plan->data[i];
  }
  TfLiteRegistration registration = {};
  registration.init = init_node;
  registration.free = free_node;
  registration.prepare = prepare_node;
  registration.invoke = invoke_node;
  registration.builtin_code = 51;  // kTfLiteBuiltinDelegate
  registration.custom_name = "LarqDenseXnor";
  registration.version = 1;
  TfLiteStatus status = kTfLiteOk;
  if (nodes->size > 0) {
    status = context->ReplaceNodeSubsetsWithDelegateKernels(context, registration, nodes,
                                                            tflite_delegate);
  }
  free(nodes);
  return status;
}

void destroy_delegate(Delegate* delegate) { destroy(delegate); }

// Reads an option; a sentence goes to `text` where it is wrong.
bool set_option(Delegate* delegate, const char* key, const char* value, char* text, size_t size) {
  if (strcmp(key, "num_threads") == 0) {
    char* end;
    const long threads = strtol(value, &end, 10);
    if (*value != '\0' && *end == '\0' && threads >= 0 && threads <= ThreadPool::kMaxThreads) {
      delegate->threads = static_cast<int>(threads);
      return true;
    }
    snprintf(text, size, "larq_dense: num_threads must be 0 to %d, not %.40s",
             ThreadPool::kMaxThreads, value);
    return false;
  } else if (strcmp(key, "instruction_set") == 0) {
    delegate->kernels = select_kernels(value);
    if (delegate->kernels != nullptr) return true;
  } else if (strcmp(key, "fuse") == 0) {
    if (strcmp(value, "0") == 0 || strcmp(value, "1") == 0) {
      delegate->fuse = *value == '1';
      return true;
    }
  }
  snprintf(text, size, "larq_dense: the XNOR delegate has no option %.40s=%.40s here", key, value);
  return false;
}

}  // namespace
}  // namespace larq_dense

using larq_dense::Delegate;

LARQ_DENSE_EXPORT TfLiteDelegate* tflite_plugin_create_delegate(char** keys, char** values,
                                                                size_t count,
                                                                void (*report)(const char*)) {
  const auto fail = [&](const char* sentence) -> TfLiteDelegate* {
    if (report != nullptr) report(sentence);
    return nullptr;
  };
  Delegate* delegate = larq_dense::create<Delegate>();
  if (delegate == nullptr) return fail("larq_dense: out of memory");
  char text[160];
  const char* wanted = getenv("LARQ_DENSE_XNOR_ISA");
  delegate->kernels = larq_dense::select_kernels(wanted);
  if (delegate->kernels == nullptr) {
    snprintf(text, sizeof text,
             "larq_dense: LARQ_DENSE_XNOR_ISA=%.40s names no instruction set of this processor",
             wanted);
    larq_dense::destroy_delegate(delegate);
    return fail(text);
  }
  for (size_t i = 0; i < count; ++i) {
    if (!larq_dense::set_option(delegate, keys[i], values[i], text, sizeof text)) {
      larq_dense::destroy_delegate(delegate);
      return fail(text);
    }
  }
  delegate->base.data = delegate;
  delegate->base.Prepare = larq_dense::prepare_delegate;
  // Without this flag the interpreter first prepares the original nodes, which it does not know.
  delegate->base.flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return &delegate->base;
}

LARQ_DENSE_EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  if (delegate != nullptr) larq_dense::destroy_delegate(static_cast<Delegate*>(delegate->data));
}

// For tests and benchmarks: the name of the i-th usable instruction set, best first, or null.
LARQ_DENSE_EXPORT const char* larq_dense_xnor_instruction_set(int i) {
  const larq_dense::Kernels* kernels = larq_dense::usable_kernels(i);
  return kernels == nullptr ? nullptr : kernels->name;
}

// Runs the register-only loop of an instruction set and returns the binary multiply-adds it did.
LARQ_DENSE_EXPORT uint64_t larq_dense_xnor_limit(const char* name, uint64_t iterations,
                                                 uint32_t* sum) {
  const larq_dense::Kernels* kernels = larq_dense::select_kernels(name);
  if (kernels == nullptr) return 0;
  *sum = kernels->limit_loop(iterations);
  return kernels->limit_macs * iterations;
}
