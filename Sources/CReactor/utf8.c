// UTF-8 validation: RFC 3629, piece by piece.
//
// The automaton is the definition: nine states, one step a byte, and REJECT as soon as no
// continuation could make the bytes valid. The vector variant checks 32 bytes at a time by the
// lookup method of Keiser and Lemire ("Validating UTF-8 in less than one instruction per byte",
// 2021) between the first and the last character boundary that it finds. Both ends of the piece go
// through the automaton, so that one implementation decides about an unfinished character.

#include <string.h>

#include "internal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// MARK: - The automaton

enum {
  ACCEPT,
  REJECT,
  /// One, two or three continuation bytes must follow.
  WANT_1,
  WANT_2,
  WANT_3,
  /// The same, with a narrower range than 80...BF for the next byte: no overlong form, surrogate,
  /// or value past U+10FFFF.
  AFTER_E0,
  AFTER_ED,
  AFTER_F0,
  AFTER_F4,
  STATE_COUNT,
};

enum {
  ASCII,
  CONTINUATION_8,
  CONTINUATION_9,
  CONTINUATION_AB,
  NEVER,
  LEAD_2,
  LEAD_E0,
  LEAD_3,
  LEAD_ED,
  LEAD_F0,
  LEAD_4,
  LEAD_F4,
  CLASS_COUNT,
};

static const uint8_t class_of[256] = {
    [0x00 ... 0x7F] = ASCII,
    [0x80 ... 0x8F] = CONTINUATION_8,
    [0x90 ... 0x9F] = CONTINUATION_9,
    [0xA0 ... 0xBF] = CONTINUATION_AB,
    [0xC0 ... 0xC1] = NEVER,
    [0xC2 ... 0xDF] = LEAD_2,
    [0xE0] = LEAD_E0,
    [0xE1 ... 0xEC] = LEAD_3,
    // guard: utf8-surrogates
    [0xED] = LEAD_ED,
    [0xEE ... 0xEF] = LEAD_3,
    [0xF0] = LEAD_F0,
    [0xF1 ... 0xF3] = LEAD_4,
    [0xF4] = LEAD_F4,
    [0xF5 ... 0xFF] = NEVER,
};

#define NO REJECT
static const uint8_t next_state[STATE_COUNT][CLASS_COUNT] = {
    [ACCEPT] = {ACCEPT, NO, NO, NO, NO, WANT_1, AFTER_E0, WANT_2, AFTER_ED, AFTER_F0, WANT_3,
                AFTER_F4},
    [REJECT] = {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
    [WANT_1] = {NO, ACCEPT, ACCEPT, ACCEPT, NO, NO, NO, NO, NO, NO, NO, NO},
    [WANT_2] = {NO, WANT_1, WANT_1, WANT_1, NO, NO, NO, NO, NO, NO, NO, NO},
    [WANT_3] = {NO, WANT_2, WANT_2, WANT_2, NO, NO, NO, NO, NO, NO, NO, NO},
    [AFTER_E0] = {NO, NO, NO, WANT_1, NO, NO, NO, NO, NO, NO, NO, NO},
    [AFTER_ED] = {NO, WANT_1, WANT_1, NO, NO, NO, NO, NO, NO, NO, NO, NO},
    [AFTER_F0] = {NO, NO, WANT_2, WANT_2, NO, NO, NO, NO, NO, NO, NO, NO},
    [AFTER_F4] = {NO, WANT_2, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
};
#undef NO

static inline uint32_t step(uint32_t state, uint8_t byte) {
  return next_state[state][class_of[byte]];
}

bool cl_utf8_feed_scalar(cl_utf8 *utf8, const uint8_t *bytes, size_t count) {
  uint32_t state = utf8->state;
  for (size_t i = 0; i < count; i += 1) state = step(state, bytes[i]);
  utf8->state = state;
  return state != REJECT;
}

bool cl_utf8_complete(const cl_utf8 *utf8) { return utf8->state == ACCEPT; }

bool cl_utf8_feed_words(cl_utf8 *utf8, const uint8_t *bytes, size_t count) {
  uint32_t state = utf8->state;
  size_t i = 0;
  while (i < count && state != REJECT) {
    uint64_t word;
    if (state == ACCEPT && count - i >= sizeof(word)) {
      memcpy(&word, bytes + i, sizeof(word));
      if ((word & 0x8080808080808080) == 0) {
        i += sizeof(word);
        continue;
      }
    }
    state = step(state, bytes[i]);
    i += 1;
  }
  utf8->state = state;
  return state != REJECT;
}

// MARK: - The vector variant

#if defined(__x86_64__)

// Possible errors of two consecutive bytes. Each table below lists, for one nibble of the pair, the
// errors it allows; an error that all three allow is present. TWO_CONTINUATIONS is an error only
// where no third or fourth byte of a character is due.
enum {
  TOO_SHORT = 1 << 0,
  TOO_LONG = 1 << 1,
  OVERLONG_3 = 1 << 2,
  TOO_LARGE = 1 << 3,
  SURROGATE = 1 << 4,
  OVERLONG_2 = 1 << 5,
  // F0 80...8F is overlong, F5...FF 80...8F is too large; no other pair has to be distinguished.
  OVERLONG_4 = 1 << 6,
  TOO_LARGE_8 = 1 << 6,
  TWO_CONTINUATIONS = 1 << 7,
  ANY_LOW = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS,
  LOW_LARGE = ANY_LOW | TOO_LARGE | TOO_LARGE_8,
  CONTINUED = TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS,
};

static const uint8_t first_high[16] = {
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TOO_LONG,
    TWO_CONTINUATIONS,
    TWO_CONTINUATIONS,
    TWO_CONTINUATIONS,
    TWO_CONTINUATIONS,
    TOO_SHORT | OVERLONG_2,
    TOO_SHORT,
    TOO_SHORT | OVERLONG_3 | SURROGATE,
    TOO_SHORT | TOO_LARGE | TOO_LARGE_8 | OVERLONG_4,
};

static const uint8_t first_low[16] = {
    ANY_LOW | OVERLONG_3 | OVERLONG_2 | OVERLONG_4,
    ANY_LOW | OVERLONG_2,
    ANY_LOW,
    ANY_LOW,
    ANY_LOW | TOO_LARGE,
    LOW_LARGE,
    LOW_LARGE,
    LOW_LARGE,
    LOW_LARGE,
    LOW_LARGE,
    LOW_LARGE,
    LOW_LARGE,
    LOW_LARGE,
    LOW_LARGE | SURROGATE,
    LOW_LARGE,
    LOW_LARGE,
};

static const uint8_t second_high[16] = {
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    CONTINUED | OVERLONG_3 | OVERLONG_4 | TOO_LARGE_8,
    CONTINUED | OVERLONG_3 | TOO_LARGE,
    CONTINUED | SURROGATE | TOO_LARGE,
    CONTINUED | SURROGATE | TOO_LARGE,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
    TOO_SHORT,
};

#define AVX2 __attribute__((target("avx2"))) static inline

AVX2 __m256i table(const uint8_t *entries) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)entries));
}

AVX2 __m256i high_nibbles(__m256i bytes) {
  return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0F));
}

/// Nonzero where `input`, following `previous`, is invalid.
AVX2 __m256i errors_of(__m256i input, __m256i previous) {
  // The bytes one, two and three positions back, across the border between the two vectors.
  __m256i border = _mm256_permute2x128_si256(previous, input, 0x21);
  __m256i back_1 = _mm256_alignr_epi8(input, border, 15);
  __m256i back_2 = _mm256_alignr_epi8(input, border, 14);
  __m256i back_3 = _mm256_alignr_epi8(input, border, 13);

  __m256i low_1 = _mm256_and_si256(back_1, _mm256_set1_epi8(0x0F));
  __m256i of_pair = _mm256_and_si256(
      _mm256_and_si256(_mm256_shuffle_epi8(table(first_high), high_nibbles(back_1)),
                       _mm256_shuffle_epi8(table(first_low), low_1)),
      _mm256_shuffle_epi8(table(second_high), high_nibbles(input)));

  // Bit 7 is set where the byte two back leads three or more bytes, or the byte three back leads
  // four.
  __m256i third = _mm256_subs_epu8(back_2, _mm256_set1_epi8((char)(0xE0 - 0x80)));
  __m256i fourth = _mm256_subs_epu8(back_3, _mm256_set1_epi8((char)(0xF0 - 0x80)));
  __m256i due = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
  return _mm256_xor_si256(due, of_pair);
}

/// Nonzero if a character near the end of `input` continues after it.
AVX2 __m256i unfinished_in(__m256i input) {
  const char all = (char)0xFF;
  __m256i finished = _mm256_setr_epi8(all, all, all, all, all, all, all, all, all, all, all, all,
                                      all, all, all, all, all, all, all, all, all, all, all, all,
                                      all, all, all, all, all, (char)0xEF, (char)0xDF, (char)0xBF);
  return _mm256_subs_epu8(input, finished);
}

/// The start of the character that may continue after `bytes[end]`; `end` if there is none.
/// Everything before has been checked, so looking at three bytes is enough.
static size_t last_boundary(const uint8_t *bytes, size_t end) {
  for (size_t back = 1; back <= 3 && back <= end; back += 1) {
    uint8_t byte = bytes[end - back];
    if (byte >= 0xC0) return end - back;
    if (byte < 0x80) return end;
  }
  return end;
}

__attribute__((target("avx2"))) bool cl_utf8_feed_avx2(cl_utf8 *utf8, const uint8_t *bytes,
                                                       size_t count) {
  // Finish the character that the last piece left incomplete.
  size_t start = 0;
  while (start < count && start < 3 && utf8->state != ACCEPT) {
    utf8->state = step(utf8->state, bytes[start]);
    start += 1;
  }
  if (utf8->state != ACCEPT || count - start < 64) {
    return cl_utf8_feed_words(utf8, bytes + start, count - start);
  }

  size_t i = start;
  __m256i errors = _mm256_setzero_si256();
  // Pretend that ASCII came before: `bytes[start]` begins a character.
  __m256i previous = _mm256_setzero_si256();
  for (; count - i >= 64; i += 64) {
    const __m256i *piece = (const __m256i *)(const void *)(bytes + i);
    __m256i low = _mm256_loadu_si256(piece);
    __m256i high = _mm256_loadu_si256(piece + 1);
    if (_mm256_movemask_epi8(_mm256_or_si256(low, high)) == 0) {
      errors = _mm256_or_si256(errors, unfinished_in(previous));
    } else {
      errors = _mm256_or_si256(errors, errors_of(low, previous));
      errors = _mm256_or_si256(errors, errors_of(high, low));
    }
    previous = high;
  }
  if (!_mm256_testz_si256(errors, errors)) {
    utf8->state = REJECT;
    return false;
  }
  i = start + last_boundary(bytes + start, i - start);
  return cl_utf8_feed_words(utf8, bytes + i, count - i);
}

bool cl_utf8_feed(cl_utf8 *utf8, const uint8_t *bytes, size_t count) {
  // The processor's features are detected before main; this is a load and a test.
  if (__builtin_cpu_supports("avx2")) return cl_utf8_feed_avx2(utf8, bytes, count);
  return cl_utf8_feed_words(utf8, bytes, count);
}

#else

bool cl_utf8_feed(cl_utf8 *utf8, const uint8_t *bytes, size_t count) {
  return cl_utf8_feed_words(utf8, bytes, count);
}

#endif
