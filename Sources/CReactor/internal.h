// Declarations shared by the files of CReactor and hidden from callers.

#pragma once

#include <errno.h>

#include "CReactor.h"

#pragma clang assume_nonnull begin

/// The value of `call`, retried while it is -EINTR.
///
/// A signal that interrupts a system call is not an error of the call, so callers need not handle
/// it. Not for close: there the descriptor is closed already, and may belong to another thread by
/// now.
#define CL_RETRY(call)           \
  ({                             \
    __typeof__(call) cl_result;  \
    do cl_result = (call);       \
    while (cl_result == -EINTR); \
    cl_result;                   \
  })

/// Prints the call and the error on stderr and aborts.
_Noreturn void cl_fatal(const char *call, long result);

/// Aborts when `result` can only come from a bug of ours: a descriptor that is not open, or not a
/// socket, or an invalid address. To continue could mean to write to another client's connection.
static inline void cl_check(const char *call, long result) {
  if (__builtin_expect(result == -EBADF || result == -EFAULT || result == -ENOTSOCK, 0)) {
    cl_fatal(call, result);
  }
}

/// As cl_check, for calls whose arguments are all ours, so that EINVAL is a bug too.
static inline void cl_check_arguments(const char *call, long result) {
  cl_check(call, result);
  if (__builtin_expect(result == -EINVAL, 0)) cl_fatal(call, result);
}

/// Milliseconds from `now_ns` until `deadline_ns`, rounded up; 0 when it has passed.
static inline int cl_ms_until(uint64_t deadline_ns, uint64_t now_ns) {
  if (deadline_ns <= now_ns) return 0;
  uint64_t ms = (deadline_ns - now_ns + 999999) / 1000000;
  return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

const cl_kernel *cl_reactor_kernel(const cl_reactor *reactor);

/// An eventfd for wake-ups, CLOEXEC and nonblocking, or a negated errno.
int cl_eventfd_create(const cl_kernel *kernel);
/// Adds one to an eventfd. Any thread.
void cl_eventfd_signal(const cl_kernel *kernel, int fd);
/// Reads and resets the count of an eventfd. True when it was not zero.
bool cl_eventfd_take(const cl_kernel *kernel, int fd);

// The variants of cl_unmask and cl_utf8_feed, declared here so that each can be tested against its
// twin on one machine.

#if defined(__x86_64__)
/// Requires AVX2.
void cl_unmask_avx2(uint8_t *bytes, size_t count, uint32_t key, size_t phase);
void cl_unmask_sse2(uint8_t *bytes, size_t count, uint32_t key, size_t phase);
/// Requires AVX2.
bool cl_utf8_feed_avx2(cl_utf8 *utf8, const uint8_t *bytes, size_t count);
#elif defined(__aarch64__)
void cl_unmask_neon(uint8_t *bytes, size_t count, uint32_t key, size_t phase);
#endif
/// Skips runs of ASCII a word at a time and steps through the rest.
bool cl_utf8_feed_words(cl_utf8 *utf8, const uint8_t *bytes, size_t count);

#pragma clang assume_nonnull end
