// A minimal test harness: tests register themselves, a failed CHECK ends its test.

#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/// Defines and registers a test whose name is a claim.
#define TEST(function, claim)                                          \
  static void function(void);                                          \
  __attribute__((constructor)) static void register_##function(void) { \
    harness_register(claim, function);                                 \
  }                                                                    \
  static void function(void)

/// Ends the test as failed unless `condition` holds. On the test's own thread only.
#define CHECK(condition)                                            \
  do {                                                              \
    if (!(condition)) harness_fail(__FILE__, __LINE__, #condition); \
  } while (0)

/// As CHECK for the equality of two integers, which it prints.
#define CHECK_EQUAL(left, right)                                                \
  do {                                                                          \
    long long left_value = (long long)(left), right_value = (long long)(right); \
    if (left_value != right_value) {                                            \
      printf("    %lld is not %lld\n", left_value, right_value);                \
      harness_fail(__FILE__, __LINE__, #left " == " #right);                    \
    }                                                                           \
  } while (0)

void harness_register(const char *claim, void (*body)(void));
_Noreturn void harness_fail(const char *file, int line, const char *condition);

/// A generator for this test alone, seeded with CARILLON_SEED and the test's name.
typedef struct rng {
  uint64_t state;
} rng;
rng harness_rng(void);
uint64_t rng_next(rng *random);
/// A number below `bound`, which is not 0.
uint64_t rng_below(rng *random, uint64_t bound);

/// Runs `body` in a child process and returns its wait status; its stderr goes to `message`.
int harness_run_child(void (*body)(void), char *message, size_t capacity);
/// Checks that `body` aborts and names `call` on stderr.
void harness_check_abort(void (*body)(void), const char *call);
/// Checks that `body` exits normally, with all its CHECKs passed.
void harness_check_child(void (*body)(void));
