// LceBconv2d: the binary convolution (bconv2d.h), with what is fused into it (fuse_conv.cc).
#include "flexbuffer.h"
#include "fuse.h"
#include "run.h"

namespace larq_dense {
namespace {

const char* read_options(const FlexMap& map, ConvOptions* options) {
  int32_t padding, pad_value, activation;
  if (!map.get("stride_height", &options->vertical.stride) ||
      !map.get("stride_width", &options->horizontal.stride) ||
      !map.get("dilation_height_factor", &options->vertical.dilation) ||
      !map.get("dilation_width_factor", &options->horizontal.dilation) ||
      !map.get("padding", &padding) || !map.get("pad_values", &pad_value) ||
      !map.get("channels_in", &options->channels_in) ||
      !map.get("fused_activation_function", &activation)) {
    return "LceBconv2d: an option is missing or no 32-bit integer";
  }
  if (options->vertical.stride <= 0 || options->horizontal.stride <= 0 ||
      options->vertical.dilation <= 0 || options->horizontal.dilation <= 0) {
    return "LceBconv2d: strides and dilations must be positive";
  }
  if (padding != 0 && padding != 1) return "LceBconv2d: unknown padding";
  if (pad_value != 0 && pad_value != 1) return "LceBconv2d: pad_values must be 0 or 1";
  if (options->channels_in <= 0) return "LceBconv2d: channels_in must be positive";
  options->same_padding = padding == 0;
  options->pad_with_one = pad_value == 1;
  options->activation = activation;
  return nullptr;
}

const char* read(const Node& node, Op* op) {
  FlexMap map;
  if (!map.parse(node.custom_options, node.custom_size)) return "LceBconv2d: malformed options";
  return read_options(map, &op->conv);
}

const char* infer(const Inference& it) {
  if (it.input.type != Type::kInt32 || it.input.shape.rank != 4) {
    return "LceBconv2d: the input must be bitpacked with 4 dimensions";
  }
  const Value& filter = it.value(1);
  if (filter.place != Value::Place::kConstant || filter.type != Type::kInt32 ||
      filter.shape.rank != 4) {
    return "LceBconv2d: the filter must be constant and bitpacked with 4 dimensions";
  }
  const Type type = it.output.type;
  if (type != Type::kFloat32 && type != Type::kInt8 && type != Type::kInt32) {
    return "LceBconv2d: the output's type is not supported";
  }
  it.output.shape.rank = 4;
  it.output.shape.dims[0] = it.input.shape.dims[0];
  if (!it.slide_filter(filter.shape, it.op.conv)) {
    return "LceBconv2d: the window does not fit the input";
  }
  const int32_t channels = filter.shape.dims[0];
  if (channels <= 0) return "LceBconv2d: a filter without elements";
  it.output.shape.dims[3] = type == Type::kInt32 ? words_for(channels) : channels;
  return nullptr;
}

const char* build(Fusion* fusion, int op) { return fusion->build_conv(op); }

const char* size(const Plan&, Step* step, size_t* scratch) {
  step->tasks = step->conv.rows();
  *scratch = step->conv.workspace_bytes();
  return nullptr;
}

void run_task(const Run& run, const Step& step, int64_t task, int worker) {
  step.conv.run_row(task, run.read<uint32_t>(step.input), target_of(run, step),
                    run.workspace<void>(worker));
}

}  // namespace

ConvTarget target_of(const Run& run, const Step& step) {
  ConvTarget target;
  target.out = step.output < 0 ? nullptr : run.write<void>(step.output);
  target.depth_to_space = step.block_size;
  target.post = step.post;
  target.before_min = step.before_min;
  target.before_max = step.before_max;
  target.others = static_cast<int>(step.links.size());
  for (int j = 0; j < target.others; ++j) {
    const Link& link = step.links[static_cast<size_t>(j)];
    target.other[j] = {run.read<void>(link.value), link.layout, link.op == Combination::kMultiply};
  }
  target.after_min = step.after_min;
  target.after_max = step.after_max;
  target.bit_outputs = step.bit_outputs;
  for (int j = 0; j < step.bit_outputs; ++j) {
    target.bits[j] = run.write<uint32_t>(step.bits[j]) + step.first_word[j];
    target.bit_words[j] = run.shape_of(step.bits[j]).last();
    target.limit[j] = step.int8_limits[j].size() != 0
                          ? static_cast<const void*>(step.int8_limits[j].data())
                          : step.limits[j].data();
  }
  return target;
}

extern const StepType kBinaryConvStep = {size, run_task, true};

extern Operators op_bconv2d = {
    {kBuiltinCustom, "LceBconv2d", 5, 5, read, nullptr, infer, build, OpKind::kConv, true},
    {},
};

}  // namespace larq_dense
