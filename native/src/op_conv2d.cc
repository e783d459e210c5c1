// CONV_2D and DEPTHWISE_CONV_2D of int8s, for those that round safely (conv2d.h).
#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

const char* read_options(const BuiltinOptions& options, bool has_options, Op* op) {
  if (!has_options || options.stride_width <= 0 || options.stride_height <= 0 ||
      options.dilation_width != 1 || options.dilation_height != 1 ||
      options.depth_multiplier != 1 || !options.known_padding) {
    return "Conv2D: its options are not supported here";
  }
  op->conv2d.vertical.stride = options.stride_height;
  op->conv2d.horizontal.stride = options.stride_width;
  op->conv2d.same_padding = options.same_padding;
  return activation_limits(options.activation, &op->low, &op->high)
             ? nullptr
             : "Conv2D: an unknown activation";
}

const char* read(const Node& node, Op* op) {
  op->conv2d.depthwise = node.code == kBuiltinDepthwiseConv2d;
  return read_options(node.options, node.has_options, op);
}

bool claim(const Claim& it) {
  const Shape& input = it.input(0).shape;
  Conv2dConstants constants;
  // With fewer channels in the filter than in the input it would be in groups.
  return it.is_int8() && it.kernels.conv_bytes != nullptr && input.rank == 4 &&
         it.output().shape.rank == 4 && same_range(it.input(0), it.input(0)) &&
         same_range(it.output(), it.output()) && read_conv2d(it.graph, it.op, &constants) &&
         input.dims[3] == constants.filter_shape.dims[3] && rounds_safely(constants);
}

const char* infer(const Inference& it) {
  const Value& filter = it.value(1);
  it.output.shape = it.input.shape;
  it.output.shape.dims[3] = filter.shape.dims[it.op.conv2d.depthwise ? 3 : 0];
  if (it.input.type != Type::kInt8 || it.output.type != Type::kInt8 || it.input.shape.rank != 4 ||
      filter.shape.rank != 4 || it.input.shape.dims[3] != filter.shape.dims[3] ||
      !it.slide_filter(filter.shape, it.op.conv2d)) {
    return "Conv2D: the shapes or types are not supported here";
  }
  return nullptr;
}

const char* build(Fusion* fusion, int op) { return fusion->build_conv2d(op); }

const char* size(const Plan&, Step* step, size_t* scratch) {
  step->tasks = step->conv2d.rows();
  *scratch = step->conv2d.workspace_bytes();
  return nullptr;
}

void run_task(const Run& run, const Step& step, int64_t task, int worker) {
  step.conv2d.run_row(task, run.read<int8_t>(step.input), target_of(run, step),
                      run.workspace<void>(worker));
}

}  // namespace

bool read_conv2d(const Graph& graph, const Op& op, Conv2dConstants* constants) {
  const Tensor& input = graph.tensor(op.inputs[0]);
  const Tensor& filter = graph.tensor(op.inputs[1]);
  const Tensor& bias = graph.tensor(op.inputs[2]);
  const Tensor& output = graph.tensor(op.output);
  const Shape& shape = filter.shape;
  constants->depthwise = op.conv2d.depthwise;
  constants->filter_shape = shape;
  size_t size;
  if (filter.constant == nullptr || filter.type != Type::kInt8 || !filter.has_shape ||
      shape.rank != 4 || (constants->depthwise && shape.dims[0] != 1) ||
      !count_elements(shape, &size) || size == 0 || filter.bytes < size ||
      bias.constant == nullptr || bias.type != Type::kInt32 || !bias.has_shape ||
      bias.shape.rank != 1 || bias.shape.dims[0] != constants->channels_out() ||
      bias.bytes < sizeof(int32_t) * static_cast<size_t>(bias.shape.dims[0]) ||
      filter.scales == nullptr || !filter.all_zero_points_zero ||
      (filter.scale_count != 1 && (filter.scale_count != constants->channels_out() ||
                                   filter.scale_dimension != (constants->depthwise ? 3 : 0)))) {
    return false;
  }
  constants->filter = static_cast<const int8_t*>(filter.constant);
  constants->bias = static_cast<const int32_t*>(bias.constant);
  constants->scales = filter.scales;
  constants->scale_count = filter.scale_count;
  constants->input_scale = input.scale;
  constants->input_zero_point = input.zero_point;
  constants->output_scale = output.scale;
  constants->output_zero_point = output.zero_point;
  return true;
}

extern const StepType kConv2dStep = {size, run_task, false};

extern Operators op_conv2d = {
    {kBuiltinConv2d, "CONV_2D", 3, 3, read, claim, infer, build, OpKind::kOther, true},
    {kBuiltinDepthwiseConv2d, "DEPTHWISE_CONV_2D", 3, 3, read, claim, infer, build, OpKind::kOther,
     true},
    {},
};

}  // namespace larq_dense
