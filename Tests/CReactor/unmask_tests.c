// Unmasking: every variant against the definition, RFC 6455, section 5.3.

#include "guard.h"

typedef struct variant {
  const char *name;
  void (*unmask)(uint8_t *bytes, size_t count, uint32_t key, size_t phase);
} variant;

/// The variants that this processor can run, by number; false when there are no more.
static bool variant_at(int number, variant *variant) {
  const struct variant all[] = {
      {"dispatched", cl_unmask},
      {"scalar", cl_unmask_scalar},
#if defined(__x86_64__)
      {"sse2", cl_unmask_sse2},
      {"avx2", __builtin_cpu_supports("avx2") ? cl_unmask_avx2 : cl_unmask_sse2},
#elif defined(__aarch64__)
      {"neon", cl_unmask_neon},
#endif
  };
  if (number >= (int)(sizeof(all) / sizeof(all[0]))) return false;
  *variant = all[number];
  return true;
}

/// "Octet i of the transformed data is the XOR of octet i of the original data with octet at index
/// i modulo 4 of the masking key."
static uint8_t defined_byte(uint8_t byte, uint32_t key, size_t position) {
  const uint8_t octets[4] = {(uint8_t)key, (uint8_t)(key >> 8), (uint8_t)(key >> 16),
                             (uint8_t)(key >> 24)};
  return byte ^ octets[position % 4];
}

TEST(unmask_rfc, "the RFC's own example unmasks to Hello") {
  variant variant;
  for (int number = 0; variant_at(number, &variant); number += 1) {
    uint8_t bytes[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
    variant.unmask(bytes, 5, 0x3D21FA37, 0);
    CHECK(memcmp(bytes, "Hello", 5) == 0);
  }
}

TEST(unmask_all, "every variant agrees at lengths 0 to 300, phases 0 to 7, alignments 0 to 63") {
  enum { MARGIN = 64, SPACE = 300 + 2 * MARGIN + 64 };
  rng random = harness_rng();
  _Alignas(64) uint8_t before[SPACE], after[SPACE];
  for (int i = 0; i < SPACE; i += 1) before[i] = (uint8_t)rng_next(&random);
  variant variant;
  for (int number = 0; variant_at(number, &variant); number += 1) {
    for (size_t length = 0; length <= 300; length += 1) {
      uint32_t key = (uint32_t)rng_next(&random);
      for (size_t phase = 0; phase < 8; phase += 1) {
        for (size_t alignment = 0; alignment < 64; alignment += 1) {
          size_t start = MARGIN + alignment, end = start + length;
          memcpy(after, before, SPACE);
          variant.unmask(after + start, length, key, phase);
          CHECK(memcmp(after, before, start) == 0);
          CHECK(memcmp(after + end, before + end, SPACE - end) == 0);
          for (size_t i = start; i < end; i += 1) {
            CHECK(after[i] == defined_byte(before[i], key, phase + i - start));
          }
        }
      }
    }
  }
}

TEST(unmask_pieces, "unmasking in two pieces equals unmasking in one, for every cut") {
  enum { LENGTH = 300 };
  rng random = harness_rng();
  uint8_t bytes[LENGTH], whole[LENGTH];
  for (int i = 0; i < LENGTH; i += 1) bytes[i] = (uint8_t)rng_next(&random);
  uint32_t key = (uint32_t)rng_next(&random);
  memcpy(whole, bytes, LENGTH);
  cl_unmask_scalar(whole, LENGTH, key, 0);
  for (size_t cut = 0; cut <= LENGTH; cut += 1) {
    uint8_t pieces[LENGTH];
    memcpy(pieces, bytes, LENGTH);
    cl_unmask(pieces, cut, key, 0);
    cl_unmask(pieces + cut, LENGTH - cut, key, cut);
    CHECK(memcmp(pieces, whole, LENGTH) == 0);
  }
}

TEST(unmask_guard, "no variant touches a byte before or after its input") {
  guarded_page page = guarded_page_make();
  variant variant;
  for (int number = 0; variant_at(number, &variant); number += 1) {
    for (size_t length = 0; length <= 300; length += 1) {
      variant.unmask(page.bytes, length, 0x01020304, length);
      variant.unmask(page.bytes + page.size - length, length, 0x01020304, length);
    }
  }
  guarded_page_free(page);
}
