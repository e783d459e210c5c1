// The few structs of TensorFlow Lite's public C API that a delegate needs.
//
// No wheel or distribution package ships the C header, so the layout is declared here and pinned
// with static_asserts. It has been stable from TensorFlow 2.15 to 2.19 and ai-edge-litert 1.4 to
// 2.3; `check_layout` in delegate.cc refuses an interpreter whose structs do not look like this.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

enum TfLiteType {
  kTfLiteNoType = 0,
  kTfLiteFloat32 = 1,
  kTfLiteInt32 = 2,
  kTfLiteBool = 6,
  kTfLiteInt8 = 9,
};

enum TfLiteAllocationType { kTfLiteMmapRo = 1, kTfLiteDynamic = 4 };

struct TfLiteIntArray {
  int size;
  int data[1];  // `size` entries follow
};

struct TfLiteFloatArray {
  int size;
  float data[1];  // `size` entries follow
};

enum { kTfLiteAffineQuantization = 1 };

// What a tensor's `quantization_params` are of that type: one range, or one for each channel.
struct TfLiteAffineParams {
  TfLiteFloatArray* scale;
  TfLiteIntArray* zero_point;
  int32_t dimension;
};

struct TfLiteQuantizationParams {
  float scale;
  int32_t zero_point;
};

struct TfLiteDelegate;
struct TfLiteContext;
struct TfLiteNode;

struct TfLiteTensor {
  int type;
  void* data;
  TfLiteIntArray* dims;
  TfLiteQuantizationParams params;
  int allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  TfLiteDelegate* delegate;
  int buffer_handle;
  bool data_is_stale;
  bool is_variable;
  int quantization_type;
  void* quantization_params;
  void* sparsity;
  const TfLiteIntArray* dims_signature;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  TfLiteIntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
  TfLiteDelegate* delegate;
  bool might_have_side_effect;
};

struct TfLiteRegistration {
  void* (*init)(TfLiteContext*, const char* buffer, size_t length);
  void (*free)(TfLiteContext*, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext*, TfLiteNode*);
  TfLiteStatus (*invoke)(TfLiteContext*, TfLiteNode*);
  const char* (*profiling_string)(const TfLiteContext*, const TfLiteNode*);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* (*async_kernel)(TfLiteContext*, TfLiteNode*);
  uint64_t inplace_operator;
};

struct TfLiteDelegateParams {
  TfLiteDelegate* delegate;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

struct TfLiteContext {
  size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(TfLiteContext*, TfLiteIntArray** execution_plan);
  TfLiteTensor* tensors;
  void* impl;
  // Takes ownership of `new_size`, which the interpreter frees with free().
  TfLiteStatus (*ResizeTensor)(TfLiteContext*, TfLiteTensor*, TfLiteIntArray* new_size);
  void (*ReportError)(TfLiteContext*, const char* format, ...);
  TfLiteStatus (*AddTensors)(TfLiteContext*, int tensors_to_add, int* first_new_tensor_index);
  TfLiteStatus (*GetNodeAndRegistration)(TfLiteContext*, int node_index, TfLiteNode**,
                                         TfLiteRegistration**);
  TfLiteStatus (*ReplaceNodeSubsetsWithDelegateKernels)(TfLiteContext*, TfLiteRegistration,
                                                        const TfLiteIntArray* nodes_to_replace,
                                                        TfLiteDelegate*);
  int recommended_num_threads;
  // More members follow, none of which is used here.
};

enum { kTfLiteDelegateFlagsAllowDynamicTensors = 1 };

struct TfLiteDelegate {
  void* data;
  TfLiteStatus (*Prepare)(TfLiteContext*, TfLiteDelegate*);
  TfLiteStatus (*CopyFromBufferHandle)(TfLiteContext*, TfLiteDelegate*, int, TfLiteTensor*);
  TfLiteStatus (*CopyToBufferHandle)(TfLiteContext*, TfLiteDelegate*, int, TfLiteTensor*);
  void (*FreeBufferHandle)(TfLiteContext*, TfLiteDelegate*, int* handle);
  int64_t flags;
  void* opaque_delegate_builder;
};

}  // extern "C"

// Options of the built-in operators that the delegate may claim (builtin_op_data.h).
struct TfLiteAddParams {
  int activation;
  bool pot_scale_int16;
};
enum TfLitePadding { kTfLitePaddingSame = 1, kTfLitePaddingValid = 2 };
struct TfLiteConvParams {
  int padding;
  int stride_width;
  int stride_height;
  int activation;
  int dilation_width;
  int dilation_height;
};
struct TfLiteDepthwiseConvParams {
  int padding;
  int stride_width;
  int stride_height;
  int depth_multiplier;
  int activation;
  int dilation_width;
  int dilation_height;
};
struct TfLitePoolParams {
  int padding;
  int stride_width;
  int stride_height;
  int filter_width;
  int filter_height;
  int activation;
  int computed[4];  // the padding, for the interpreter's own kernels
};
struct TfLiteMulParams {
  int activation;
};
struct TfLiteDepthToSpaceParams {
  int block_size;
};
struct TfLiteConcatenationParams {
  int axis;
  int activation;
};
struct TfLiteReducerParams {
  bool keep_dims;
};
struct TfLiteResizeBilinearParams {
  bool align_corners;
  bool half_pixel_centers;
};
struct TfLiteResizeNearestNeighborParams {
  bool align_corners;
  bool half_pixel_centers;
};

#if UINTPTR_MAX == UINT64_MAX
static_assert(offsetof(TfLiteTensor, data) == 8);
static_assert(offsetof(TfLiteTensor, dims) == 16);
static_assert(offsetof(TfLiteTensor, params) == 24);
static_assert(offsetof(TfLiteTensor, allocation_type) == 32);
static_assert(offsetof(TfLiteTensor, bytes) == 40);
static_assert(offsetof(TfLiteTensor, buffer_handle) == 72);
static_assert(offsetof(TfLiteTensor, quantization_type) == 80);
static_assert(offsetof(TfLiteTensor, quantization_params) == 88);
static_assert(sizeof(TfLiteTensor) == 112);
static_assert(offsetof(TfLiteNode, builtin_data) == 40);
static_assert(offsetof(TfLiteNode, custom_initial_data) == 48);
static_assert(offsetof(TfLiteNode, custom_initial_data_size) == 56);
static_assert(sizeof(TfLiteNode) == 80);
static_assert(offsetof(TfLiteRegistration, builtin_code) == 40);
static_assert(offsetof(TfLiteRegistration, custom_name) == 48);
static_assert(sizeof(TfLiteRegistration) == 88);
static_assert(offsetof(TfLiteContext, tensors) == 16);
static_assert(offsetof(TfLiteContext, ResizeTensor) == 32);
static_assert(offsetof(TfLiteContext, ReplaceNodeSubsetsWithDelegateKernels) == 64);
static_assert(offsetof(TfLiteContext, recommended_num_threads) == 72);
static_assert(offsetof(TfLiteDelegate, flags) == 40);
static_assert(sizeof(TfLiteDelegate) == 56);
#endif
