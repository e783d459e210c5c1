#include "model.h"

#include <string.h>

#include "flatbuffer.h"

namespace larq_dense {
namespace {

// Fields of the tables of TensorFlow Lite's schema, by their numbers.
namespace field {
enum Model { kOperatorCodes = 1, kSubgraphs = 2, kBuffers = 4, kMetadata = 6 };
enum OperatorCode { kOldCode = 0, kCustomCode = 1, kCode = 3 };
enum Subgraph { kTensors = 0, kInputs = 1, kOutputs = 2, kOperators = 3 };
enum Tensor { kShape = 0, kType = 1, kBuffer = 2, kQuantization = 4, kVariable = 5, kSparsity = 6 };
enum Quantization { kScale = 2, kZeroPoint = 3, kDimension = 6 };
enum Operator {
  kOpcode = 0,
  kOpInputs = 1,
  kOpOutputs = 2,
  kOptionsType = 3,
  kOptions = 4,
  kCustomOptions = 5
};
enum Buffer { kData = 0, kOffset = 1, kSize = 2 };
enum MetadataEntry { kName = 0, kContent = 1 };
}  // namespace field

// Which table an operator's options are.
enum OptionsType : uint8_t {
  kConv2dOptions = 1,
  kDepthwiseConv2dOptions = 2,
  kPool2dOptions = 5,
  kConcatenationOptions = 10,
  kAddOptions = 11,
  kResizeBilinearOptions = 15,
  kMulOptions = 21,
  kReducerOptions = 27,
  kResizeNearestNeighborOptions = 74,
  kDepthToSpaceOptions = 94,
};

class Reader {
 public:
  Reader(const uint8_t* data, size_t size, Model* model, const char** sentence)
      : model_(*model), graph_(model->graph), sentence_(sentence) {
    bytes_.data = data;
    bytes_.size = size;
  }

  ReadResult read() {
    if (!bytes_.holds(0, 8) || memcmp(bytes_.data + 4, "TFL3", 4) != 0) {
      return fail(ReadResult::kDamaged, "the mark TFL3 is missing, so it is no .tflite file");
    }
    const FlatTable root(&bytes_, 0);
    codes_ = root.vector(field::kOperatorCodes, 4);
    buffers_ = root.vector(field::kBuffers, 4);
    const FlatVector subgraphs = root.vector(field::kSubgraphs, 4);
    ReadResult result = ReadResult::kOk;
    if (!bytes_.damaged && subgraphs.count != 1) {
      return fail(ReadResult::kUnsupported, "it does not hold exactly one graph");
    }
    const FlatTable graph = item(subgraphs, 0);
    result = read_tensors(graph.vector(field::kTensors, 4));
    if (result == ReadResult::kOk) result = read_nodes(graph.vector(field::kOperators, 4));
    if (result == ReadResult::kOk) {
      result = read_ends(graph.vector(field::kInputs, 4), &model_.inputs);
    }
    if (result == ReadResult::kOk) {
      result = read_ends(graph.vector(field::kOutputs, 4), &model_.outputs);
    }
    if (result == ReadResult::kOk) result = read_metadata(root.vector(field::kMetadata, 4));
    return bytes_.damaged ? fail(ReadResult::kDamaged, "it is cut short or damaged") : result;
  }

 private:
  ReadResult fail(ReadResult result, const char* sentence) {
    *sentence_ = sentence;
    return result;
  }
  ReadResult no_memory() { return fail(ReadResult::kNoMemory, "out of memory"); }

  FlatTable item(const FlatVector& tables, size_t i) {
    if (i < tables.count) return FlatTable(&bytes_, tables.first + 4 * i);
    bytes_.damaged = true;
    return FlatTable();
  }

  // A buffer's bytes; none for the first, which means "not a constant", and for empty ones.
  const uint8_t* buffer(size_t i, size_t* size) {
    const FlatTable table = item(buffers_, i);
    const uint64_t offset = table.number<uint64_t>(field::kOffset, 0);
    // Since 2023 a buffer may lie behind the FlatBuffer, by offset and size.
    if (offset > 1) {
      const uint64_t length = table.number<uint64_t>(field::kSize, 0);
      if (offset > bytes_.size || length > bytes_.size - offset) {
        bytes_.damaged = true;
        return nullptr;
      }
      *size = static_cast<size_t>(length);
      return length == 0 ? nullptr : bytes_.data + offset;
    }
    const FlatVector data = table.vector(field::kData, 1);
    *size = data.count;
    return data.count == 0 ? nullptr : bytes_.data + data.first;
  }

  ReadResult read_tensors(const FlatVector& tables) {
    if (tables.count > kMaxTensors) {
      return fail(ReadResult::kUnsupported, "it holds more than 16384 tensors");
    }
    if (!graph_.tensors.allocate(tables.count)) return no_memory();
    for (size_t i = 0; i < tables.count; ++i) {
      graph_.tensors[i] = Tensor();
      const ReadResult result = read_tensor(item(tables, i), &graph_.tensors[i]);
      if (result != ReadResult::kOk) return result;
    }
    return ReadResult::kOk;
  }

  ReadResult read_tensor(const FlatTable& table, Tensor* tensor) {
    switch (table.number<int8_t>(field::kType, 0)) {
      case 0:
        tensor->type = Type::kFloat32;
        break;
      case 2:
        tensor->type = Type::kInt32;
        break;
      case 6:
        tensor->type = Type::kBool;
        break;
      case 9:
        tensor->type = Type::kInt8;
        break;
      default:
        break;
    }
    const FlatVector shape = table.vector(field::kShape, 4);
    size_t elements = 0;
    if (shape.count <= kMaxDimensions) {
      tensor->shape.rank = static_cast<int>(shape.count);
      for (size_t i = 0; i < shape.count; ++i) {
        tensor->shape.dims[i] = bytes_.read<int32_t>(shape.first + 4 * i);
      }
      tensor->has_shape = count_elements(tensor->shape, &elements);
    }
    if (table.table(field::kSparsity).exists() || table.number<uint8_t>(field::kVariable, 0) != 0) {
      tensor->type = Type::kOther;  // so that no operator takes it
    }
    tensor->constant = buffer(table.number<uint32_t>(field::kBuffer, 0), &tensor->bytes);
    read_ranges(table.table(field::kQuantization), tensor);
    return tensor->constant == nullptr ? ReadResult::kOk : check_constant(*tensor, elements);
  }

  ReadResult check_constant(const Tensor& tensor, size_t elements) {
    const size_t each = element_size(tensor.type);
    if (each == 0) return ReadResult::kOk;
    size_t expected;
    if (!tensor.has_shape || !checked_mul(elements, each, &expected) || expected != tensor.bytes) {
      bytes_.damaged = true;
    }
    if (reinterpret_cast<uintptr_t>(tensor.constant) % each != 0) {
      return fail(ReadResult::kUnsupported, "a constant does not lie on a multiple of its size");
    }
    return ReadResult::kOk;
  }

  void read_ranges(const FlatTable& table, Tensor* tensor) {
    const FlatVector scales = table.vector(field::kScale, 4);
    const FlatVector zero_points = table.vector(field::kZeroPoint, 8);
    if (scales.count == 0 || scales.count > INT32_MAX) return;
    const uint8_t* first = bytes_.data + scales.first;
    if (reinterpret_cast<uintptr_t>(first) % sizeof(float) != 0) {
      bytes_.damaged = true;
      return;
    }
    tensor->scales = reinterpret_cast<const float*>(first);
    tensor->scale_count = static_cast<int>(scales.count);
    tensor->scale_dimension = table.number<int32_t>(field::kDimension, 0);
    for (size_t i = 0; i < zero_points.count && tensor->all_zero_points_zero; ++i) {
      tensor->all_zero_points_zero = bytes_.read<int64_t>(zero_points.first + 8 * i) == 0;
    }
    if (scales.count != 1) return;
    tensor->scale = tensor->scales[0];
    const int64_t zero = zero_points.count == 0 ? 0 : bytes_.read<int64_t>(zero_points.first);
    // A zero point that is none of the type's is one that no operator takes.
    tensor->zero_point =
        zero < INT32_MIN || zero > INT32_MAX ? INT32_MAX : static_cast<int32_t>(zero);
  }

  ReadResult read_nodes(const FlatVector& tables) {
    if (tables.count > kMaxNodes) {
      return fail(ReadResult::kUnsupported, "it holds more than 4096 operators");
    }
    for (size_t i = 0; i < tables.count; ++i) {
      Node* node = graph_.nodes.append();
      if (node == nullptr) return no_memory();
      read_node(item(tables, i), node);
    }
    return ReadResult::kOk;
  }

  void read_node(const FlatTable& table, Node* node) {
    const FlatTable code = item(codes_, table.number<uint32_t>(field::kOpcode, 0));
    // Numbers up to 127 are also, in old files only, in a field of one byte.
    const int32_t old_code = code.number<int8_t>(field::kOldCode, 0);
    const int32_t new_code = code.number<int32_t>(field::kCode, 0);
    node->code = old_code > new_code ? old_code : new_code;
    const FlatVector inputs = table.vector(field::kOpInputs, 4);
    node->input_count = inputs.count <= kMaxInputs ? static_cast<int>(inputs.count) : -1;
    for (int i = 0; i < node->input_count; ++i) {
      node->inputs[i] = bytes_.read<int32_t>(inputs.first + 4 * static_cast<size_t>(i));
    }
    const FlatVector outputs = table.vector(field::kOpOutputs, 4);
    node->output_count = outputs.count <= 1 ? static_cast<int>(outputs.count) : 2;
    if (outputs.count > 0) node->output = bytes_.read<int32_t>(outputs.first);
    if (node->code == kBuiltinCustom) {
      const char* name = code.text(field::kCustomCode);
      node->custom_name = name == nullptr ? "" : name;
      const FlatVector options = table.vector(field::kCustomOptions, 1);
      node->custom_options = options.count == 0 ? nullptr : bytes_.data + options.first;
      node->custom_size = options.count;
    } else {
      read_options(table, node);
    }
  }

  void read_options(const FlatTable& node_table, Node* node) {
    const FlatTable table = node_table.table(field::kOptions);
    BuiltinOptions* options = &node->options;
    const auto type = node_table.number<uint8_t>(field::kOptionsType, 0);
    const auto activation = [&](int i) { options->activation = table.number<int8_t>(i, 0); };
    const auto flag = [&](int i) { return table.number<uint8_t>(i, 0) != 0; };
    const auto is = [&](int code, OptionsType expected) {
      return node->code == code && type == expected;
    };
    node->has_options = true;
    if (is(kBuiltinAdd, kAddOptions) || is(kBuiltinMul, kMulOptions)) {
      activation(0);
    } else if (is(kBuiltinConv2d, kConv2dOptions)) {
      read_strides(table, options);
      activation(3);
      read_dilations(table, 4, options);
    } else if (is(kBuiltinDepthwiseConv2d, kDepthwiseConv2dOptions)) {
      read_strides(table, options);
      options->depth_multiplier = table.number<int32_t>(3, 0);
      activation(4);
      read_dilations(table, 5, options);
    } else if (is(kBuiltinMaxPool2d, kPool2dOptions)) {
      read_strides(table, options);
      options->filter_width = table.number<int32_t>(3, 0);
      options->filter_height = table.number<int32_t>(4, 0);
      activation(5);
    } else if (is(kBuiltinConcatenation, kConcatenationOptions)) {
      options->axis = table.number<int32_t>(0, 0);
      activation(1);
    } else if (is(kBuiltinDepthToSpace, kDepthToSpaceOptions)) {
      options->block_size = table.number<int32_t>(0, 0);
    } else if (is(kBuiltinMean, kReducerOptions)) {
      options->keep_dims = flag(0);
    } else if (is(kBuiltinResizeBilinear, kResizeBilinearOptions)) {
      options->align_corners = flag(2);
      options->half_pixel_centers = flag(3);
    } else if (is(kBuiltinResizeNearestNeighbor, kResizeNearestNeighborOptions)) {
      options->align_corners = flag(0);
      options->half_pixel_centers = flag(1);
    } else {
      node->has_options = false;
    }
  }

  static void read_strides(const FlatTable& table, BuiltinOptions* options) {
    const int8_t padding = table.number<int8_t>(0, 0);
    options->same_padding = padding == 0;
    options->known_padding = padding == 0 || padding == 1;
    options->stride_width = table.number<int32_t>(1, 0);
    options->stride_height = table.number<int32_t>(2, 0);
  }

  static void read_dilations(const FlatTable& table, int first, BuiltinOptions* options) {
    options->dilation_width = table.number<int32_t>(first, 1);
    options->dilation_height = table.number<int32_t>(first + 1, 1);
  }

  ReadResult read_ends(const FlatVector& list, Array<int>* ends) {
    if (list.count > kMaxTensors) {
      return fail(ReadResult::kUnsupported, "it has more than 16384 inputs or outputs");
    }
    if (!ends->allocate(list.count)) return no_memory();
    for (size_t i = 0; i < list.count; ++i) {
      (*ends)[i] = bytes_.read<int32_t>(list.first + 4 * i);
      if (!graph_.has((*ends)[i])) bytes_.damaged = true;
    }
    return ReadResult::kOk;
  }

  ReadResult read_metadata(const FlatVector& tables) {
    for (size_t i = 0; i < tables.count; ++i) {
      const FlatTable table = item(tables, i);
      const char* name = table.text(field::kName);
      if (name == nullptr) continue;
      Metadata* entry = model_.metadata.append();
      if (entry == nullptr) return no_memory();
      entry->name = name;
      entry->data = buffer(table.number<uint32_t>(field::kContent, 0), &entry->size);
    }
    return ReadResult::kOk;
  }

  FlatBytes bytes_;
  FlatVector codes_, buffers_;
  Model& model_;
  Graph& graph_;
  const char** sentence_;
};

}  // namespace

ReadResult read_model(const uint8_t* data, size_t size, Model* model, const char** sentence) {
  return Reader(data, size, model, sentence).read();
}

}  // namespace larq_dense
