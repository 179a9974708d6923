// Each member first applies its rules, then calls the real table. A fault strikes before the real
// call, so that nothing is half done; the exceptions are close and connect, which Linux leaves half
// done.

#define _GNU_SOURCE

#include "fault_kernel.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static const cl_kernel *real(void) { return cl_kernel_real(); }

/// The negated errno with which the call must fail, or 0. Counts the call.
static int fault(fault_kernel *kernel, enum fault_call call) {
  kernel->calls[call] += 1;
  for (int i = 0; i < kernel->rule_count; i += 1) {
    fault_rule *rule = &kernel->rules[i];
    if (rule->call != call || rule->remaining == 0) continue;
    if (rng_below(&kernel->random, 1000) >= rule->permille) continue;
    if (rule->remaining > 0) rule->remaining -= 1;
    kernel->faults[call] += 1;
    return -rule->error;
  }
  return 0;
}

static bool coin(fault_kernel *kernel) { return (rng_next(&kernel->random) & 1) != 0; }

/// Counts a new descriptor and returns it.
static int made(fault_kernel *kernel, int fd) {
  if (fd < 0) return fd;
  kernel->open_files += 1;
  if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0) kernel->inherited_files += 1;
  return fd;
}

static int made_nonblocking(fault_kernel *kernel, int fd) {
  if (fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) kernel->blocking_files += 1;
  return made(kernel, fd);
}

/// A count that may be shortened, but not to zero.
static size_t cut(fault_kernel *kernel, size_t count) {
  if (count < 2 || rng_below(&kernel->random, 1000) >= kernel->short_permille) return count;
  return 1 + rng_below(&kernel->random, coin(kernel) ? count : (count < 16 ? count : 16));
}

static int fault_socket(void *context, int domain, int type, int protocol) {
  int error = fault(context, CALL_SOCKET);
  if (error != 0) return error;
  return made_nonblocking(context, real()->socket(NULL, domain, type, protocol));
}

static int fault_bind(void *context, int fd, const struct sockaddr *address, socklen_t length) {
  int error = fault(context, CALL_BIND);
  return error != 0 ? error : real()->bind(NULL, fd, address, length);
}

static int fault_listen(void *context, int fd, int backlog) {
  int error = fault(context, CALL_LISTEN);
  return error != 0 ? error : real()->listen(NULL, fd, backlog);
}

static int fault_accept4(void *context, int fd, struct sockaddr *address, socklen_t *length,
                         int flags) {
  int error = fault(context, CALL_ACCEPT4);
  if (error != 0) return error;
  return made_nonblocking(context, real()->accept4(NULL, fd, address, length, flags));
}

static int fault_connect(void *context, int fd, const struct sockaddr *address, socklen_t length) {
  int error = fault(context, CALL_CONNECT);
  if (error == 0) return real()->connect(NULL, fd, address, length);
  // A signal may interrupt a connect after its start; the connect then continues.
  if (error == -EINTR && coin(context)) real()->connect(NULL, fd, address, length);
  return error;
}

static int fault_getsockname(void *context, int fd, struct sockaddr *address, socklen_t *length) {
  int error = fault(context, CALL_GETSOCKNAME);
  return error != 0 ? error : real()->getsockname(NULL, fd, address, length);
}

static int fault_setsockopt(void *context, int fd, int level, int name, const void *value,
                            socklen_t length) {
  int error = fault(context, CALL_SETSOCKOPT);
  return error != 0 ? error : real()->setsockopt(NULL, fd, level, name, value, length);
}

static int fault_getsockopt(void *context, int fd, int level, int name, void *value,
                            socklen_t *length) {
  int error = fault(context, CALL_GETSOCKOPT);
  return error != 0 ? error : real()->getsockopt(NULL, fd, level, name, value, length);
}

static int fault_shutdown(void *context, int fd, int how) {
  int error = fault(context, CALL_SHUTDOWN);
  return error != 0 ? error : real()->shutdown(NULL, fd, how);
}

static int fault_close(void *context, int fd) {
  fault_kernel *kernel = context;
  int error = fault(kernel, CALL_CLOSE);
  // As on Linux: the descriptor is closed, whatever close returns.
  int result = real()->close(NULL, fd);
  if (result == 0) kernel->open_files -= 1;
  return error != 0 ? error : result;
}

static ssize_t fault_recv(void *context, int fd, void *bytes, size_t count, int flags) {
  int error = fault(context, CALL_RECV);
  return error != 0 ? error : real()->recv(NULL, fd, bytes, cut(context, count), flags);
}

static ssize_t fault_send(void *context, int fd, const void *bytes, size_t count, int flags) {
  int error = fault(context, CALL_SEND);
  return error != 0 ? error : real()->send(NULL, fd, bytes, cut(context, count), flags);
}

static ssize_t fault_sendmsg(void *context, int fd, const struct msghdr *message, int flags) {
  int error = fault(context, CALL_SENDMSG);
  if (error != 0) return error;
  if (message->msg_iovlen == 0) return real()->sendmsg(NULL, fd, message, flags);
  // A short send: some of the pieces, and only a part of the last one.
  struct iovec pieces[64];
  struct msghdr shorter = *message;
  shorter.msg_iovlen = cut(context, message->msg_iovlen);
  if (shorter.msg_iovlen > 64) return -EMSGSIZE;
  memcpy(pieces, message->msg_iov, shorter.msg_iovlen * sizeof(pieces[0]));
  struct iovec *last = &pieces[shorter.msg_iovlen - 1];
  last->iov_len = cut(context, last->iov_len);
  shorter.msg_iov = pieces;
  return real()->sendmsg(NULL, fd, &shorter, flags);
}

static ssize_t fault_read(void *context, int fd, void *bytes, size_t count) {
  int error = fault(context, CALL_READ);
  return error != 0 ? error : real()->read(NULL, fd, bytes, count);
}

static ssize_t fault_write(void *context, int fd, const void *bytes, size_t count) {
  int error = fault(context, CALL_WRITE);
  return error != 0 ? error : real()->write(NULL, fd, bytes, count);
}

static int fault_epoll_create1(void *context, int flags) {
  int error = fault(context, CALL_EPOLL_CREATE1);
  return error != 0 ? error : made(context, real()->epoll_create1(NULL, flags));
}

static int fault_epoll_ctl(void *context, int epoll, int operation, int fd,
                           struct epoll_event *event) {
  int error = fault(context, CALL_EPOLL_CTL);
  return error != 0 ? error : real()->epoll_ctl(NULL, epoll, operation, fd, event);
}

/// Moves a virtual clock for a wait without events: by the whole time-out, or by a part of it
/// before a signal arrives.
static void pass_time(fault_kernel *kernel, int timeout_ms, bool is_interrupted) {
  if (timeout_ms < 0 && !is_interrupted) {
    (void)fprintf(stderr, "a wait on a virtual clock would never end\n");
    abort();
  }
  uint64_t ns = timeout_ms < 0 ? 1000000 : (uint64_t)timeout_ms * 1000000;
  kernel->now_ns += is_interrupted ? rng_below(&kernel->random, ns + 1) : ns;
}

static int fault_epoll_wait(void *context, int epoll, struct epoll_event *events, int capacity,
                            int timeout_ms) {
  fault_kernel *kernel = context;
  int error = fault(kernel, CALL_EPOLL_WAIT);
  if (error != 0) {
    if (kernel->has_virtual_clock) pass_time(kernel, timeout_ms, true);
    return error;
  }
  int real_timeout = kernel->has_virtual_clock ? 0 : timeout_ms;
  int result = real()->epoll_wait(NULL, epoll, events, capacity, real_timeout);
  if (result == 0 && kernel->has_virtual_clock) pass_time(kernel, timeout_ms, false);
  kernel->last_wait = result;
  return result;
}

static int fault_poll(void *context, struct pollfd *files, nfds_t count, int timeout_ms) {
  fault_kernel *kernel = context;
  int error = fault(kernel, CALL_POLL);
  if (error != 0) {
    if (kernel->has_virtual_clock) pass_time(kernel, timeout_ms, true);
    return error;
  }
  int result = real()->poll(NULL, files, count, kernel->has_virtual_clock ? 0 : timeout_ms);
  if (result == 0 && kernel->has_virtual_clock) pass_time(kernel, timeout_ms, false);
  return result;
}

static int fault_getrlimit(void *context, int resource, uint64_t *limit) {
  (void)context;
  return real()->getrlimit(NULL, resource, limit);
}

static int fault_eventfd(void *context, unsigned initial, int flags) {
  int error = fault(context, CALL_EVENTFD);
  return error != 0 ? error : made_nonblocking(context, real()->eventfd(NULL, initial, flags));
}

static int fault_clock_gettime(void *context, int clock, struct timespec *time) {
  fault_kernel *kernel = context;
  int error = fault(kernel, CALL_CLOCK_GETTIME);
  if (error != 0) return error;
  if (!kernel->has_virtual_clock) return real()->clock_gettime(NULL, clock, time);
  time->tv_sec = (time_t)(kernel->now_ns / 1000000000);
  time->tv_nsec = (long)(kernel->now_ns % 1000000000);
  return 0;
}

static ssize_t fault_getrandom(void *context, void *bytes, size_t count, unsigned flags) {
  int error = fault(context, CALL_GETRANDOM);
  return error != 0 ? error : real()->getrandom(NULL, bytes, cut(context, count), flags);
}

void fault_kernel_init(fault_kernel *kernel, rng random) {
  memset(kernel, 0, sizeof(*kernel));
  kernel->random = random;
  kernel->now_ns = 1000000000000;
  kernel->table = (cl_kernel){
      .context = kernel,
      .socket = fault_socket,
      .bind = fault_bind,
      .listen = fault_listen,
      .accept4 = fault_accept4,
      .connect = fault_connect,
      .getsockname = fault_getsockname,
      .setsockopt = fault_setsockopt,
      .getsockopt = fault_getsockopt,
      .shutdown = fault_shutdown,
      .close = fault_close,
      .recv = fault_recv,
      .send = fault_send,
      .sendmsg = fault_sendmsg,
      .read = fault_read,
      .write = fault_write,
      .epoll_create1 = fault_epoll_create1,
      .epoll_ctl = fault_epoll_ctl,
      .epoll_wait = fault_epoll_wait,
      .eventfd = fault_eventfd,
      .clock_gettime = fault_clock_gettime,
      .getrandom = fault_getrandom,
      .poll = fault_poll,
      .getrlimit = fault_getrlimit,
  };
}

void fault_kernel_add(fault_kernel *kernel, enum fault_call call, int error, unsigned permille,
                      long times) {
  if (kernel->rule_count == (int)(sizeof(kernel->rules) / sizeof(kernel->rules[0]))) abort();
  kernel->rules[kernel->rule_count] =
      (fault_rule){.call = call, .error = error, .permille = permille, .remaining = times};
  kernel->rule_count += 1;
}

void fault_kernel_calm(fault_kernel *kernel) { kernel->rule_count = 0; }

void fault_kernel_interrupt(fault_kernel *kernel, unsigned permille) {
  for (int call = 0; call < CALL_COUNT; call += 1) {
    fault_kernel_add(kernel, (enum fault_call)call, EINTR, permille, -1);
  }
}
