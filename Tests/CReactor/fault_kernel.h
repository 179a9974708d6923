// A kernel that fails on demand: the real table with a layer of faults above it.
//
// A rule names a call, its error, how often it fails and how many times; a seeded generator decides
// which calls fail, so a run can be repeated. The clock can be the test's own: then a wait takes no
// time, it moves the clock. Every descriptor made through it is counted, and checked to be CLOEXEC
// and nonblocking.

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
  /// Strikes per 1000 calls.
  unsigned permille;
  /// Strikes left; negative: unlimited.
  long remaining;
} fault_rule;

typedef struct fault_kernel {
  /// The table for the code under test.
  cl_kernel table;
  rng random;
  fault_rule rules[32];
  int rule_count;
  /// How many of 1000 receives and sends are short.
  unsigned short_permille;
  /// The test's clock, in place of the real one.
  bool has_virtual_clock;
  uint64_t now_ns;
  uint64_t calls[CALL_COUNT];
  uint64_t faults[CALL_COUNT];
  /// Descriptors made here and not yet closed.
  int open_files;
  /// Descriptors without CLOEXEC, and blocking ones.
  int inherited_files;
  int blocking_files;
  /// The return value of the last epoll_wait.
  int last_wait;
} fault_kernel;

void fault_kernel_init(fault_kernel *kernel, rng random);
/// Adds a rule: `call` fails with `error` in `permille` of 1000 calls, `times` times at most
/// (negative: without limit).
void fault_kernel_add(fault_kernel *kernel, enum fault_call call, int error, unsigned permille,
                      long times);
/// Removes all rules.
void fault_kernel_calm(fault_kernel *kernel);
/// Interrupts every interruptible call in `permille` of 1000 calls.
void fault_kernel_interrupt(fault_kernel *kernel, unsigned permille);
