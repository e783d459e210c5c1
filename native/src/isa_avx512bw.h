// AVX-512 without VPOPCNTDQ: bits are counted by two table look-ups for each byte, and as few words
// as possible are counted at all.
#pragma once

#include "isa_avx512.h"

namespace larq_dense {
namespace {

struct Avx512BwBase : Avx512Base {
  static constexpr int kPixels = 2;  // 16 of the 32 registers hold sums
  static constexpr int kLimitChains = 12;
  static constexpr bool kByteCounts = true;
  static constexpr bool kOneCount = true;
  static constexpr bool kSavesCarries = true;

  // The digits of a sum of bits, one binary number in each bit of a register, of which the eights
  // are counted as they come: a full adder is two instructions, a count seven.
  struct Digits {
    Words ones, twos, fours;
  };
  static Digits zero_digits() {
    const Words zero = _mm512_setzero_si512();
    return {zero, zero, zero};
  }
  // Truth tables of "a ^ b ^ c" and "at least two of a, b, c".
  static Words parity(Words a, Words b, Words c) {
    return _mm512_ternarylogic_epi32(a, b, c, 0x96);
  }
  static Words carry(Words a, Words b, Words c) {
    return _mm512_ternarylogic_epi32(a, b, c, 0xe8);
  }
  // Truth table of "not (mask ? yes : no)".
  static Words select_not(Words mask, Words yes, Words no) {
    return _mm512_ternarylogic_epi32(mask, yes, no, 0x35);
  }

  // Adds two words of ones and two of twos.
  static Counts add_digits(Digits& sum, Counts eights, Words one, Words two, Words other_one,
                           Words other_two) {
    const Words carried = carry(sum.ones, one, other_one);
    sum.ones = parity(sum.ones, one, other_one);
    const Words four = carry(sum.twos, two, other_two);
    const Words twos = parity(sum.twos, two, other_two);
    const Words other_four = _mm512_and_si512(twos, carried);
    sum.twos = _mm512_xor_si512(twos, carried);
    const Words eight = carry(sum.fours, four, other_four);
    sum.fours = parity(sum.fours, four, other_four);
    return count(eights, eight);
  }
  static Ints widen_eights(Ints dot, Counts eights) {
    return _mm512_add_epi32(dot, _mm512_slli_epi32(sum_bytes(eights), 3));
  }
  static Ints widen_digits(Ints dot, const Digits& sum) {
    Counts counts = count(_mm512_setzero_si512(), sum.fours);
    counts = count(_mm512_add_epi8(counts, counts), sum.twos);
    counts = count(_mm512_add_epi8(counts, counts), sum.ones);
    return widen(dot, counts, counts);
  }

  static Counts count(Counts sum, Words v) {
    return look_up(sum, v, 0x02010100, 0x03020201, 0x03020201, 0x04030302);
  }
  // Adds 16 to each byte and takes twice its count away: 64 to each lane, in all.
  static Counts count_majority(Counts sum, Words v) {
    return look_up(sum, v, 0x04060608, 0x02040406, 0x02040406, 0x00020204);
  }
  // Four entries of the table at a time, the first in the lowest byte.
  static Counts look_up(Counts sum, Words v, int first, int second, int third, int fourth) {
    const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi32(first, second, third, fourth));
    const __m512i nibble = _mm512_set1_epi8(15);
    const __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(v, nibble));
    const __m512i high =
        _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble));
    return _mm512_add_epi8(sum, _mm512_add_epi8(low, high));
  }
  static Ints sum_bytes(Counts counts) {
    const __m512i pairs = _mm512_maddubs_epi16(counts, _mm512_set1_epi8(1));
    return _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
  }
  static Ints widen(Ints dot, Counts sums, Counts) {
    return _mm512_add_epi32(dot, sum_bytes(sums));
  }
};

}  // namespace
}  // namespace larq_dense
