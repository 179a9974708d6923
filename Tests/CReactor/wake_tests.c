// Waking a waiting thread: data published before the wake is visible, and no wake is lost.
//
// The published data is a plain variable on purpose: under the thread sanitizer these tests also
// show that a wake orders memory between the two threads.

#define _GNU_SOURCE

#include <stdatomic.h>
#include <unistd.h>

#include "harness.h"

enum { ROUNDS = 100000, PATIENCE_MS = 30000 };

/// One waiting thread, one waker, and the numbers they exchange.
typedef struct handoff {
  cl_reactor *reactor;
  int wakeup;
  /// Written by the waker before it wakes, read by the woken thread after.
  int published;
  /// The way back, on which the waker waits.
  int taken_wakeup;
  int taken;
  atomic_bool was_lost;
  uint64_t pauses;
} handoff;

/// Spins for a random time or not at all, so that wakes come before the wait, at its edge and
/// inside it.
static void linger(uint64_t *state) {
  *state = *state * 6364136223846793005 + 1442695040888963407;
  unsigned spins = *state >> 62 == 0 ? (unsigned)(*state >> 40 & 0x3FF) : 0;
  for (volatile unsigned i = 0; i < spins; i += 1) continue;
}

static void publish_and_wake_reactor(void *context) {
  handoff *handoff = context;
  uint64_t pauses = handoff->pauses;
  for (int round = 1; round <= ROUNDS; round += 1) {
    linger(&pauses);
    handoff->published = round;
    cl_reactor_wake(handoff->reactor);
    if (!cl_wakeup_wait(cl_kernel_real(), handoff->taken_wakeup, PATIENCE_MS) ||
        handoff->taken != round) {
      atomic_store(&handoff->was_lost, true);
      return;
    }
  }
}

TEST(reactor_wake, "a reactor woken before or in its wait returns, 100,000 times out of 100,000") {
  handoff handoff = {.pauses = harness_rng().state};
  const cl_kernel *kernel = cl_kernel_real();
  CHECK_EQUAL(cl_reactor_create(kernel, &handoff.reactor), 0);
  handoff.taken_wakeup = cl_wakeup_create(kernel);
  CHECK(handoff.taken_wakeup >= 0);
  cl_thread *waker;
  uint64_t pauses = ~handoff.pauses;
  CHECK_EQUAL(cl_thread_start("waker", -1, publish_and_wake_reactor, &handoff, &waker), 0);
  for (int round = 1; round <= ROUNDS; round += 1) {
    cl_event event;
    linger(&pauses);
    // One wake, one wait: a wake that has not arrived by then is lost.
    uint64_t start = cl_monotonic_ms(kernel);
    CHECK_EQUAL(cl_reactor_wait(handoff.reactor, &event, 1, PATIENCE_MS), 0);
    CHECK(cl_monotonic_ms(kernel) - start < PATIENCE_MS);
    CHECK_EQUAL(handoff.published, round);
    handoff.taken = round;
    cl_wakeup_signal(kernel, handoff.taken_wakeup);
  }
  cl_thread_join(waker);
  CHECK(!atomic_load(&handoff.was_lost));
  cl_close(kernel, handoff.taken_wakeup);
  cl_reactor_destroy(handoff.reactor);
}

static void publish_and_signal(void *context) {
  handoff *handoff = context;
  uint64_t pauses = handoff->pauses;
  for (int round = 1; round <= ROUNDS; round += 1) {
    linger(&pauses);
    handoff->published = round;
    cl_wakeup_signal(cl_kernel_real(), handoff->wakeup);
    if (!cl_wakeup_wait(cl_kernel_real(), handoff->taken_wakeup, PATIENCE_MS) ||
        handoff->taken != round) {
      atomic_store(&handoff->was_lost, true);
      return;
    }
  }
}

TEST(wakeup, "a thread signalled before or in its wait wakes, 100,000 times out of 100,000") {
  handoff handoff = {.pauses = harness_rng().state};
  const cl_kernel *kernel = cl_kernel_real();
  handoff.wakeup = cl_wakeup_create(kernel);
  handoff.taken_wakeup = cl_wakeup_create(kernel);
  CHECK(handoff.wakeup >= 0 && handoff.taken_wakeup >= 0);
  cl_thread *waker;
  uint64_t pauses = ~handoff.pauses;
  CHECK_EQUAL(cl_thread_start("waker", -1, publish_and_signal, &handoff, &waker), 0);
  for (int round = 1; round <= ROUNDS; round += 1) {
    linger(&pauses);
    CHECK(cl_wakeup_wait(kernel, handoff.wakeup, PATIENCE_MS));
    CHECK_EQUAL(handoff.published, round);
    handoff.taken = round;
    cl_wakeup_signal(kernel, handoff.taken_wakeup);
  }
  cl_thread_join(waker);
  CHECK(!atomic_load(&handoff.was_lost));
  cl_close(kernel, handoff.wakeup);
  cl_close(kernel, handoff.taken_wakeup);
}

// MARK: - Many wakers

enum { WAKERS = 3, POSTS = 20000 };

typedef struct crowd {
  cl_reactor *reactor;
  atomic_int posted;
} crowd;

static void post(void *context) {
  crowd *crowd = context;
  for (int i = 0; i < POSTS; i += 1) {
    atomic_fetch_add(&crowd->posted, 1);
    cl_reactor_wake(crowd->reactor);
  }
}

TEST(many_wakers, "a reactor woken by three threads sees everything they posted") {
  crowd crowd = {0};
  CHECK_EQUAL(cl_reactor_create(cl_kernel_real(), &crowd.reactor), 0);
  cl_thread *wakers[WAKERS];
  for (int i = 0; i < WAKERS; i += 1) {
    CHECK_EQUAL(cl_thread_start("waker", -1, post, &crowd, &wakers[i]), 0);
  }
  int seen = 0;
  while (seen < WAKERS * POSTS) {
    cl_event event;
    uint64_t start = cl_monotonic_ms(cl_kernel_real());
    CHECK_EQUAL(cl_reactor_wait(crowd.reactor, &event, 1, PATIENCE_MS), 0);
    CHECK(cl_monotonic_ms(cl_kernel_real()) - start < PATIENCE_MS);
    seen = atomic_load(&crowd.posted);
  }
  for (int i = 0; i < WAKERS; i += 1) cl_thread_join(wakers[i]);
  cl_reactor_destroy(crowd.reactor);
}
