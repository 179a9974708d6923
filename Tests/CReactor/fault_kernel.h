// A kernel that fails when it is told to: the real table with a layer of faults above it.
//
// Rules say which call fails, with what, how often and how many times; which of them strikes is
// decided by a seeded generator, so a run can be repeated. The clock can be the test's own: then a
// wait takes no time, it moves the clock. Every descriptor that passes through is counted, and
// checked to be CLOEXEC and nonblocking.

#pragma once

#include "harness.h"

enum fault_call {
  CALL_SOCKET,
  CALL_BIND,
  CALL_LISTEN,
  CALL_ACCEPT4,
  CALL_CONNECT,
  CALL_GETSOCKNAME,
  CALL_SETSOCKOPT,
  CALL_GETSOCKOPT,
  CALL_SHUTDOWN,
  CALL_CLOSE,
  CALL_RECV,
  CALL_SEND,
  CALL_SENDMSG,
  CALL_READ,
  CALL_WRITE,
  CALL_EPOLL_CREATE1,
  CALL_EPOLL_CTL,
  CALL_EPOLL_WAIT,
  CALL_EVENTFD,
  CALL_CLOCK_GETTIME,
  CALL_GETRANDOM,
  CALL_POLL,
  CALL_COUNT,
};

typedef struct fault_rule {
  enum fault_call call;
  /// A positive errno.
  int error;
  /// How often it strikes, of 1000 calls.
  unsigned permille;
  /// How many times it may strike still; negative: for ever.
  long remaining;
} fault_rule;

typedef struct fault_kernel {
  /// What the code under test is given.
  cl_kernel table;
  rng random;
  fault_rule rules[32];
  int rule_count;
  /// How many of 1000 receives and sends move only a part.
  unsigned short_permille;
  /// The clock, where it is not the real one.
  bool has_virtual_clock;
  uint64_t now_ns;
  uint64_t calls[CALL_COUNT];
  uint64_t faults[CALL_COUNT];
  /// Descriptors made here and not yet closed.
  int open_files;
  /// Descriptors made that an exec would have passed on, or that could have blocked.
  int inherited_files;
  int blocking_files;
  /// What the last epoll_wait returned.
  int last_wait;
} fault_kernel;

void fault_kernel_init(fault_kernel *kernel, rng random);
/// Adds a rule: `call` fails with `error` in `permille` of 1000 calls, `times` times at most
/// (negative: without end).
void fault_kernel_add(fault_kernel *kernel, enum fault_call call, int error, unsigned permille,
                      long times);
/// Takes all rules away.
void fault_kernel_calm(fault_kernel *kernel);
/// Every call that can be interrupted is, in `permille` of 1000 calls.
void fault_kernel_interrupt(fault_kernel *kernel, unsigned permille);
