// The reactor: the content of an event, its recipient, and the length of a wait.

#define _GNU_SOURCE

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "fixture.h"

/// The only event that is ready now.
static cl_event only_event(fixture *fixture) {
  cl_event events[4];
  CHECK_EQUAL(cl_reactor_wait(fixture->reactor, events, 4, 1000), 1);
  return events[0];
}

static int ready_count(fixture *fixture) {
  cl_event events[4];
  return cl_reactor_wait(fixture->reactor, events, 4, 0);
}

TEST(interest, "an event has its slot index, and only the requested readiness") {
  fixture fixture;
  fixture_init(&fixture);
  int ends[2];
  make_pair(ends);
  CHECK_EQUAL(cl_reactor_add(fixture.reactor, ends[0], CL_READABLE, 0xFFFFFFFE, 0xFFFFFFFF), 0);
  CHECK_EQUAL(ready_count(&fixture), 0);
  CHECK_EQUAL(cl_send(cl_kernel_real(), ends[1], "x", 1), 1);
  cl_event event = only_event(&fixture);
  CHECK_EQUAL(event.index, 0xFFFFFFFE);
  CHECK_EQUAL(event.generation, 0xFFFFFFFF);
  CHECK_EQUAL(event.readiness, CL_READABLE);

  CHECK_EQUAL(cl_reactor_modify(fixture.reactor, ends[0], CL_WRITABLE, 5, 6), 0);
  event = only_event(&fixture);
  CHECK_EQUAL(event.index, 5);
  CHECK_EQUAL(event.generation, 6);
  CHECK_EQUAL(event.readiness, CL_WRITABLE);

  CHECK_EQUAL(cl_reactor_modify(fixture.reactor, ends[0], CL_READABLE | CL_WRITABLE, 5, 7), 0);
  CHECK_EQUAL(only_event(&fixture).readiness, CL_READABLE | CL_WRITABLE);

  CHECK_EQUAL(cl_reactor_modify(fixture.reactor, ends[0], 0, 5, 8), 0);
  CHECK_EQUAL(ready_count(&fixture), 0);

  CHECK_EQUAL(cl_reactor_remove(fixture.reactor, ends[0]), 0);
  CHECK_EQUAL(cl_reactor_remove(fixture.reactor, ends[0]), -ENOENT);
  cl_close(cl_kernel_real(), ends[0]);
  cl_close(cl_kernel_real(), ends[1]);
  fixture_end(&fixture);
}

TEST(half_close, "a peer that closed its side does not spin a connection that is not reading") {
  fixture fixture;
  fixture_init(&fixture);
  int ends[2];
  make_pair(ends);
  CHECK_EQUAL(cl_reactor_add(fixture.reactor, ends[0], CL_READABLE, 1, 1), 0);
  cl_shutdown_write(cl_kernel_real(), ends[1]);
  CHECK_EQUAL(only_event(&fixture).readiness, CL_READABLE);
  uint8_t byte;
  CHECK_EQUAL(cl_recv(cl_kernel_real(), ends[0], &byte, 1), 0);
  CHECK_EQUAL(cl_reactor_modify(fixture.reactor, ends[0], 0, 1, 1), 0);
  CHECK_EQUAL(ready_count(&fixture), 0);

  // A reset is reported even with an empty interest.
  cl_abort(cl_kernel_real(), ends[1]);
  CHECK_EQUAL(only_event(&fixture).readiness, CL_HANGUP);
  cl_close(cl_kernel_real(), ends[0]);
  fixture_end(&fixture);
}

TEST(batch, "a batch fills no more than its capacity, and the rest comes next") {
  enum { PAIRS = 9, CAPACITY = 4 };
  fixture fixture;
  fixture_init(&fixture);
  int ends[PAIRS][2];
  bool seen[PAIRS] = {false};
  for (int i = 0; i < PAIRS; i += 1) {
    make_pair(ends[i]);
    CHECK_EQUAL(cl_reactor_add(fixture.reactor, ends[i][0], CL_READABLE, (uint32_t)i, 1), 0);
    CHECK_EQUAL(cl_send(cl_kernel_real(), ends[i][1], "x", 1), 1);
    wait_readable(ends[i][0]);
  }
  int count = 0;
  for (int turn = 0; turn < 3; turn += 1) {
    cl_event events[CAPACITY + 1] = {[CAPACITY] = {.index = 1000}};
    int filled = cl_reactor_wait(fixture.reactor, events, CAPACITY, 0);
    CHECK(filled <= CAPACITY);
    CHECK_EQUAL(events[CAPACITY].index, 1000);
    for (int i = 0; i < filled; i += 1) {
      CHECK(!seen[events[i].index]);
      seen[events[i].index] = true;
      uint8_t byte;
      CHECK_EQUAL(cl_recv(cl_kernel_real(), ends[events[i].index][0], &byte, 1), 1);
      count += 1;
    }
  }
  CHECK_EQUAL(count, PAIRS);
  for (int i = 0; i < PAIRS; i += 1) {
    cl_close(cl_kernel_real(), ends[i][0]);
    cl_close(cl_kernel_real(), ends[i][1]);
  }
  fixture_end(&fixture);
}

// MARK: - One descriptor number, two connections

/// The single slot of a slab for one connection.
typedef struct place {
  int fd;
  uint32_t generation;
} place;

/// Makes the listener and A ready, in an order that epoll keeps.
static void make_ready(bool listener_first, int listener, uint16_t port, int *next_client,
                       int client, int connection) {
  for (int i = 0; i < 2; i += 1) {
    if ((i == 0) == listener_first) {
      *next_client = connect_real(port);
      wait_readable(listener);
    } else {
      CHECK_EQUAL(cl_send(cl_kernel_real(), client, "a", 1), 1);
      wait_readable(connection);
    }
  }
}

// Case 61. A and the listener are ready in one batch. The listener's handler closes A and accepts
// B, which gets A's descriptor and A's slot. If the listener comes first, A's event is still in the
// batch then; if it comes second, A's event is for A and must not be dropped.
TEST(descriptor_reuse, "case 61: an event for a closed connection never reaches its successor") {
  enum { ROUNDS = 100000, LISTENER = 1, CONNECTION = 2 };
  fixture fixture;
  fixture_init(&fixture);
  const cl_kernel *kernel = &fixture.kernel.table;
  uint16_t port;
  cl_acceptor *acceptor;
  int listener = fixture_listen(&fixture, &port);
  CHECK_EQUAL(cl_acceptor_create(fixture.reactor, listener, LISTENER, 1, 0, &acceptor), 0);
  cl_address peer;
  int client = connect_real(port);
  wait_readable(listener);
  place place = {.fd = cl_acceptor_accept(acceptor, 0, &peer), .generation = 1};
  CHECK(place.fd >= 0);
  CHECK_EQUAL(cl_reactor_add(fixture.reactor, place.fd, CL_READABLE, CONNECTION, 1), 0);

  rng random = harness_rng();
  int stale = 0, reused = 0;
  for (int round = 0; round < ROUNDS; round += 1) {
    int next_client = -1;
    make_ready(rng_below(&random, 2) == 0, listener, port, &next_client, client, place.fd);
    cl_event events[4];
    CHECK_EQUAL(cl_reactor_wait(fixture.reactor, events, 4, 0), 2);
    bool was_replaced = false;
    for (int i = 0; i < 2; i += 1) {
      if (events[i].index == LISTENER) {
        int old = place.fd;
        cl_close(kernel, old);
        place.fd = cl_acceptor_accept(acceptor, 0, &peer);
        CHECK(place.fd >= 0);
        place.generation += 1;
        reused += place.fd == old;
        was_replaced = true;
        CHECK_EQUAL(
            cl_reactor_add(fixture.reactor, place.fd, CL_READABLE, CONNECTION, place.generation),
            0);
        continue;
      }
      CHECK_EQUAL(events[i].index, CONNECTION);
      // Only the generation distinguishes A's event from one for B.
      CHECK_EQUAL(events[i].generation == place.generation, !was_replaced);
      stale += was_replaced;
    }
    // B has received nothing yet, and causes no event until it does.
    CHECK(!is_readable(place.fd));
    CHECK_EQUAL(ready_count(&fixture), 0);
    cl_abort(cl_kernel_real(), client);
    client = next_client;
  }
  CHECK(stale > ROUNDS * 4 / 10 && stale < ROUNDS * 6 / 10);
  CHECK(reused > ROUNDS * 9 / 10);
  cl_close(kernel, place.fd);
  cl_close(cl_kernel_real(), client);
  cl_acceptor_destroy(acceptor);
  fixture_end(&fixture);
}

// MARK: - No byte is stranded

static uint8_t pattern(uint64_t position) { return (uint8_t)(position * 0x9E3779B97F4A7C15 >> 56); }

static int unread(int fd) {
  int count = 0;
  CHECK(ioctl(fd, FIONREAD, &count) == 0);
  return count;
}

/// Sends bytes of the pattern from `sent` on, up to `until`. Returns the number sent.
static uint64_t send_pattern(int fd, uint64_t sent, uint64_t until) {
  uint8_t bytes[65537];
  size_t count = (size_t)(until - sent);
  CHECK(count <= sizeof(bytes));
  for (size_t i = 0; i < count; i += 1) bytes[i] = pattern(sent + i);
  ssize_t taken = cl_send(cl_kernel_real(), fd, bytes, count);
  CHECK(taken > 0 || taken == -EAGAIN);
  return taken > 0 ? (uint64_t)taken : 0;
}

// Case 58, as far as this level covers it: bursts against a reader that takes one piece a turn,
// some of them short, some of them rejected, and stops there.
TEST(no_stranded_bytes, "case 58: while bytes are unread, every turn reports them") {
  fixture fixture;
  fixture_init(&fixture);
  fixture.kernel.short_permille = 300;
  fault_kernel_add(&fixture.kernel, CALL_RECV, EAGAIN, 300, -1);
  fault_kernel_add(&fixture.kernel, CALL_RECV, EINTR, 200, -1);
  fault_kernel_add(&fixture.kernel, CALL_EPOLL_WAIT, EINTR, 200, -1);
  rng random = harness_rng();
  int ends[2];
  make_pair(ends);
  CHECK_EQUAL(cl_reactor_add(fixture.reactor, ends[0], CL_READABLE, 1, 1), 0);
  const uint64_t bursts[] = {1, 16384, 65536, 65537};
  uint64_t sent = 0, received = 0;
  uint8_t bytes[16384];
  for (int round = 0; round < 400; round += 1) {
    uint64_t until = sent + bursts[rng_below(&random, 4)];
    while (received < until) {
      if (sent < until && rng_below(&random, 4) != 0) {
        sent += send_pattern(ends[1], sent, until);
      }
      bool must_report = unread(ends[0]) > 0;
      cl_event event;
      int count = cl_reactor_wait(fixture.reactor, &event, 1, sent > received ? 10000 : 0);
      if (must_report || sent > received) CHECK_EQUAL(count, 1);
      if (count == 0) continue;
      size_t capacity = 1 + rng_below(&random, 16384);
      ssize_t got = cl_recv(&fixture.kernel.table, ends[0], bytes, capacity);
      if (got == -EAGAIN) continue;
      CHECK(got > 0 && (size_t)got <= capacity);
      for (ssize_t i = 0; i < got; i += 1) CHECK(bytes[i] == pattern(received + (uint64_t)i));
      received += (uint64_t)got;
    }
  }
  CHECK_EQUAL(sent, received);
  CHECK_EQUAL(ready_count(&fixture), 0);
  CHECK(fixture.kernel.faults[CALL_RECV] > 400);
  cl_close(cl_kernel_real(), ends[0]);
  cl_close(cl_kernel_real(), ends[1]);
  fixture_end(&fixture);
}

// MARK: - Waiting and waking

TEST(wake_is_swallowed, "several wakes before a wait end it once, and fill no event") {
  fixture fixture;
  fixture_init(&fixture);
  for (int i = 0; i < 3; i += 1) cl_reactor_wake(fixture.reactor);
  cl_event event = {.index = 1000};
  CHECK_EQUAL(cl_reactor_wait(fixture.reactor, &event, 1, 10000), 0);
  CHECK_EQUAL(fixture.kernel.last_wait, 1);
  CHECK_EQUAL(event.index, 1000);
  CHECK_EQUAL(cl_reactor_wait(fixture.reactor, &event, 1, 0), 0);
  CHECK_EQUAL(fixture.kernel.last_wait, 0);
  fixture_end(&fixture);
}

TEST(wake_beside_events, "a wake in a batch leaves the other events intact") {
  fixture fixture;
  fixture_init(&fixture);
  int ends[2];
  make_pair(ends);
  for (int order = 0; order < 2; order += 1) {
    if (order == 0) cl_reactor_wake(fixture.reactor);
    CHECK_EQUAL(cl_reactor_add(fixture.reactor, ends[0], CL_WRITABLE, 9, 4), 0);
    if (order == 1) cl_reactor_wake(fixture.reactor);
    cl_event event = only_event(&fixture);
    CHECK_EQUAL(fixture.kernel.last_wait, 2);
    CHECK_EQUAL(event.index, 9);
    CHECK_EQUAL(event.generation, 4);
    CHECK_EQUAL(event.readiness, CL_WRITABLE);
    CHECK_EQUAL(cl_reactor_remove(fixture.reactor, ends[0]), 0);
  }
  cl_close(cl_kernel_real(), ends[0]);
  cl_close(cl_kernel_real(), ends[1]);
  fixture_end(&fixture);
}

TEST(full_counter, "a wake-up counter at its maximum is not an error and still wakes") {
  fixture fixture;
  fixture_init(&fixture);
  fault_kernel_add(&fixture.kernel, CALL_WRITE, EAGAIN, 1000, 1);
  cl_reactor_wake(fixture.reactor);
  CHECK_EQUAL(fixture.kernel.faults[CALL_WRITE], 1);
  fixture_end(&fixture);

  int fd = cl_wakeup_create(cl_kernel_real());
  uint64_t most = UINT64_MAX - 1;
  CHECK_EQUAL(write(fd, &most, sizeof(most)), sizeof(most));
  cl_wakeup_signal(cl_kernel_real(), fd);
  CHECK(cl_wakeup_wait(cl_kernel_real(), fd, 0));
  CHECK(!cl_wakeup_wait(cl_kernel_real(), fd, 0));
  cl_close(cl_kernel_real(), fd);
}

TEST(interrupted_wait, "an interrupted wait continues for the remaining time") {
  fixture fixture;
  fixture_init(&fixture);
  fixture.kernel.has_virtual_clock = true;
  fault_kernel_interrupt(&fixture.kernel, 700);
  int wakeup = cl_wakeup_create(&fixture.kernel.table);
  cl_event event;
  for (int round = 0; round < 2000; round += 1) {
    int timeout = (int)rng_below(&fixture.kernel.random, 2000);
    uint64_t start = fixture.kernel.now_ns;
    if (round % 2 == 0) {
      CHECK_EQUAL(cl_reactor_wait(fixture.reactor, &event, 1, timeout), 0);
    } else {
      CHECK(!cl_wakeup_wait(&fixture.kernel.table, wakeup, timeout));
    }
    uint64_t elapsed_ns = fixture.kernel.now_ns - start;
    // Never shorter; longer by less than the millisecond to which the kernel's argument is rounded.
    CHECK(elapsed_ns >= (uint64_t)timeout * 1000000);
    CHECK(elapsed_ns < (uint64_t)timeout * 1000000 + 1000000);
  }
  CHECK(fixture.kernel.faults[CALL_EPOLL_WAIT] > 500);
  CHECK(fixture.kernel.faults[CALL_POLL] > 500);
  cl_close(&fixture.kernel.table, wakeup);
  fixture_end(&fixture);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signal) {
  (void)signal;
  alarms += 1;
}

static void wait_under_alarms(void) {
  struct sigaction action = {.sa_handler = count_alarm};
  CHECK(sigaction(SIGALRM, &action, NULL) == 0);
  struct itimerval every = {.it_interval = {.tv_usec = 2000}, .it_value = {.tv_usec = 2000}};
  CHECK(setitimer(ITIMER_REAL, &every, NULL) == 0);
  fixture fixture;
  fixture_init(&fixture);
  const cl_kernel *kernel = cl_kernel_real();
  int wakeup = cl_wakeup_create(kernel);
  cl_event event;
  uint64_t start = cl_monotonic_ms(kernel);
  CHECK_EQUAL(cl_reactor_wait(fixture.reactor, &event, 1, 50), 0);
  uint64_t middle = cl_monotonic_ms(kernel);
  CHECK(middle - start >= 50);
  CHECK(!cl_wakeup_wait(kernel, wakeup, 50));
  uint64_t last = cl_monotonic_ms(kernel);
  CHECK(last - middle >= 50);
  CHECK_EQUAL(cl_signals_wait(50), 0);
  CHECK(cl_monotonic_ms(kernel) - last >= 50);
  CHECK(alarms >= 3);
  cl_close(kernel, wakeup);
  fixture_end(&fixture);
}

TEST(real_interruptions, "under a flood of real signals no wait is cut short") {
  harness_check_child(wait_under_alarms);
}

// MARK: - Making a reactor

TEST(reactor_creation, "a failed creation of a reactor leaks nothing and returns the error") {
  const enum fault_call calls[] = {CALL_EPOLL_CREATE1, CALL_EVENTFD, CALL_EPOLL_CTL};
  const int errors[] = {EMFILE, ENFILE, ENOMEM};
  for (size_t i = 0; i < 9; i += 1) {
    fault_kernel kernel;
    fault_kernel_init(&kernel, harness_rng());
    fault_kernel_add(&kernel, calls[i / 3], errors[i % 3], 1000, 1);
    cl_reactor *reactor;
    CHECK_EQUAL(cl_reactor_create(&kernel.table, &reactor), -errors[i % 3]);
    CHECK(reactor == NULL);
    CHECK_EQUAL(kernel.faults[calls[i / 3]], 1);
    CHECK_EQUAL(kernel.open_files, 0);
  }
}

static void watch_closed_descriptor(void) {
  fixture fixture;
  fixture_init(&fixture);
  cl_reactor_add(fixture.reactor, 1000, CL_READABLE, 1, 1);
}

static void watch_at_the_wake_ups_place(void) {
  fixture fixture;
  fixture_init(&fixture);
  cl_reactor_add(fixture.reactor, 0, CL_READABLE, UINT32_MAX, UINT32_MAX);
}

static void wait_for_no_events(void) {
  fixture fixture;
  fixture_init(&fixture);
  cl_event event;
  cl_reactor_wait(fixture.reactor, &event, 0, 0);
}

TEST(reactor_bugs, "misuse of a reactor aborts and names the call") {
  harness_check_abort(watch_closed_descriptor, "epoll_ctl");
  harness_check_abort(watch_at_the_wake_ups_place, "epoll_ctl");
  harness_check_abort(wait_for_no_events, "epoll_wait");
}
