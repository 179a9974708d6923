// UTF-8 validation: every variant against a decoder written from RFC 3629's prose.
//
// The decoder uses no tables: it keeps the range of values that an unfinished character can still
// take, and checks whether an allowed value lies in it.

#include "guard.h"

typedef bool feed_function(cl_utf8 *utf8, const uint8_t *bytes, size_t count);

typedef struct variant {
  const char *name;
  feed_function *feed;
} variant;

/// The variants that this processor can run, by number; false when there are no more.
static bool variant_at(int number, variant *variant) {
  const struct variant all[] = {
      {"dispatched", cl_utf8_feed},
      {"scalar", cl_utf8_feed_scalar},
      {"words", cl_utf8_feed_words},
#if defined(__x86_64__)
      {"avx2", __builtin_cpu_supports("avx2") ? cl_utf8_feed_avx2 : cl_utf8_feed_words},
#endif
  };
  if (number >= (int)(sizeof(all) / sizeof(all[0]))) return false;
  *variant = all[number];
  return true;
}

// MARK: - The reference

typedef enum verdict { WRONG, BEGUN, WHOLE } verdict;

/// The verdict on `count` bytes, one to four, as one character.
static verdict character(const uint8_t *bytes, size_t count) {
  uint8_t lead = bytes[0];
  size_t length = lead < 0x80             ? 1
                  : (lead & 0xE0) == 0xC0 ? 2
                  : (lead & 0xF0) == 0xE0 ? 3
                  : (lead & 0xF8) == 0xF0 ? 4
                                          : 0;
  if (length == 0 || count > length) return WRONG;
  uint32_t low = length == 1 ? lead : lead & (0x7FU >> length);
  for (size_t i = 1; i < count; i += 1) {
    if ((bytes[i] & 0xC0) != 0x80) return WRONG;
    low = low << 6 | (bytes[i] & 0x3F);
  }
  // With all the missing bits zero, and all of them one.
  unsigned missing = 6 * (unsigned)(length - count);
  uint32_t high = (low + 1) << missing;
  high -= 1;
  low <<= missing;
  const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  if (low < least[length]) low = least[length];
  if (high > 0x10FFFF) high = 0x10FFFF;
  if (low > high || (low >= 0xD800 && high <= 0xDFFF)) return WRONG;
  return count == length ? WHOLE : BEGUN;
}

/// The length of the longest prefix that can begin valid UTF-8, and whether that prefix ends
/// between two characters.
static size_t viable_prefix(const uint8_t *bytes, size_t count, bool *is_whole) {
  size_t start = 0, end = 0;
  verdict last = WHOLE;
  while (end < count) {
    verdict next = character(bytes + start, end + 1 - start);
    if (next == WRONG) break;
    last = next;
    end += 1;
    if (last == WHOLE) start = end;
  }
  *is_whole = last == WHOLE;
  return end;
}

/// Feeds `bytes` in two pieces and checks both results.
static void check_cut(feed_function *feed, const uint8_t *bytes, size_t count, size_t cut,
                      size_t viable, bool is_whole) {
  cl_utf8 utf8 = {0};
  CHECK(feed(&utf8, bytes, cut) == (viable >= cut));
  CHECK(feed(&utf8, bytes + cut, count - cut) == (viable == count));
  if (viable == count) {
    CHECK(cl_utf8_complete(&utf8) == is_whole);
  } else {
    // Invalid text stays invalid.
    CHECK(!cl_utf8_complete(&utf8));
    CHECK(!feed(&utf8, (const uint8_t *)"a", 1));
  }
}

/// Every variant, whole and cut at every point of [from, to].
static void check_cuts(const uint8_t *bytes, size_t count, size_t from, size_t to) {
  bool is_whole;
  size_t viable = viable_prefix(bytes, count, &is_whole);
  variant variant;
  for (int number = 0; variant_at(number, &variant); number += 1) {
    check_cut(variant.feed, bytes, count, 0, viable, is_whole);
    for (size_t cut = from; cut <= to; cut += 1) {
      check_cut(variant.feed, bytes, count, cut, viable, is_whole);
    }
  }
}

// MARK: - Short sequences, all of them

/// Puts `count` bytes at `offset` of ASCII text and checks every variant, with ASCII following and
/// with the text ending there, cut within and around the bytes.
static void check_embedded(const uint8_t *bytes, size_t count, size_t offset) {
  enum { LENGTH = 208 };
  uint8_t text[LENGTH];
  memset(text, 'a', LENGTH);
  memcpy(text + offset, bytes, count);
  check_cuts(text, LENGTH, offset, offset + count);
  check_cuts(text, offset + count, offset, offset + count);
}

// Case 8.
TEST(utf8_short, "all sequences of one and two bytes, at every offset, cut at every point") {
  for (unsigned value = 0; value < 0x10000; value += 1) {
    uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    check_cuts(bytes, 2, 0, 2);
    if (bytes[0] == 0) check_cuts(bytes + 1, 1, 0, 1);
    // Every byte appears at every offset of a vector; all offsets for pairs on a border of the
    // tables, one offset for the others.
    bool is_border = (bytes[1] & 0x0F) == 0 || (bytes[1] & 0x0F) == 0x0F;
    if (!is_border || bytes[0] < 0x70) {
      check_embedded(bytes, 2, 30 + value % 70);
      continue;
    }
    for (size_t offset = 60; offset < 68; offset += 1) check_embedded(bytes, 2, offset);
    for (size_t offset = 94; offset < 98; offset += 1) check_embedded(bytes, 2, offset);
  }
}

/// The verdicts of every variant on three bytes amid ASCII, uncut: fast enough for all triples.
static void check_triple(feed_function *fast, const uint8_t bytes[3], size_t offset) {
  static uint8_t text[256];
  if (text[0] == 0) memset(text, 'a', sizeof(text));
  bool is_whole;
  size_t viable = viable_prefix(bytes, 3, &is_whole);
  // Amid ASCII, an unfinished character is invalid.
  bool is_valid = viable == 3 && is_whole;
  memcpy(text + offset, bytes, 3);
  cl_utf8 amid = {0}, at_end = {0}, alone = {0};
  CHECK(fast(&amid, text, 160) == is_valid);
  CHECK(fast(&at_end, text, offset + 3) == (viable == 3));
  CHECK(viable < 3 || cl_utf8_complete(&at_end) == is_whole);
  for (size_t i = 0; i < 3; i += 1) {
    CHECK(cl_utf8_feed_scalar(&alone, bytes + i, 1) == (viable > i));
  }
  CHECK(viable < 3 || cl_utf8_complete(&alone) == is_whole);
  memset(text + offset, 'a', 3);
}

TEST(utf8_triples, "all sequences of three bytes") {
  for (unsigned value = 0; value < 0x1000000; value += 1) {
    uint8_t bytes[3] = {(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
    // The offset cycles with the value, over the borders of the first three vectors.
    check_triple(cl_utf8_feed, bytes, 29 + value % 71);
  }
}

TEST(utf8_quadruples, "sequences of four bytes with every lead and the borders of all ranges") {
  const uint8_t seconds[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  const uint8_t rest[] = {0x7F, 0x80, 0xBF, 0xC0};
  size_t round = 0;
  for (unsigned lead = 0; lead < 256; lead += 1) {
    for (size_t i = 0; i < 160; i += 1) {
      uint8_t bytes[4] = {(uint8_t)lead, seconds[i / 16], rest[i / 4 % 4], rest[i % 4]};
      check_cuts(bytes, 4, 0, 4);
      round += 1;
      if (lead >= 0xE0) {
        for (size_t offset = 60; offset < 66; offset += 1) check_embedded(bytes, 4, offset);
      }
      check_embedded(bytes, 4, 29 + round % 71);
    }
  }
}

// Case 8.
TEST(utf8_early, "a piece that ends in a character which cannot become valid is rejected at once") {
  const char *hopeless[] = {"\xF4\x90", "\xE0\x80", "\xE0\x9F", "\xED\xA0", "\xF0\x80", "\xF0\x8F",
                            "\xC0",     "\xC1",     "\xF5",     "\xFF",     "\x80",     "\xBF"};
  const char *hopeful[] = {"\xF4\x8F", "\xE0\xA0", "\xED\x9F", "\xF0\x90", "\xC2",
                           "\xDF",     "\xE1",     "\xEE\x80", "\xF3\xBF"};
  uint8_t text[256];
  memset(text, 'a', sizeof(text));
  variant variant;
  for (int number = 0; variant_at(number, &variant); number += 1) {
    for (size_t offset = 0; offset < 200; offset += 1) {
      for (size_t i = 0; i < sizeof(hopeless) / sizeof(hopeless[0]); i += 1) {
        size_t length = strlen(hopeless[i]);
        memcpy(text + offset, hopeless[i], length);
        cl_utf8 utf8 = {0};
        CHECK(!variant.feed(&utf8, text, offset + length));
        memset(text + offset, 'a', length);
      }
      for (size_t i = 0; i < sizeof(hopeful) / sizeof(hopeful[0]); i += 1) {
        size_t length = strlen(hopeful[i]);
        memcpy(text + offset, hopeful[i], length);
        cl_utf8 utf8 = {0};
        CHECK(variant.feed(&utf8, text, offset + length));
        CHECK(!cl_utf8_complete(&utf8));
        memset(text + offset, 'a', length);
      }
    }
  }
}

// MARK: - Long texts

/// Appends a random valid character of `length` bytes.
static size_t append_character(uint8_t *text, rng *random, size_t length) {
  uint32_t value;
  switch (length) {
    case 1:
      text[0] = (uint8_t)rng_below(random, 0x80);
      return 1;
    case 2:
      value = 0x80 + (uint32_t)rng_below(random, 0x780);
      text[0] = (uint8_t)(0xC0 | value >> 6);
      break;
    case 3:
      do value = 0x800 + (uint32_t)rng_below(random, 0xF800);
      while (value >= 0xD800 && value <= 0xDFFF);
      text[0] = (uint8_t)(0xE0 | value >> 12);
      text[1] = (uint8_t)(0x80 | (value >> 6 & 0x3F));
      break;
    default:
      value = 0x10000 + (uint32_t)rng_below(random, 0x100000);
      text[0] = (uint8_t)(0xF0 | value >> 18);
      text[1] = (uint8_t)(0x80 | (value >> 12 & 0x3F));
      text[2] = (uint8_t)(0x80 | (value >> 6 & 0x3F));
      break;
  }
  text[length - 1] = (uint8_t)(0x80 | (value & 0x3F));
  return length;
}

/// Valid text: runs of characters of one length, and runs of mixed lengths.
static size_t some_text(uint8_t *text, size_t capacity, rng *random) {
  size_t count = 0, wanted = rng_below(random, capacity - 4);
  while (count < wanted) {
    uint64_t kind = rng_below(random, 6);
    for (uint64_t run = 1 + rng_below(random, 100); run > 0 && count < wanted; run -= 1) {
      size_t length = kind < 4 ? (size_t)kind + 1 : 1 + rng_below(random, 4);
      count += append_character(text + count, random, length);
    }
  }
  return count;
}

static void check_in_pieces(feed_function *feed, const uint8_t *bytes, size_t count, rng random) {
  bool is_whole;
  size_t viable = viable_prefix(bytes, count, &is_whole);
  cl_utf8 utf8 = {0};
  size_t fed = 0;
  while (fed < count) {
    size_t bound = rng_below(&random, 3) == 0 ? 8 : count;
    size_t piece = 1 + rng_below(&random, bound);
    if (piece > count - fed) piece = count - fed;
    bool answer = feed(&utf8, bytes + fed, piece);
    fed += piece;
    CHECK(answer == (viable >= fed));
  }
  CHECK(cl_utf8_complete(&utf8) == (viable == count && is_whole));
}

// Case 8.
TEST(utf8_mutations, "valid texts pass and mutated ones fail at the first invalid piece") {
  enum { CAPACITY = 2000, ROUNDS = 20000 };
  rng random = harness_rng();
  static uint8_t text[CAPACITY];
  for (int round = 0; round < ROUNDS; round += 1) {
    size_t count = some_text(text, CAPACITY, &random);
    bool is_whole;
    CHECK_EQUAL(viable_prefix(text, count, &is_whole), count);
    CHECK(is_whole);
    for (uint64_t mutations = rng_below(&random, 4); mutations > 0 && count > 0; mutations -= 1) {
      size_t at = rng_below(&random, count);
      uint64_t kind = rng_below(&random, 4);
      if (kind == 0) text[at] = (uint8_t)rng_next(&random);
      if (kind == 1) text[at] ^= (uint8_t)(1 << rng_below(&random, 8));
      if (kind == 2) count = at;
      if (kind == 3) {
        count -= 1;
        memmove(text + at, text + at + 1, count - at);
      }
    }
    variant variant;
    rng pieces = {.state = rng_next(&random)};
    for (int number = 0; variant_at(number, &variant); number += 1) {
      check_in_pieces(variant.feed, text, count, pieces);
      cl_utf8 utf8 = {0};
      bool answer = variant.feed(&utf8, text, count);
      CHECK(answer == (viable_prefix(text, count, &is_whole) == count));
    }
  }
}

TEST(utf8_guard, "no variant reads a byte before or after its input") {
  guarded_page page = guarded_page_make();
  rng random = harness_rng();
  variant variant;
  for (int number = 0; variant_at(number, &variant); number += 1) {
    for (size_t length = 0; length <= 300; length += 1) {
      for (int round = 0; round < 4; round += 1) {
        uint8_t *starts[2] = {page.bytes, page.bytes + page.size - length};
        for (int place = 0; place < 2; place += 1) {
          uint8_t text[400];
          size_t count = 0;
          while (count < length) {
            count += append_character(text + count, &random, round == 0 ? 1 : 1 + count % 4);
          }
          memcpy(starts[place], text, length);
          cl_utf8 utf8 = {0};
          CHECK(variant.feed(&utf8, starts[place], length));
        }
      }
    }
  }
  guarded_page_free(page);
}
