// A fuzz target over operator options, tensor shapes and types: whatever a file says, the delegate
// must answer with a status, never with a crash or an access outside a buffer.
//
// Under libFuzzer (-fsanitize=fuzzer) only the target is compiled; elsewhere `main` feeds it from a
// random generator, which is the same on every machine.
#include <random>

#include "mock_interpreter.h"

namespace {

// Hands out the input's bytes, then zeros.
class Bytes {
 public:
  Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  uint8_t byte() { return position_ < size_ ? data_[position_++] : 0; }
  bool chance(int in_256) { return byte() < in_256; }
  int range(int low, int high) { return low + byte() % (high - low + 1); }
  // Mostly a sensible number, now and then a hostile one.
  int number(int low, int high) {
    if (!chance(3)) return range(low, high);
    static const int hostile[] = {0,          -1,         -2147483647 - 1, 2147483647, 65536,
                                  1073741824, -65536,     2147483646,      31,         1 << 20,
                                  46341,      1431655766, -7,              256,        1000003};
    return hostile[byte() % (sizeof hostile / sizeof *hostile)];
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t position_ = 0;
};

// A constant tensor whose bytes mostly fit its shape.
int constant(MockInterpreter* mock, Bytes* bytes, int type, const std::vector<int>& dims) {
  size_t count = 1;
  for (int d : dims) count *= static_cast<size_t>(d < 0 ? 0 : (d > 4096 ? 4096 : d));
  if (count > 65536) count = 65536;
  if (bytes->chance(3)) count /= 2;
  std::vector<uint32_t> data(count + 1);
  uint32_t state = 0x1234567u + bytes->byte();
  for (uint32_t& word : data) {
    state = state * 1664525u + 1013904223u;
    word = type == kTfLiteFloat32 ? 0x3f000000u + (state >> 9) : state;
  }
  return mock->tensor(type, dims, data.data(), count * (type == kTfLiteInt8 ? 1 : 4), 0.5f);
}

int multiples_of_4(MockInterpreter* mock, Bytes* bytes, const std::vector<int>& dims) {
  const int tensor = constant(mock, bytes, kTfLiteInt8, dims);
  int8_t* data = static_cast<int8_t*>((*mock)[tensor].data);
  for (size_t i = 0; i < (*mock)[tensor].bytes; ++i) data[i] &= ~3;
  return tensor;
}

std::vector<uint8_t> options(Bytes* bytes, std::vector<std::pair<std::string, int>> entries) {
  if (bytes->chance(6)) entries.erase(entries.begin() + bytes->byte() % entries.size());
  std::vector<uint8_t> flex = flex_map(entries);
  if (bytes->chance(24)) {
    for (int i = bytes->range(1, 6); i > 0; --i) {
      flex[(bytes->byte() * 256u + bytes->byte()) % flex.size()] = bytes->byte();
    }
  }
  if (bytes->chance(6)) flex.resize(bytes->byte() % (flex.size() + 1));
  return flex;
}

// How far the runs came: a target whose inputs are all refused at the door tests nothing.
int prepared = 0, invoked = 0;

struct Last {
  int tensor;
  std::vector<int> dims;
  int channels;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  MockInterpreter mock;
  std::vector<int> inputs, outputs;
  static const int types[] = {kTfLiteFloat32, kTfLiteInt8, kTfLiteBool, kTfLiteInt32, 4, 0};

  Last last;
  last.channels = bytes.number(1, 80);
  last.dims = {bytes.number(1, 2), bytes.number(1, 7), bytes.number(1, 9), last.channels};
  if (bytes.chance(6)) last.dims.resize(bytes.byte() % 5);
  // What lies between LCE's operators is of one type; int8s mostly share a range.
  const int element = bytes.chance(100) ? kTfLiteInt8 : kTfLiteFloat32;
  int type = bytes.chance(8) ? types[bytes.byte() % 6] : element;
  const auto tensor = [&] {
    const int zero_point = bytes.chance(3) ? bytes.number(-128, 127) : 0;
    return mock.tensor(element, last.dims, nullptr, 0, bytes.chance(3) ? 0.0f : 0.5f, zero_point);
  };
  last.tensor = mock.tensor(type, last.dims, nullptr, 0, 0.5f, bytes.chance(40) ? 3 : 0);
  inputs.push_back(last.tensor);
  const Last first = last;

  for (int steps = bytes.range(1, 6); steps > 0; --steps) {
    const int kind = bytes.byte() % 16;
    const auto dim = [&](size_t i) { return i < last.dims.size() ? last.dims[i] : 1; };
    const int channels_in = last.channels;
    const int words = channels_in / 32 + (channels_in % 32 != 0);
    if (kind <= 3) {  // quantize, maybe pool, convolve
      std::vector<int> dims = last.dims;
      if (!dims.empty()) dims.back() = words;
      int bits = mock.tensor(kTfLiteInt32, dims);
      mock.custom("LceQuantize", {last.tensor}, bits, {});
      if (bytes.chance(40)) {
        const int pooled = mock.tensor(kTfLiteInt32, dims);
        mock.custom("LceBMaxPool2d", {bits}, pooled,
                    options(&bytes, {{"filter_height", bytes.number(1, 3)},
                                     {"filter_width", bytes.number(1, 3)},
                                     {"padding", bytes.number(0, 1)},
                                     {"stride_height", bytes.number(1, 2)},
                                     {"stride_width", bytes.number(1, 2)}}));
        bits = pooled;
      }
      const int groups = bytes.chance(30) ? 2 : 1;
      const int out_channels = bytes.number(1, 70);
      const std::vector<int> shape = {out_channels, bytes.number(1, 4), bytes.number(1, 4),
                                      bytes.chance(6) ? bytes.number(0, 4) : words / groups};
      const int filter = constant(&mock, &bytes, kTfLiteInt32, shape);
      const int multiplier = constant(&mock, &bytes, kTfLiteFloat32, {out_channels});
      const int bias = constant(&mock, &bytes, kTfLiteFloat32, {out_channels});
      const int threshold = constant(&mock, &bytes, kTfLiteInt32, {out_channels});
      const int out_type = bytes.chance(40) ? types[bytes.byte() % 6] : element;
      last.dims = {dim(0), dim(1), dim(2), out_channels};
      last.channels = out_channels;
      last.tensor = mock.tensor(out_type, last.dims, nullptr, 0, 0.5f, bytes.number(0, 0));
      mock.custom("LceBconv2d", {bits, filter, multiplier, bias, bytes.chance(8) ? -1 : threshold},
                  last.tensor,
                  options(&bytes, {{"channels_in", bytes.chance(6) ? bytes.number(1, 99)
                                                                   : channels_in},
                                   {"dilation_height_factor", bytes.number(1, 2)},
                                   {"dilation_width_factor", bytes.number(1, 2)},
                                   {"fused_activation_function", bytes.number(0, 3)},
                                   {"pad_values", bytes.number(0, 1)},
                                   {"padding", bytes.number(0, 1)},
                                   {"stride_height", bytes.number(1, 2)},
                                   {"stride_width", bytes.number(1, 2)}}));
    } else if (kind <= 5) {  // add or multiply
      const int other = bytes.chance(128)
                            ? constant(&mock, &bytes, element, {last.channels})
                            : (bytes.chance(128) ? first.tensor : last.tensor);
      const int out = tensor();
      mock.builtin(kind == 4 ? larq_dense::kBuiltinAdd : larq_dense::kBuiltinMul, {last.tensor, other}, out,
                   bytes.number(0, 3));
      last.tensor = out;
    } else if (kind == 8) {
      const int out = tensor();
      mock.builtin(larq_dense::kBuiltinAddN, {last.tensor, last.tensor, first.tensor}, out, 0);
      last.tensor = out;
    } else if (kind == 9) {
      const int other = bytes.chance(200) ? last.tensor : first.tensor;
      int sum;
      if (last.dims.size() == 4 &&
          !__builtin_mul_overflow(bytes.number(2, 2), last.dims[3], &sum)) {
        last.channels = last.dims[3] = sum;
      }
      const int out = tensor();
      mock.builtin(larq_dense::kBuiltinConcatenation, {last.tensor, other}, out,
                   bytes.chance(200) ? 3 : bytes.number(-1, 3));
      last.tensor = out;
    } else if (kind == 10) {
      const int32_t axes[2] = {bytes.number(1, 1), bytes.number(2, 2)};
      const int axis = mock.tensor(kTfLiteInt32, {2}, axes, sizeof axes);
      last.dims = {dim(0), 1, 1, dim(3)};
      const int out = tensor();
      mock.builtin(larq_dense::kBuiltinMean, {last.tensor, axis}, out, 1);
      last.tensor = out;
    } else if (kind == 11) {
      const int factor = bytes.number(1, 3);
      for (size_t i = 1; i <= 2; ++i) {
        int wide;
        if (last.dims.size() == 4 && !__builtin_mul_overflow(last.dims[i], factor, &wide)) {
          last.dims[i] = wide;
        }
      }
      const int32_t sizes[2] = {dim(1), dim(2)};
      const int target = mock.tensor(kTfLiteInt32, {2}, sizes, sizeof sizes);
      const int out = tensor();
      // Of a bilinear resize: centers of pixels are half.
      const bool bilinear = bytes.chance(100);
      mock.builtin(bilinear ? larq_dense::kBuiltinResizeBilinear : larq_dense::kBuiltinResizeNearestNeighbor,
                   {last.tensor, target}, out, bilinear ? 256 : 0);
      last.tensor = out;
    } else if (kind == 12) {  // a mask, of bits along the channels, and a product with it
      const std::vector<int> dims = {1, 1, 1, last.channels};
      const int bits = constant(&mock, &bytes, kTfLiteInt32, {1, 1, 1, words});
      const float step = bytes.chance(6) ? 0.3f : 0.015625f;
      const int signs = mock.tensor(element, dims, nullptr, 0, step, 0);
      const int mask = mock.tensor(element, dims, nullptr, 0, step, 0);
      mock.custom("LceDequantize", {bits}, signs, {});
      mock.builtin(larq_dense::kBuiltinRelu, {signs}, mask, 0);
      const int out = tensor();
      mock.builtin(larq_dense::kBuiltinMul, {last.tensor, mask}, out, bytes.number(0, 3));
      last.tensor = out;
    } else if (kind >= 13) {  // an ordinary convolution, mostly of weights that round safely
      const bool depthwise = bytes.chance(80);
      const int out_channels = depthwise ? last.channels : bytes.number(1, 70);
      const std::vector<int> shape = {depthwise ? bytes.number(1, 1) : out_channels,
                                      bytes.number(1, 2), bytes.number(1, 2),
                                      bytes.chance(6) ? bytes.number(0, 4) : last.channels};
      const int filter = bytes.chance(8) ? constant(&mock, &bytes, kTfLiteInt8, shape)
                                         : multiples_of_4(&mock, &bytes, shape);
      const bool one_scale = bytes.chance(200);
      const size_t scales = one_scale ? 1 : static_cast<size_t>(bytes.range(0, 70));
      if (!bytes.chance(6)) mock.set_scales(filter, std::vector<float>(scales, 0.03125f), 0);
      const int bias = constant(&mock, &bytes, kTfLiteInt32, {out_channels});
      uint32_t* biases = static_cast<uint32_t*>(mock[bias].data);
      for (size_t i = 0; i < mock[bias].bytes / 4; ++i) biases[i] = (biases[i] & 0x3fcu) | 2;
      last.channels = out_channels;
      last.dims = {dim(0), dim(1), dim(2), out_channels};
      const int out = tensor();
      std::vector<int> options = {bytes.number(1, 2), bytes.number(1, 2), bytes.number(1, 2)};
      if (depthwise) options.push_back(bytes.number(1, 1));
      options.insert(options.end(),
                     {bytes.number(0, 3), bytes.number(1, 1), bytes.number(1, 1)});
      mock.builtin(depthwise ? larq_dense::kBuiltinDepthwiseConv2d : larq_dense::kBuiltinConv2d,
                   {last.tensor, filter, bias}, out, options);
      last.tensor = out;
    } else if (kind == 6) {
      const int out = tensor();
      const int unary[] = {larq_dense::kBuiltinRelu, larq_dense::kBuiltinRelu6, larq_dense::kBuiltinRound};
      mock.builtin(unary[bytes.byte() % 3], {last.tensor}, out, 0);
      last.tensor = out;
    } else {
      const int block = bytes.number(1, 2);
      last.channels = block > 0 ? last.channels / block / block : last.channels;
      if (last.dims.size() == 4) last.dims[3] = last.channels;
      const int out = tensor();
      mock.builtin(larq_dense::kBuiltinDepthToSpace, {last.tensor}, out, block);
      last.tensor = out;
    }
    if (bytes.chance(30)) outputs.push_back(last.tensor);
  }
  outputs.push_back(last.tensor);
  static const char* sets[] = {"", "", "avx2", "portable"};
  if (mock.allocate(inputs, outputs, sets[bytes.byte() % 4], bytes.range(1, 2)) != kTfLiteOk) {
    return 0;
  }
  ++prepared;
  if (mock.invoke() == kTfLiteOk) ++invoked;
  // The interpreter may be given another input size and prepare again.
  if (bytes.chance(60)) {
    mock.set_shape(inputs[0], {bytes.number(1, 2), bytes.number(1, 9), bytes.number(1, 7),
                               bytes.chance(20) ? 0 : first.channels});
    if (mock.prepare() == kTfLiteOk) mock.invoke();
  }
  return 0;
}

#ifndef LARQ_DENSE_LIBFUZZER
int main(int argc, char** argv) {
  const int runs = argc > 1 ? atoi(argv[1]) : 1000;
  std::mt19937 random(argc > 2 ? static_cast<unsigned>(atoi(argv[2])) : 1u);
  for (int i = 0; i < runs; ++i) {
    std::vector<uint8_t> data(400);
    for (uint8_t& byte : data) byte = static_cast<uint8_t>(random());
    LLVMFuzzerTestOneInput(data.data(), data.size());
  }
  printf("fuzz: %d runs, %d prepared, %d invoked\n", runs, prepared, invoked);
  return invoked >= runs / 20 && prepared < runs ? 0 : 1;
}
#endif
