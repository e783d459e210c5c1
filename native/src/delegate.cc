// The plug-in that an unmodified TensorFlow Lite or LiteRT interpreter loads.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "partition.h"

#define LARQ_DENSE_EXPORT extern "C" __attribute__((visibility("default")))

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

struct Node {
  Delegate* delegate = nullptr;
  Partition partition;
};

bool plausible_pointer(const void* pointer, size_t alignment) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  return address >= 4096 && address % alignment == 0;
}

// Whether the interpreter's structs look like those of tflite_abi.h: constant tensors tell, since
// their type, shape and size in bytes must agree.
const char* check_layout(TfLiteContext* context) {
  const char* unknown =
      "larq_dense: this interpreter's structures are laid out in a way that the XNOR delegate does "
      "not know";
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
        element_size(tensor.type) == 0 || !read_shape(tensor, &shape) ||
        !count_elements(shape, &count) ||
        !checked_mul(count, element_size(tensor.type), &count)) {
      continue;
    }
    if (tensor.bytes != count) return unknown;
  }
  return nullptr;
}

void* init_node(TfLiteContext* context, const char* buffer, size_t) {
  const TfLiteDelegateParams* params = reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  Node* node = create<Node>();
  if (node == nullptr) return nullptr;
  node->delegate = static_cast<Delegate*>(params->delegate->data);
  node->partition.init(context, *params, node->delegate->kernels);
  return node;
}

void free_node(TfLiteContext*, void* data) { destroy(static_cast<Node*>(data)); }

TfLiteStatus report(TfLiteContext* context, const char* error) {
  if (error == nullptr) return kTfLiteOk;
  context->ReportError(context, "larq_dense: %s.", error);
  return kTfLiteError;
}

TfLiteStatus prepare_node(TfLiteContext* context, TfLiteNode* tflite_node) {
  Node* node = static_cast<Node*>(tflite_node->user_data);
  if (node == nullptr) return report(context, "out of memory");
  Delegate* delegate = node->delegate;
  const int wanted = delegate->threads > 0 ? delegate->threads : context->recommended_num_threads;
  delegate->pool.resize(wanted);
  return report(context, node->partition.prepare(context));
}

TfLiteStatus invoke_node(TfLiteContext* context, TfLiteNode* tflite_node) {
  Node* node = static_cast<Node*>(tflite_node->user_data);
  return report(context, node->partition.invoke(context, &node->delegate->pool));
}

// Marks the nodes to claim: all of LCE's, and the operators between that touch a claimed one.
const char* choose_nodes(TfLiteContext* context, const Delegate& delegate,
                         const TfLiteIntArray& plan, Array<bool>* chosen) {
  const size_t count = static_cast<size_t>(plan.size);
  Array<bool> candidate, wet;  // wet: a tensor that a chosen node reads or writes
  if (!chosen->allocate(count) || !candidate.allocate(count) ||
      !wet.allocate(context->tensors_size)) {
    return "larq_dense: out of memory";
  }
  // The plan's array may be invalidated by a later GetExecutionPlan, not by what is called here.
  const auto for_tensors = [&](const TfLiteNode& node, auto function) {
    const TfLiteIntArray* const lists[2] = {node.inputs, node.outputs};
    for (const TfLiteIntArray* list : lists) {
      if (list == nullptr) continue;
      for (int i = 0; i < list->size; ++i) {
        const int tensor = list->data[i];
        if (tensor < 0 || static_cast<size_t>(tensor) >= context->tensors_size) continue;
        if (!is_constant(context->tensors[tensor])) function(static_cast<size_t>(tensor));
      }
    }
  };
  bool any = false;
  for (bool changed = true, first = true; changed; first = false) {
    changed = false;
    for (size_t i = 0; i < count; ++i) {
      if ((*chosen)[i]) continue;
      TfLiteNode* node = nullptr;
      TfLiteRegistration* registration = nullptr;
      if (context->GetNodeAndRegistration(context, plan.data[i], &node, &registration) !=
          kTfLiteOk) {
        return "larq_dense: a node cannot be read";
      }
      bool take = false;
      if (first) {
        take = is_lce_node(*registration);
        candidate[i] = !take && delegate.fuse &&
                       is_glue_node(context, *delegate.kernels, plan, *node, *registration);
      } else if (candidate[i]) {
        // XNNPACK would round this one's ties otherwise than LCE's interpreter, wherever it stands.
        take = any && registration->builtin_code == kTfLiteBuiltinResizeBilinear;
        for_tensors(*node, [&](size_t tensor) { take = take || wet[tensor]; });
      }
      if (!take) continue;
      (*chosen)[i] = any = changed = true;
      for_tensors(*node, [&](size_t tensor) { wet[tensor] = true; });
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
    error = "larq_dense: the interpreter has no execution plan";
  }
  Array<bool> chosen;
  if (error == nullptr) error = choose_nodes(context, *delegate, *plan, &chosen);
  TfLiteIntArray* nodes = nullptr;
  if (error == nullptr) {
    nodes = static_cast<TfLiteIntArray*>(
        malloc(sizeof(TfLiteIntArray) + sizeof(int) * static_cast<size_t>(plan->size)));
    if (nodes == nullptr) error = "larq_dense: out of memory";
  }
  if (error != nullptr) {
    context->ReportError(context, "%s.", error);
    return kTfLiteError;
  }
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
    if (*value != '\0' && *end == '\0' && threads >= 0 && threads <= 64) {
      delegate->threads = static_cast<int>(threads);
      return true;
    }
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
