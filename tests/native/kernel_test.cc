// Drives the kernels of every instruction set that this processor has over random convolutions,
// through a mock interpreter, against a bit-by-bit definition. Prints one line for each.
#include <math.h>

#include <algorithm>
#include <random>

#include "../../native/src/float_mode.h"
#include "../../native/src/kernels.h"
#include "mock_interpreter.h"

namespace {

using Random = std::mt19937;

int pick(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

struct Case {
  int batch, height, width, channels_in, groups, channels_out, kh, kw, sh, sw, dh, dw;
  bool same, one, bits, int8, adds;
  int threads;

  int out_size(int size, int k, int stride, int dilation, int* pad) const {
    const int reach = (k - 1) * dilation + 1;
    *pad = 0;
    if (!same) return size < reach ? 0 : (size - reach) / stride + 1;
    const int out = (size + stride - 1) / stride;
    const int total = (out - 1) * stride + reach - size;
    *pad = total > 0 ? total / 2 : 0;
    return out;
  }
};

int failures = 0;

void check(bool holds, const Case& c, const char* isa, const char* what) {
  if (holds) return;
  ++failures;
  printf("FAILED %s: %s: batch %d, %dx%dx%d in %d groups to %d, kernel %dx%d, stride %dx%d, "
         "dilation %dx%d, same %d, one %d, bits %d, int8 %d, threads %d\n",
         isa, what, c.batch, c.height, c.width, c.channels_in, c.groups, c.channels_out, c.kh,
         c.kw, c.sh, c.sw, c.dh, c.dw, c.same, c.one, c.bits, c.int8, c.threads);
}

Case random_case(Random& random) {
  Case c;
  c.batch = pick(random, 1, 2);
  c.height = pick(random, 1, 9);
  c.width = pick(random, 1, 17);
  c.groups = pick(random, 0, 3) == 0 ? pick(random, 2, 3) : 1;
  c.channels_in = c.groups == 1 ? pick(random, 1, 140) : 32 * pick(random, 1, 2) * c.groups;
  // A convolution to few channels has a kernel of its own.
  c.channels_out = pick(random, 1, pick(random, 0, 2) == 0 ? 6 : 70) * c.groups;
  c.kh = pick(random, 1, 5);
  c.kw = pick(random, 1, 5);
  c.sh = pick(random, 1, 3);
  c.sw = pick(random, 1, 3);
  c.dh = pick(random, 1, 2);
  c.dw = pick(random, 1, 2);
  c.same = pick(random, 0, 1);
  c.one = pick(random, 0, 1);
  const int kind = pick(random, 0, 2);
  c.bits = kind == 1;
  c.int8 = kind == 2;
  c.adds = c.int8 && pick(random, 0, 1);  // another tensor to the result
  c.threads = pick(random, 1, 3);
  return c;
}

void run(const Case& c, const char* isa, Random& random) {
  int pad_top, pad_left;
  const int oh = c.out_size(c.height, c.kh, c.sh, c.dh, &pad_top);
  const int ow = c.out_size(c.width, c.kw, c.sw, c.dw, &pad_left);
  const int group_in = c.channels_in / c.groups, group_out = c.channels_out / c.groups;
  const int words = (c.channels_in + 31) / 32, group_words = words / c.groups;
  std::vector<uint32_t> x(static_cast<size_t>(c.batch * c.height * c.width * words));
  std::vector<uint32_t> filter(static_cast<size_t>(c.channels_out * c.kh * c.kw * group_words));
  const auto fill = [&](std::vector<uint32_t>& bits, int per_pixel, int channels) {
    const int kind = pick(random, 0, 5);  // alike bits bring counts to their limits
    for (size_t i = 0; i < bits.size(); ++i) {
      bits[i] = kind == 0 ? 0 : (kind == 1 ? ~0u : random());
      const int left = channels - 32 * static_cast<int>(i % static_cast<size_t>(per_pixel));
      if (left < 32) bits[i] &= (1u << left) - 1;
    }
  };
  fill(x, words, c.channels_in);
  fill(filter, group_words, group_in);
  std::vector<float> multiplier(static_cast<size_t>(c.channels_out)), bias = multiplier;
  std::vector<int32_t> threshold(multiplier.size());
  const int depth = c.kh * c.kw * group_in;
  // Halves, which int8 rounds away from zero; values that are no int32; denormal floats; all the
  // others.
  const int range = pick(random, 0, 5);
  const float sizes[] = {0.75f, 1e9f, 1e-41f, 1.0f / 7.0f};
  const float size = sizes[std::min(range, 3)];
  for (size_t i = 0; i < multiplier.size(); ++i) {
    multiplier[i] = static_cast<float>(pick(random, -99, 99)) * size;
    bias[i] = range == 0 || range == 2 ? static_cast<float>(pick(random, -99, 99)) * size
                                       : static_cast<float>(pick(random, -999, 999)) / 3.0f;
    threshold[i] = depth / 2 + pick(random, -5, 5);
  }

  MockInterpreter mock;
  const float scale = 1.5f;
  const int zero_point = pick(random, 0, 1) ? -3 : 100;
  const int in = mock.tensor(kTfLiteInt32, {c.batch, c.height, c.width, words});
  const int weights = mock.tensor(kTfLiteInt32, {c.channels_out, c.kh, c.kw, group_words},
                                  filter.data(), filter.size() * 4);
  const int m = mock.tensor(kTfLiteFloat32, {c.channels_out}, multiplier.data(),
                            multiplier.size() * 4);
  const int b = mock.tensor(kTfLiteFloat32, {c.channels_out}, bias.data(), bias.size() * 4);
  const int t =
      mock.tensor(kTfLiteInt32, {c.channels_out}, threshold.data(), threshold.size() * 4);
  const int out_words = (c.channels_out + 31) / 32;
  const int out = mock.tensor(c.bits   ? kTfLiteInt32
                              : c.int8 ? kTfLiteInt8
                                       : kTfLiteFloat32,
                              {c.batch, oh, ow, c.bits ? out_words : c.channels_out}, nullptr, 0,
                              scale, zero_point);
  mock.custom("LceBconv2d", {in, weights, c.bits ? -1 : m, c.bits ? -1 : b, c.bits ? t : -1}, out,
              flex_map({{"channels_in", c.channels_in},
                        {"dilation_height_factor", c.dh},
                        {"dilation_width_factor", c.dw},
                        {"fused_activation_function", 0},
                        {"pad_values", c.one},
                        {"padding", c.same ? 0 : 1},
                        {"stride_height", c.sh},
                        {"stride_width", c.sw}}));
  const std::vector<int> out_dims = {c.batch, oh, ow, c.channels_out};
  const int other = mock.tensor(kTfLiteInt8, out_dims, nullptr, 0, scale, zero_point);
  const int sum = c.adds ? mock.tensor(kTfLiteInt8, out_dims, nullptr, 0, scale, zero_point) : out;
  if (c.adds) mock.builtin(larq_dense::kBuiltinAdd, {out, other}, sum, 0);
  const TfLiteStatus status = mock.allocate({in, other}, {sum}, isa, c.threads);
  if (oh == 0 || ow == 0) {
    check(status == kTfLiteError && !mock.error.empty(), c, isa, "an empty output was accepted");
    return;
  }
  if (status != kTfLiteOk) {
    check(false, c, isa, mock.error.c_str());
    return;
  }
  memcpy(mock[in].data, x.data(), x.size() * 4);
  int8_t* others = static_cast<int8_t*>(mock[other].data);
  for (size_t i = 0; i < mock[other].bytes; ++i) others[i] = static_cast<int8_t>(random());
  // A caller that flushes denormal floats to zero gets the same, and goes on flushing.
  using larq_dense::DefaultFloatMode;
  const bool flushes = pick(random, 0, 1);
  if (flushes) DefaultFloatMode::set(DefaultFloatMode::kFlush);
  const auto mode = DefaultFloatMode::get();
  const TfLiteStatus invoked = mock.invoke();
  check(DefaultFloatMode::get() == mode, c, isa, "the caller's float mode changed");
  DefaultFloatMode::set(DefaultFloatMode::kDefault);
  check(invoked == kTfLiteOk, c, isa, "invoke failed");

  for (int n = 0; n < c.batch; ++n) {
    for (int y = 0; y < oh; ++y) {
      for (int xx = 0; xx < ow; ++xx) {
        const size_t pixel = static_cast<size_t>((n * oh + y) * ow + xx);
        for (int o = 0; o < c.channels_out; ++o) {
          int dot = 0;
          for (int ky = 0; ky < c.kh; ++ky) {
            for (int kx = 0; kx < c.kw; ++kx) {
              const int iy = y * c.sh + ky * c.dh - pad_top;
              const int ix = xx * c.sw + kx * c.dw - pad_left;
              const bool inside = iy >= 0 && iy < c.height && ix >= 0 && ix < c.width;
              if (!inside && !c.one) continue;
              for (int i = 0; i < group_in; ++i) {
                const int channel = o / group_out * group_in + i;
                const size_t at = static_cast<size_t>(
                    ((n * c.height + iy) * c.width + ix) * words + channel / 32);
                const bool negative = inside && (x[at] >> (channel % 32) & 1);
                const size_t f = static_cast<size_t>(
                    ((o * c.kh + ky) * c.kw + kx) * group_words + i / 32);
                const bool other = filter[f] >> (i % 32) & 1;
                dot += negative == other ? 1 : -1;
              }
            }
          }
          const size_t element = pixel * static_cast<size_t>(c.channels_out) +
                                 static_cast<size_t>(o);
          const size_t s = static_cast<size_t>(o);
          if (c.bits) {
            const uint32_t* got = static_cast<uint32_t*>(mock[out].data);
            const size_t word = pixel * static_cast<size_t>(out_words) +
                                static_cast<size_t>(o / 32);
            check((got[word] >> (o % 32) & 1) == (depth - dot > 2 * threshold[s]), c, isa, "a bit");
            if (o == c.channels_out - 1 && c.channels_out % 32 != 0) {
              check(got[word] >> (c.channels_out % 32) == 0, c, isa, "the padding of a word");
            }
          } else if (c.int8) {
            const double whole_bias =
                (static_cast<double>(bias[s]) + static_cast<double>(depth) * multiplier[s]) / scale +
                zero_point;
            const float product = static_cast<float>(depth - dot) *
                                  static_cast<float>(-1.0 * multiplier[s] / scale);
            const float value = roundf(product + static_cast<float>(whole_bias));
            const auto bounded = [](float v) { return fminf(fmaxf(v, -128.0f), 127.0f); };
            const float added = static_cast<float>(others[element] - zero_point);
            const float whole = c.adds ? bounded(bounded(value) + added) : bounded(value);
            check(static_cast<int8_t*>(mock[sum].data)[element] == static_cast<int8_t>(whole), c,
                  isa, "an int8");
          } else {
            const float product = static_cast<float>(dot) * multiplier[s];
            const float value = product + bias[s];
            check(static_cast<float*>(mock[out].data)[element] == value, c, isa, "a float");
          }
          if (failures > 5) return;
        }
      }
    }
  }
}

// An ordinary or depthwise convolution of int8, with the bits of its result, by the definition.
void run_conv2d(const larq_dense::Kernels& kernels, Random& random) {
  Case c = random_case(random);
  c.dh = c.dw = c.groups = 1;
  const bool depthwise = pick(random, 0, 2) == 0;
  c.channels_in = pick(random, 1, depthwise ? 80 : 40);
  c.channels_out = depthwise ? c.channels_in : pick(random, 1, 80);
  int pad_top, pad_left;
  const int oh = c.out_size(c.height, c.kh, c.sh, 1, &pad_top);
  const int ow = c.out_size(c.width, c.kw, c.sw, 1, &pad_left);
  if (oh == 0 || ow == 0) return;
  const int each = depthwise ? 1 : c.channels_in;  // inputs of an output in a tap
  const size_t window = static_cast<size_t>(c.kh * c.kw * each);
  const size_t channels = static_cast<size_t>(c.channels_out);
  std::vector<int8_t> filter(channels * window);
  const int most = depthwise ? std::min(32, 255 / (c.kh * c.kw)) : 32;
  for (int8_t& w : filter) w = static_cast<int8_t>(4 * pick(random, -most, most - 1));
  std::vector<int32_t> bias(channels);
  std::vector<float> scales(channels);
  for (size_t o = 0; o < channels; ++o) {
    bias[o] = 4 * pick(random, -3000, 3000) + 2;
    const int shift = pick(random, 0, 14);
    scales[o] = 1.0f / static_cast<float>(1 << (shift == 2 ? 3 : shift));
  }

  MockInterpreter mock;
  const int zero_in = pick(random, -128, 127), zero_out = pick(random, -128, 127);
  const int activation = pick(random, 0, 1);
  const std::vector<int> out_dims = {c.batch, oh, ow, c.channels_out};
  const int in = mock.tensor(kTfLiteInt8, {c.batch, c.height, c.width, c.channels_in}, nullptr, 0,
                             0.5f, zero_in);
  const int weights =
      mock.tensor(kTfLiteInt8, {depthwise ? 1 : c.channels_out, c.kh, c.kw, c.channels_in},
                  filter.data(), filter.size());
  mock.set_scales(weights, scales, depthwise ? 3 : 0);
  const int b = mock.tensor(kTfLiteInt32, {c.channels_out}, bias.data(), bias.size() * 4);
  const int out = mock.tensor(kTfLiteInt8, out_dims, nullptr, 0, 0.5f, zero_out);
  const int out_words = (c.channels_out + 31) / 32;
  const int bits = mock.tensor(kTfLiteInt32, {c.batch, oh, ow, out_words});
  std::vector<int> options = {c.same ? kTfLitePaddingSame : kTfLitePaddingValid, c.sw, c.sh};
  if (depthwise) options.push_back(1);  // outputs of a channel
  options.insert(options.end(), {activation, 1, 1});
  const int code = depthwise ? larq_dense::kBuiltinDepthwiseConv2d : larq_dense::kBuiltinConv2d;
  mock.builtin(code, {in, weights, b}, out, options);
  mock.custom("LceQuantize", {out}, bits, {});
  const bool wanted = pick(random, 0, 3) != 0;  // or its bits alone
  const std::vector<int> outputs = wanted ? std::vector<int>{out, bits} : std::vector<int>{bits};
  if (mock.allocate({in}, outputs, kernels.name, c.threads) != kTfLiteOk) {
    check(false, c, kernels.name, mock.error.c_str());
    return;
  }
  int8_t* x = static_cast<int8_t*>(mock[in].data);
  for (size_t i = 0; i < mock[in].bytes; ++i) x[i] = static_cast<int8_t>(random());
  check(mock.invoke() == kTfLiteOk, c, kernels.name, "invoke failed");
  const int8_t* got = static_cast<int8_t*>(mock[out].data);
  const uint32_t* words = static_cast<uint32_t*>(mock[bits].data);

  for (int pixel = 0; pixel < c.batch * oh * ow; ++pixel) {
    const int n = pixel / (oh * ow), y = pixel / ow % oh, xx = pixel % ow;
    for (int o = 0; o < c.channels_out; ++o) {
      int sum = bias[static_cast<size_t>(o)];
      for (size_t i = 0; i < window; ++i) {
        const int channel = depthwise ? o : static_cast<int>(i) % each;
        const int tap = static_cast<int>(i) / each;
        const int iy = y * c.sh + tap / c.kw - pad_top, ix = xx * c.sw + tap % c.kw - pad_left;
        if (iy < 0 || iy >= c.height || ix < 0 || ix >= c.width) continue;
        const int at = ((n * c.height + iy) * c.width + ix) * c.channels_in + channel;
        const size_t f = depthwise ? i * channels + static_cast<size_t>(o)
                                   : static_cast<size_t>(o) * window + i;
        sum += (x[at] - zero_in) * filter[f];
      }
      double value = zero_out + nearbyint(sum * static_cast<double>(scales[static_cast<size_t>(o)]));
      value = fmin(fmax(value, activation == 1 ? fmax(zero_out, -128) : -128), 127);
      const int element = pixel * c.channels_out + o;
      if (wanted) check(got[element] == static_cast<int>(value), c, kernels.name, "a sum of bytes");
      const uint32_t word = words[pixel * out_words + o / 32];
      check((word >> (o % 32) & 1) == (value < zero_out), c, kernels.name, "its bit");
      if (o == c.channels_out - 1 && o % 32 != 31) {
        check(word >> (o % 32 + 1) == 0, c, kernels.name, "the padding of its word");
      }
      if (failures > 5) return;
    }
  }
}

// What else the kernels do with floats, infinite ones and those that are no numbers among them.
void run_floats(const larq_dense::Kernels& kernels, Random& random) {
  using larq_dense::Broadcast;
  using larq_dense::Combination;
  const size_t count = static_cast<size_t>(pick(random, 1, 70));
  const auto fill = [&] {
    std::vector<float> floats(count);
    for (float& v : floats) {
      const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-41f, -1e-41f};
      const int kind = pick(random, 0, 19);
      v = kind < 7 ? odd[kind] : static_cast<float>(pick(random, -99, 99)) / 2.0f;
    }
    return floats;
  };
  const std::vector<float> x = fill(), y = fill();
  const Combination ops[] = {Combination::kAdd, Combination::kMultiply, Combination::kFirst,
                             Combination::kRound};
  const Combination op = ops[pick(random, 0, 3)];
  const float low = pick(random, 0, 1) ? -INFINITY : -3.0f, high = pick(random, 0, 1) ? 6.0f : 0.0f;
  std::vector<float> out(count);
  kernels.combine({op, x.data(), y.data(), Broadcast::kNone, nullptr, low, high, 0, out.data(), 1,
                   count});
  std::vector<uint32_t> bits((count + 31) / 32);
  kernels.quantize_float(x.data(), y.data(), count, bits.data());
  for (size_t i = 0; i < count; ++i) {
    float v = x[i];
    if (op == Combination::kAdd) v = x[i] + y[i];
    if (op == Combination::kMultiply) v = x[i] * y[i];
    if (op == Combination::kRound) v = nearbyintf(x[i]);
    v = v > low ? v : low;  // no number becomes the lower limit
    v = v < high ? v : high;
    if (memcmp(&out[i], &v, sizeof v) != 0 || (bits[i / 32] >> (i % 32) & 1) != (x[i] < y[i])) {
      ++failures;
      printf("FAILED %s: a float: %g and %g by %d give %g, not %g\n", kernels.name,
             static_cast<double>(x[i]), static_cast<double>(y[i]), static_cast<int>(op),
             static_cast<double>(out[i]), static_cast<double>(v));
      return;
    }
  }
}

// What else the kernels do with int8s, against plain loops.
void run_bytes(const larq_dense::Kernels& kernels, Random& random) {
  using larq_dense::Broadcast;
  using larq_dense::Combination;
  const size_t rows = static_cast<size_t>(pick(random, 1, 5));
  const size_t channels = static_cast<size_t>(pick(random, 1, 100));
  const size_t count = rows * channels;
  const auto fill = [&](size_t size) {
    std::vector<int8_t> bytes(size);
    for (int8_t& b : bytes) {
      const int kind = pick(random, 0, 9);
      b = static_cast<int8_t>(kind == 0 ? -128 : (kind == 1 ? 127 : (kind == 2 ? 0 : random())));
    }
    return bytes;
  };
  const auto expect = [&](bool holds, const char* what) {
    if (holds) return;
    ++failures;
    printf("FAILED %s: %s of %zu rows of %zu\n", kernels.name, what, rows, channels);
  };
  std::vector<int8_t> x = fill(count), operand = fill(count);
  const int zero = fill(1)[0];
  const Broadcast broadcasts[] = {Broadcast::kNone, Broadcast::kChannels, Broadcast::kRows,
                                  Broadcast::kScalar};
  const Combination ops[] = {Combination::kAdd, Combination::kMultiply, Combination::kFirst};
  const Broadcast broadcast = broadcasts[pick(random, 0, 3)];
  const Combination op = ops[pick(random, 0, 2)];
  const int8_t low = static_cast<int8_t>(pick(random, -128, 0));
  const int8_t high = static_cast<int8_t>(pick(random, 0, 127));
  std::vector<int8_t> out = x;  // in its place
  kernels.combine_int8({op, out.data(), operand.data(), broadcast, nullptr, low, high, zero,
                        out.data(), rows, channels});
  for (size_t i = 0; i < count; ++i) {
    const size_t at[] = {i, i % channels, i / channels, 0};
    const int y = operand[at[static_cast<size_t>(broadcast)]];
    int v = x[i];
    if (op == Combination::kAdd) v = x[i] + y - zero;
    if (op == Combination::kMultiply) v = y != 0 ? x[i] : zero;
    v = v < low ? low : (v > high ? high : v);
    expect(out[i] == v, "a combination");
  }

  const std::vector<int8_t> limit = fill(channels);
  std::vector<uint32_t> by((channels + 31) / 32), by_zero = by;
  kernels.quantize_int8_by(x.data(), limit.data(), channels, by.data());
  kernels.quantize_int8(x.data(), zero, channels, by_zero.data());
  for (size_t i = 0; i < 32 * by.size(); ++i) {
    const bool inside = i < channels;
    expect((by[i / 32] >> (i % 32) & 1) == (inside && x[i] < limit[i]), "a bit by a limit");
    expect((by_zero[i / 32] >> (i % 32) & 1) == (inside && x[i] < zero), "a bit by the zero point");
  }

  // A picture's row at twice its size.
  const std::vector<int8_t> next = fill(count);
  std::vector<int8_t> large(2 * count);
  std::vector<uint8_t> workspace(4 * count + 4 * channels + 2 * larq_dense::kEnlargeSlack);
  kernels.enlarge_int8(x.data(), next.data(), rows, channels, large.data(), workspace.data());
  for (size_t i = 0; i < 2 * count; ++i) {
    const size_t at = i / channels, from = at / 2 * channels + i % channels;
    const bool edge = at % 2 == 0 ? at == 0 : at + 1 == 2 * rows;
    const size_t neighbour = edge ? from : (at % 2 == 0 ? from - channels : from + channels);
    const int sum = 3 * (3 * x[from] + next[from]) + 3 * x[neighbour] + next[neighbour];
    expect(large[i] == (sum < 0 ? -((8 - sum) / 16) : (sum + 8) / 16), "an enlarged byte");
  }

  std::vector<int32_t> sums(channels, 5);
  kernels.sum_int8(x.data(), rows, channels, sums.data());
  for (size_t i = 0; i < channels; ++i) {
    int sum = 5;
    for (size_t r = 0; r < rows; ++r) sum += x[r * channels + i];
    expect(sums[i] == sum, "a sum");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int cases = argc > 1 ? atoi(argv[1]) : 200;
  for (int k = 0; larq_dense::usable_kernels(k) != nullptr; ++k) {
    const char* isa = larq_dense::usable_kernels(k)->name;
    Random random(1234);
    const larq_dense::Kernels& kernels = *larq_dense::usable_kernels(k);
    for (int i = 0; i < cases && failures <= 5; ++i) {
      run(random_case(random), isa, random);
      run_bytes(kernels, random);
      run_floats(kernels, random);
      if (kernels.conv_bytes != nullptr) run_conv2d(kernels, random);
    }
    printf("%s: %d cases\n", isa, cases);
  }
  return failures == 0 ? 0 : 1;
}
