// The runner of the test program, its random numbers and its child processes.

#define _GNU_SOURCE

#include "harness.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TEST_CAPACITY = 256 };

static struct {
  const char *claim;
  void (*body)(void);
} tests[TEST_CAPACITY];
static int test_count;
static jmp_buf end_of_test;
static uint64_t seed;
static const char *present_claim = "";

void harness_register(const char *claim, void (*body)(void)) {
  if (test_count == TEST_CAPACITY) abort();
  tests[test_count].claim = claim;
  tests[test_count].body = body;
  test_count += 1;
}

void harness_fail(const char *file, int line, const char *condition) {
  printf("    %s:%d: %s\n", file, line, condition);
  (void)fflush(stdout);
  longjmp(end_of_test, 1);
}

// MARK: - Random numbers

uint64_t rng_next(rng *random) {
  // SplitMix64.
  uint64_t z = random->state += 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

uint64_t rng_below(rng *random, uint64_t bound) { return rng_next(random) % bound; }

rng harness_rng(void) {
  rng random = {.state = seed};
  // The name is mixed in, so that a test run alone gets the same numbers as in a full run.
  for (const char *c = present_claim; *c != 0; c += 1) {
    random.state = rng_next(&random) ^ (uint8_t)*c;
  }
  return random;
}

// MARK: - Children

int harness_run_child(void (*body)(void), char *message, size_t capacity) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  (void)fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    bool failed = setjmp(end_of_test) != 0;
    if (!failed) body();
    (void)fflush(stdout);
    _exit(failed ? 1 : 0);
  }
  close(ends[1]);
  size_t length = 0;
  ssize_t got;
  while (length + 1 < capacity &&
         (got = read(ends[0], message + length, capacity - 1 - length)) > 0) {
    length += (size_t)got;
  }
  message[length] = 0;
  close(ends[0]);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

void harness_check_abort(void (*body)(void), const char *call) {
  char message[4096];
  int status = harness_run_child(body, message, sizeof(message));
  CHECK(WIFSIGNALED(status));
  CHECK_EQUAL(WTERMSIG(status), SIGABRT);
  CHECK(strstr(message, "carillon: ") != NULL);
  CHECK(strstr(message, call) != NULL);
}

void harness_check_child(void (*body)(void)) {
  char message[4096];
  int status = harness_run_child(body, message, sizeof(message));
  if (message[0] != 0) printf("%s", message);
  CHECK(WIFEXITED(status));
  CHECK_EQUAL(WEXITSTATUS(status), 0);
}

// MARK: - The runner

static double seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet.
  const char *given = getenv("CARILLON_SEED");
  seed = given != NULL ? strtoull(given, NULL, 0)
                       : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
  printf("CARILLON_SEED=%llu\n", (unsigned long long)seed);
  int passed = 0, failed = 0;
  for (int i = 0; i < test_count; i += 1) {
    present_claim = tests[i].claim;
    if (count > 1 && strstr(present_claim, arguments[1]) == NULL) continue;
    double start = seconds();
    bool holds = setjmp(end_of_test) == 0;
    if (holds) {
      tests[i].body();
      passed += 1;
    } else {
      failed += 1;
    }
    printf("%s %s (%.2f s)\n", holds ? "ok    " : "FAILED", tests[i].claim, seconds() - start);
    (void)fflush(stdout);
  }
  printf("%d passed, %d failed\n", passed, failed);
  if (failed == 0) return 0;
  // A failed test ends early and leaks memory; exit without a leak report.
  (void)fflush(stdout);
  _exit(1);
}
