// Drives the kernels of every instruction set that this processor has over random convolutions,
// through a mock interpreter, against a bit-by-bit definition. Prints one line for each.
#include <math.h>

#include <random>

#include "../../native/src/kernels.h"
#include "mock_interpreter.h"

namespace {

using Random = std::mt19937;

int pick(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

struct Case {
  int batch, height, width, channels_in, groups, channels_out, kh, kw, sh, sw, dh, dw;
  bool same, one, bits, int8;
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
  c.channels_out = pick(random, 1, 70) * c.groups;
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
  // Halves, which int8 rounds away from zero; values that are no int32; all the others.
  const int range = pick(random, 0, 5);
  const float size = range == 0 ? 0.75f : (range == 1 ? 1e9f : 1.0f / 7.0f);
  for (size_t i = 0; i < multiplier.size(); ++i) {
    multiplier[i] = static_cast<float>(pick(random, -99, 99)) * size;
    bias[i] = range == 0 ? static_cast<float>(pick(random, -99, 99)) * size
                         : static_cast<float>(pick(random, -999, 999)) / 3.0f;
    threshold[i] = depth / 2 + pick(random, -5, 5);
  }

  MockInterpreter mock;
  const float scale = 1.5f;
  const int zero_point = -3;
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
  const TfLiteStatus status = mock.allocate({in}, {out}, isa, c.threads);
  if (oh == 0 || ow == 0) {
    check(status == kTfLiteError && !mock.error.empty(), c, isa, "an empty output was accepted");
    return;
  }
  if (status != kTfLiteOk) {
    check(false, c, isa, mock.error.c_str());
    return;
  }
  memcpy(mock[in].data, x.data(), x.size() * 4);
  check(mock.invoke() == kTfLiteOk, c, isa, "invoke failed");

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
            const float bounded = fminf(fmaxf(value, -128.0f), 127.0f);
            check(static_cast<int8_t*>(mock[out].data)[element] == static_cast<int8_t>(bounded), c,
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

}  // namespace

int main(int argc, char** argv) {
  const int cases = argc > 1 ? atoi(argv[1]) : 200;
  for (int k = 0; larq_dense::usable_kernels(k) != nullptr; ++k) {
    const char* isa = larq_dense::usable_kernels(k)->name;
    Random random(1234);
    for (int i = 0; i < cases && failures <= 5; ++i) run(random_case(random), isa, random);
    printf("%s: %d cases\n", isa, cases);
  }
  return failures == 0 ? 0 : 1;
}
