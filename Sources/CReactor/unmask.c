// Unmasking: RFC 6455, section 5.3.
//
// The key's cycle of four divides every vector length, so each variant rotates the key once to the
// phase and then XORs whole vectors with one constant.

#include <string.h>

#include "internal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the key's first wire byte is lowest");

static inline uint32_t turned(uint32_t key, size_t phase) {
  unsigned bits = (unsigned)(phase & 3) * 8;
  return bits == 0 ? key : key >> bits | key << (32 - bits);
}

void cl_unmask_scalar(uint8_t *bytes, size_t count, uint32_t key, size_t phase) {
  uint32_t cycle = turned(key, phase);
  for (size_t i = 0; i < count; i += 1) bytes[i] ^= (uint8_t)(cycle >> (i & 3) * 8);
}

/// Up to 31 bytes after the last vector, by words.
__attribute__((unused)) static inline void unmask_rest(uint8_t *bytes, size_t count,
                                                       uint32_t cycle) {
  uint64_t twice = (uint64_t)cycle << 32 | cycle;
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    uint64_t word;
    memcpy(&word, bytes + i, 8);
    word ^= twice;
    memcpy(bytes + i, &word, 8);
  }
  for (; i < count; i += 1) bytes[i] ^= (uint8_t)(cycle >> (i & 3) * 8);
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) void cl_unmask_avx2(uint8_t *bytes, size_t count, uint32_t key,
                                                    size_t phase) {
  uint32_t cycle = turned(key, phase);
  __m256i pattern = _mm256_set1_epi32((int)cycle);
  size_t i = 0;
  for (; i + 64 <= count; i += 64) {
    __m256i *first = (__m256i *)(void *)(bytes + i);
    __m256i low = _mm256_loadu_si256(first);
    __m256i high = _mm256_loadu_si256(first + 1);
    _mm256_storeu_si256(first, _mm256_xor_si256(low, pattern));
    _mm256_storeu_si256(first + 1, _mm256_xor_si256(high, pattern));
  }
  if (i + 32 <= count) {
    __m256i *piece = (__m256i *)(void *)(bytes + i);
    _mm256_storeu_si256(piece, _mm256_xor_si256(_mm256_loadu_si256(piece), pattern));
    i += 32;
  }
  unmask_rest(bytes + i, count - i, cycle);
}

void cl_unmask_sse2(uint8_t *bytes, size_t count, uint32_t key, size_t phase) {
  uint32_t cycle = turned(key, phase);
  __m128i pattern = _mm_set1_epi32((int)cycle);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m128i *piece = (__m128i *)(void *)(bytes + i);
    _mm_storeu_si128(piece, _mm_xor_si128(_mm_loadu_si128(piece), pattern));
  }
  unmask_rest(bytes + i, count - i, cycle);
}

void cl_unmask(uint8_t *bytes, size_t count, uint32_t key, size_t phase) {
  // The processor's features are detected before main; this is a load and a test.
  if (__builtin_cpu_supports("avx2")) {
    cl_unmask_avx2(bytes, count, key, phase);
  } else {
    cl_unmask_sse2(bytes, count, key, phase);
  }
}

#elif defined(__aarch64__)

void cl_unmask_neon(uint8_t *bytes, size_t count, uint32_t key, size_t phase) {
  uint32_t cycle = turned(key, phase);
  uint8x16_t pattern = vreinterpretq_u8_u32(vdupq_n_u32(cycle));
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    vst1q_u8(bytes + i, veorq_u8(vld1q_u8(bytes + i), pattern));
  }
  unmask_rest(bytes + i, count - i, cycle);
}

void cl_unmask(uint8_t *bytes, size_t count, uint32_t key, size_t phase) {
  cl_unmask_neon(bytes, count, key, phase);
}

#else

void cl_unmask(uint8_t *bytes, size_t count, uint32_t key, size_t phase) {
  unmask_rest(bytes, count, turned(key, phase));
}

#endif
