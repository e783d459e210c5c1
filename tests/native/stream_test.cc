// Residual blocks on several threads, which take turns by rows, against one thread.
//
//     stream_test [rounds]
#include <random>

#include "mock_interpreter.h"

namespace {

constexpr int kBatch = 2, kHeight = 23, kWidth = 17, kChannels = 64, kBlocks = 6;

// Quantize, convolve, add, again and again; every other convolution reads two rows above and below,
// and the last one strides, so that rows do not match one another.
std::vector<float> run(const char* instruction_set, int threads, int calls) {
  MockInterpreter mock;
  std::mt19937 random(1);
  const std::vector<int> dims = {kBatch, kHeight, kWidth, kChannels};
  const int input = mock.tensor(kTfLiteFloat32, dims);
  int x = input, output = -1;
  for (int block = 0; block < kBlocks; ++block) {
    const int bits = mock.tensor(kTfLiteInt32, {kBatch, kHeight, kWidth, kChannels / 32});
    mock.custom("LceQuantize", {x}, bits, {});
    std::vector<uint32_t> words(kChannels * 9 * kChannels / 32);
    for (uint32_t& word : words) word = static_cast<uint32_t>(random());
    const int filter = mock.tensor(kTfLiteInt32, {kChannels, 3, 3, kChannels / 32}, words.data(),
                                   words.size() * sizeof(uint32_t));
    std::vector<float> scale(kChannels), shift(kChannels);
    for (float& v : scale) v = static_cast<float>(random() % 64) / 1024;
    for (float& v : shift) v = static_cast<float>(random() % 64) / 64 - 0.5f;
    const size_t bytes = kChannels * sizeof(float);
    const int multiplier = mock.tensor(kTfLiteFloat32, {kChannels}, scale.data(), bytes);
    const int bias = mock.tensor(kTfLiteFloat32, {kChannels}, shift.data(), bytes);
    const int thresholds = mock.tensor(kTfLiteInt32, {kChannels}, words.data(), bytes);
    const bool last = block + 1 == kBlocks;
    const int height = last ? (kHeight + 2) / 3 : kHeight;
    const std::vector<int> out = {kBatch, height, kWidth, kChannels};
    output = mock.tensor(kTfLiteFloat32, out);
    mock.custom("LceBconv2d", {bits, filter, multiplier, bias, thresholds}, output,
                flex_map({{"channels_in", kChannels},
                          {"dilation_height_factor", block % 2 + 1},
                          {"dilation_width_factor", 1},
                          {"fused_activation_function", 0},
                          {"pad_values", 1},
                          {"padding", 0},
                          {"stride_height", last ? 3 : 1},
                          {"stride_width", 1}}));
    if (last) break;
    const int sum = mock.tensor(kTfLiteFloat32, dims);
    mock.builtin(larq_dense::kBuiltinAdd, {x, output}, sum, 0);
    x = sum;
  }
  if (mock.allocate({input}, {output}, instruction_set, threads) != kTfLiteOk) {
    printf("%s\n", mock.error.c_str());
    return {};
  }
  std::vector<float> results;
  for (int call = 0; call < calls; ++call) {
    float* data = static_cast<float*>(mock[input].data);
    const size_t count = mock[input].bytes / sizeof(float);
    for (size_t i = 0; i < count; ++i) {
      data[i] = static_cast<float>(static_cast<int>(random() % 256) - 128) / 64;
    }
    if (mock.invoke() != kTfLiteOk) return {};
    const float* y = static_cast<const float*>(mock[output].data);
    results.insert(results.end(), y, y + mock[output].bytes / sizeof(float));
  }
  return results;
}

}  // namespace

int main(int count, char** arguments) {
  const int rounds = count > 1 ? atoi(arguments[1]) : 20;
  const std::vector<float> expected = run("portable", 1, rounds);
  if (expected.empty()) return 1;
  for (int threads : {2, 3, 5}) {
    if (run("portable", threads, rounds) != expected) {
      printf("%d threads give something else than one\n", threads);
      return 1;
    }
  }
  printf("%zu values equal on 1, 2, 3 and 5 threads\n", expected.size());
  return 0;
}
