// The acceptor: without free descriptors, and with a queue of dead connections.

#define _GNU_SOURCE

#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"

enum { LISTENER_INDEX = 7, LISTENER_GENERATION = 3, CLIENT_COUNT = 200 };

/// A listener in a fixture on virtual time, and the bookkeeping of a shard's loop.
typedef struct acceptor_fixture {
  fixture base;
  cl_acceptor *acceptor;
  uint16_t port;
  int accepted[CLIENT_COUNT];
  int accepted_count;
  /// Turns of the loop, and accepts that failed.
  int turns;
  int failures;
  uint64_t last_failure_ms;
  /// Milliseconds between consecutive failures.
  uint64_t gaps[64];
  int gap_count;
} acceptor_fixture;

static void begin(acceptor_fixture *fixture) {
  memset(fixture, 0, sizeof(*fixture));
  fixture_init(&fixture->base);
  fixture->base.kernel.has_virtual_clock = true;
  int fd = fixture_listen(&fixture->base, &fixture->port);
  CHECK_EQUAL(cl_acceptor_create(fixture->base.reactor, fd, LISTENER_INDEX, LISTENER_GENERATION,
                                 30000, &fixture->acceptor),
              0);
}

static void end(acceptor_fixture *fixture) {
  cl_acceptor_destroy(fixture->acceptor);
  fixture_end(&fixture->base);
}

static uint64_t now(acceptor_fixture *fixture) {
  return cl_monotonic_ms(&fixture->base.kernel.table);
}

/// One turn of a shard's loop: resume, wait, accept until there is nothing.
static void turn(acceptor_fixture *fixture, uint64_t until_ms) {
  fixture->turns += 1;
  cl_acceptor_resume(fixture->acceptor, now(fixture));
  int timeout = cl_acceptor_timeout(fixture->acceptor, now(fixture));
  int left = (int)(until_ms - now(fixture));
  if (timeout < 0 || timeout > left) timeout = left;
  cl_event events[4];
  int count = cl_reactor_wait(fixture->base.reactor, events, 4, timeout);
  for (int i = 0; i < count; i += 1) {
    CHECK_EQUAL(events[i].index, LISTENER_INDEX);
    CHECK_EQUAL(events[i].generation, LISTENER_GENERATION);
    CHECK_EQUAL(events[i].readiness, CL_READABLE);
    int fd;
    cl_address peer;
    while ((fd = cl_acceptor_accept(fixture->acceptor, now(fixture), &peer)) >= 0) {
      CHECK(fixture->accepted_count < CLIENT_COUNT);
      fixture->accepted[fixture->accepted_count] = fd;
      fixture->accepted_count += 1;
    }
    if (fd == -EAGAIN) continue;
    if (fixture->failures > 0 && fixture->gap_count < 64) {
      fixture->gaps[fixture->gap_count] = now(fixture) - fixture->last_failure_ms;
      fixture->gap_count += 1;
    }
    fixture->failures += 1;
    fixture->last_failure_ms = now(fixture);
  }
}

static void run_for(acceptor_fixture *fixture, uint64_t ms) {
  uint64_t until = now(fixture) + ms;
  while (now(fixture) < until) turn(fixture, until);
}

static void close_accepted(acceptor_fixture *fixture) {
  for (int i = 0; i < fixture->accepted_count; i += 1) {
    cl_close(&fixture->base.kernel.table, fixture->accepted[i]);
  }
  fixture->accepted_count = 0;
}

static void check_doubling(const acceptor_fixture *fixture) {
  const uint64_t expected[] = {10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000};
  CHECK(fixture->gap_count >= 10);
  for (int i = 0; i < 10; i += 1) CHECK_EQUAL(fixture->gaps[i], expected[i]);
}

// MARK: - Out of descriptors

static void set_file_limit(rlim_t limit) {
  struct rlimit files;
  CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = limit;
  CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
}

// Case 56, with the kernel's own EMFILE.
static void run_out_of_files(void) {
  acceptor_fixture fixture;
  begin(&fixture);
  int clients[CLIENT_COUNT];
  for (int i = 0; i < CLIENT_COUNT; i += 1) clients[i] = connect_real(fixture.port);
  // Room for eight more; the clients above the limit stay open.
  int next = dup(0);
  close(next);
  set_file_limit((rlim_t)next + 8);

  uint64_t start = now(&fixture);
  run_for(&fixture, 60000);
  CHECK_EQUAL(fixture.accepted_count, 8);
  CHECK_EQUAL(fixture.failures, cl_acceptor_pauses(fixture.acceptor));
  // Ten, doubling to a thousand: seven failures in the first second or so, then one a second, and
  // two turns for each. A listener that spun would never let the clock move.
  CHECK(fixture.failures >= 60 && fixture.failures <= 70);
  CHECK(fixture.turns <= 2 * fixture.failures + 2);
  check_doubling(&fixture);

  // Free eight descriptors: within one pause eight more are accepted, and the next pause is the
  // shortest again.
  int served = 0;
  while (served + fixture.accepted_count < CLIENT_COUNT) {
    served += fixture.accepted_count;
    close_accepted(&fixture);
    uint64_t freed = now(&fixture);
    while (fixture.accepted_count == 0) {
      CHECK(now(&fixture) - freed <= 1000);
      turn(&fixture, now(&fixture) + 1000);
    }
  }
  served += fixture.accepted_count;
  CHECK_EQUAL(served, CLIENT_COUNT);
  CHECK(now(&fixture) - start < 120000);

  close_accepted(&fixture);
  for (int i = 0; i < CLIENT_COUNT; i += 1) cl_close(cl_kernel_real(), clients[i]);
  end(&fixture);
}

TEST(file_limit, "case 56: out of descriptors, accepting pauses and doubles, and loses no client") {
  // In a child, because the limit applies to the whole process.
  harness_check_child(run_out_of_files);
}

TEST(exhaustion, "case 56: EMFILE, ENFILE, ENOMEM, ENOBUFS and unknown errors pause alike") {
  const int errors[] = {EMFILE, ENFILE, ENOMEM, ENOBUFS, EDOM};
  for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i += 1) {
    acceptor_fixture fixture;
    begin(&fixture);
    int client = connect_real(fixture.port);
    fault_kernel_add(&fixture.base.kernel, CALL_ACCEPT4, errors[i], 1000, -1);
    run_for(&fixture, 60000);
    CHECK_EQUAL(fixture.accepted_count, 0);
    CHECK(fixture.failures >= 60 && fixture.failures <= 70);
    check_doubling(&fixture);

    fault_kernel_calm(&fixture.base.kernel);
    run_for(&fixture, 1001);
    CHECK_EQUAL(fixture.accepted_count, 1);

    // A success resets the pause.
    int second = connect_real(fixture.port);
    fault_kernel_add(&fixture.base.kernel, CALL_ACCEPT4, errors[i], 1000, 1);
    run_for(&fixture, 12);
    CHECK_EQUAL(fixture.accepted_count, 2);
    close_accepted(&fixture);
    cl_close(cl_kernel_real(), client);
    cl_close(cl_kernel_real(), second);
    end(&fixture);
  }
}

TEST(try_accept, "an attempt without files does not pause, and any other shortage does") {
  acceptor_fixture fixture;
  begin(&fixture);
  int client = connect_real(fixture.port);
  cl_address peer;
  fault_kernel_add(&fixture.base.kernel, CALL_ACCEPT4, EMFILE, 1000, 1);
  fault_kernel_add(&fixture.base.kernel, CALL_ACCEPT4, ENFILE, 1000, 1);
  CHECK_EQUAL(cl_acceptor_try_accept(fixture.acceptor, now(&fixture), &peer), -EMFILE);
  CHECK_EQUAL(cl_acceptor_try_accept(fixture.acceptor, now(&fixture), &peer), -ENFILE);
  CHECK_EQUAL(cl_acceptor_pauses(fixture.acceptor), 0);
  CHECK_EQUAL(cl_acceptor_timeout(fixture.acceptor, now(&fixture)), -1);
  int fd = cl_acceptor_try_accept(fixture.acceptor, now(&fixture), &peer);
  CHECK(fd >= 0);
  cl_close(&fixture.base.kernel.table, fd);
  fault_kernel_calm(&fixture.base.kernel);
  fault_kernel_add(&fixture.base.kernel, CALL_ACCEPT4, ENOMEM, 1000, 1);
  CHECK_EQUAL(cl_acceptor_try_accept(fixture.acceptor, now(&fixture), &peer), -ENOMEM);
  CHECK_EQUAL(cl_acceptor_pauses(fixture.acceptor), 1);
  cl_close(cl_kernel_real(), client);
  end(&fixture);
}

TEST(resume_failure, "a listener that cannot resume is retried, not lost") {
  acceptor_fixture fixture;
  begin(&fixture);
  int client = connect_real(fixture.port);
  fault_kernel_add(&fixture.base.kernel, CALL_ACCEPT4, EMFILE, 1000, 1);
  turn(&fixture, now(&fixture) + 1);
  CHECK_EQUAL(fixture.failures, 1);
  CHECK_EQUAL(cl_acceptor_timeout(fixture.acceptor, now(&fixture)), 10);
  fault_kernel_add(&fixture.base.kernel, CALL_EPOLL_CTL, ENOMEM, 1000, 3);
  run_for(&fixture, 39);
  CHECK_EQUAL(fixture.accepted_count, 0);
  CHECK_EQUAL(fixture.base.kernel.faults[CALL_EPOLL_CTL], 3);
  run_for(&fixture, 2);
  CHECK_EQUAL(fixture.accepted_count, 1);
  CHECK_EQUAL(cl_acceptor_timeout(fixture.acceptor, now(&fixture)), -1);
  close_accepted(&fixture);
  cl_close(cl_kernel_real(), client);
  end(&fixture);
}

TEST(paused_accept, "a paused acceptor returns EAGAIN for an event of the same batch") {
  acceptor_fixture fixture;
  begin(&fixture);
  int client = connect_real(fixture.port);
  fault_kernel_add(&fixture.base.kernel, CALL_ACCEPT4, ENFILE, 1000, 1);
  cl_address peer;
  CHECK_EQUAL(cl_acceptor_accept(fixture.acceptor, now(&fixture), &peer), -ENFILE);
  CHECK_EQUAL(cl_acceptor_accept(fixture.acceptor, now(&fixture), &peer), -EAGAIN);
  CHECK_EQUAL(fixture.base.kernel.calls[CALL_ACCEPT4], 1);
  CHECK_EQUAL(cl_acceptor_pauses(fixture.acceptor), 1);
  // Resuming too early does nothing.
  cl_acceptor_resume(fixture.acceptor, now(&fixture) + 9);
  CHECK_EQUAL(cl_acceptor_timeout(fixture.acceptor, now(&fixture) + 9), 1);
  cl_close(cl_kernel_real(), client);
  end(&fixture);
}

// MARK: - Connections that died in the queue

TEST(accept_noise, "case 57: with three in ten accepts failing, no connection is lost") {
  enum { BATCH = 100, BATCHES = 20 };
  acceptor_fixture fixture;
  begin(&fixture);
  const int errors[] = {ECONNABORTED, EINTR, EPROTO};
  for (int i = 0; i < 3; i += 1) {
    fault_kernel_add(&fixture.base.kernel, CALL_ACCEPT4, errors[i], 100, -1);
  }
  for (int batch = 0; batch < BATCHES; batch += 1) {
    int clients[BATCH];
    bool seen[BATCH] = {false};
    for (int i = 0; i < BATCH; i += 1) {
      clients[i] = connect_real(fixture.port);
      uint8_t name = (uint8_t)i;
      CHECK_EQUAL(cl_send(cl_kernel_real(), clients[i], &name, 1), 1);
    }
    for (int turns = 0; fixture.accepted_count < BATCH; turns += 1) {
      CHECK(turns < 10);
      turn(&fixture, now(&fixture) + 1);
    }
    for (int i = 0; i < BATCH; i += 1) {
      uint8_t name = 0;
      wait_readable(fixture.accepted[i]);
      CHECK_EQUAL(cl_recv(cl_kernel_real(), fixture.accepted[i], &name, 1), 1);
      CHECK(name < BATCH && !seen[name]);
      seen[name] = true;
      cl_abort(cl_kernel_real(), clients[i]);
    }
    close_accepted(&fixture);
  }
  CHECK(fixture.base.kernel.faults[CALL_ACCEPT4] > BATCH * BATCHES / 10);
  CHECK_EQUAL(cl_acceptor_pauses(fixture.acceptor), 0);
  end(&fixture);
}

TEST(skip_bound, "dead connections in the queue are skipped, a bounded number per call") {
  const int errors[] = {ECONNABORTED, EPROTO,       EPERM,      ENETDOWN,    ENOPROTOOPT, EHOSTDOWN,
                        ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, ETIMEDOUT};
  acceptor_fixture fixture;
  begin(&fixture);
  int client = connect_real(fixture.port);
  cl_address peer;
  for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i += 1) {
    fault_kernel_add(&fixture.base.kernel, CALL_ACCEPT4, errors[i], 1000, -1);
    uint64_t before = fixture.base.kernel.calls[CALL_ACCEPT4];
    CHECK_EQUAL(cl_acceptor_accept(fixture.acceptor, now(&fixture), &peer), -EAGAIN);
    CHECK_EQUAL(fixture.base.kernel.calls[CALL_ACCEPT4] - before, 64);
    fault_kernel_calm(&fixture.base.kernel);
  }
  CHECK_EQUAL(cl_acceptor_pauses(fixture.acceptor), 0);
  // The listener is still there, and so is the client.
  turn(&fixture, now(&fixture) + 1);
  CHECK_EQUAL(fixture.accepted_count, 1);
  close_accepted(&fixture);
  cl_close(cl_kernel_real(), client);
  end(&fixture);
}

TEST(acceptor_creation, "a failed creation of an acceptor leaves the listener to the caller") {
  acceptor_fixture fixture;
  begin(&fixture);
  uint16_t port;
  int fd = fixture_listen(&fixture.base, &port);
  fault_kernel_add(&fixture.base.kernel, CALL_EPOLL_CTL, ENOSPC, 1000, 1);
  cl_acceptor *acceptor;
  CHECK_EQUAL(cl_acceptor_create(fixture.base.reactor, fd, 1, 1, 0, &acceptor), -ENOSPC);
  CHECK(acceptor == NULL);
  cl_close(&fixture.base.kernel.table, fd);
  end(&fixture);
}
