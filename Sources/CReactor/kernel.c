// The table of system calls, its real instance, and the functions built on it alone: clocks, random
// bytes, eventfds.
//
// The real members only turn -1 and errno into a negated errno. Retrying and judging errors is done
// once, above the table, so that it holds for every kernel that a test substitutes.

#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

// MARK: - The real kernel

static int int_result(int result) { return result < 0 ? -errno : result; }

static ssize_t size_result(ssize_t result) { return result < 0 ? -errno : result; }

static int real_socket(void *context, int domain, int type, int protocol) {
  (void)context;
  return int_result(socket(domain, type, protocol));
}

static int real_bind(void *context, int fd, const struct sockaddr *address, socklen_t length) {
  (void)context;
  return int_result(bind(fd, address, length));
}

static int real_listen(void *context, int fd, int backlog) {
  (void)context;
  return int_result(listen(fd, backlog));
}

static int real_accept4(void *context, int fd, struct sockaddr *address, socklen_t *length,
                        int flags) {
  (void)context;
  return int_result(accept4(fd, address, length, flags));
}

static int real_connect(void *context, int fd, const struct sockaddr *address, socklen_t length) {
  (void)context;
  return int_result(connect(fd, address, length));
}

static int real_getsockname(void *context, int fd, struct sockaddr *address, socklen_t *length) {
  (void)context;
  return int_result(getsockname(fd, address, length));
}

static int real_setsockopt(void *context, int fd, int level, int name, const void *value,
                           socklen_t length) {
  (void)context;
  return int_result(setsockopt(fd, level, name, value, length));
}

static int real_getsockopt(void *context, int fd, int level, int name, void *value,
                           socklen_t *length) {
  (void)context;
  return int_result(getsockopt(fd, level, name, value, length));
}

static int real_shutdown(void *context, int fd, int how) {
  (void)context;
  return int_result(shutdown(fd, how));
}

static int real_close(void *context, int fd) {
  (void)context;
  return int_result(close(fd));
}

static ssize_t real_recv(void *context, int fd, void *bytes, size_t count, int flags) {
  (void)context;
  return size_result(recv(fd, bytes, count, flags));
}

static ssize_t real_send(void *context, int fd, const void *bytes, size_t count, int flags) {
  (void)context;
  return size_result(send(fd, bytes, count, flags));
}

static ssize_t real_sendmsg(void *context, int fd, const struct msghdr *message, int flags) {
  (void)context;
  return size_result(sendmsg(fd, message, flags));
}

static ssize_t real_read(void *context, int fd, void *bytes, size_t count) {
  (void)context;
  return size_result(read(fd, bytes, count));
}

static ssize_t real_write(void *context, int fd, const void *bytes, size_t count) {
  (void)context;
  return size_result(write(fd, bytes, count));
}

static int real_epoll_create1(void *context, int flags) {
  (void)context;
  return int_result(epoll_create1(flags));
}

static int real_epoll_ctl(void *context, int epoll, int operation, int fd,
                          struct epoll_event *event) {
  (void)context;
  return int_result(epoll_ctl(epoll, operation, fd, event));
}

static int real_epoll_wait(void *context, int epoll, struct epoll_event *events, int capacity,
                           int timeout_ms) {
  (void)context;
  return int_result(epoll_wait(epoll, events, capacity, timeout_ms));
}

static int real_eventfd(void *context, unsigned initial, int flags) {
  (void)context;
  return int_result(eventfd(initial, flags));
}

static int real_clock_gettime(void *context, int clock, struct timespec *time) {
  (void)context;
  return int_result(clock_gettime(clock, time));
}

static ssize_t real_getrandom(void *context, void *bytes, size_t count, unsigned flags) {
  (void)context;
  return size_result(getrandom(bytes, count, flags));
}

static int real_poll(void *context, struct pollfd *files, nfds_t count, int timeout_ms) {
  (void)context;
  return int_result(poll(files, count, timeout_ms));
}

static int real_getrlimit(void *context, int resource, uint64_t *limit) {
  (void)context;
  struct rlimit limits = {0};
  int result = int_result(getrlimit(resource, &limits));
  *limit = limits.rlim_cur;
  return result;
}

static const cl_kernel real_kernel = {
    .context = NULL,
    .socket = real_socket,
    .bind = real_bind,
    .listen = real_listen,
    .accept4 = real_accept4,
    .connect = real_connect,
    .getsockname = real_getsockname,
    .setsockopt = real_setsockopt,
    .getsockopt = real_getsockopt,
    .shutdown = real_shutdown,
    .close = real_close,
    .recv = real_recv,
    .send = real_send,
    .sendmsg = real_sendmsg,
    .read = real_read,
    .write = real_write,
    .epoll_create1 = real_epoll_create1,
    .epoll_ctl = real_epoll_ctl,
    .epoll_wait = real_epoll_wait,
    .eventfd = real_eventfd,
    .clock_gettime = real_clock_gettime,
    .getrandom = real_getrandom,
    .poll = real_poll,
    .getrlimit = real_getrlimit,
};

const cl_kernel *cl_kernel_real(void) { return &real_kernel; }

// MARK: - On any kernel

void cl_fatal(const char *call, long result) {
  int error = (int)-result;
  char reason[128];
  dprintf(STDERR_FILENO, "carillon: %s failed, which only a bug can cause: %s (%d)\n", call,
          strerror_r(error, reason, sizeof(reason)), error);
  abort();
}

static struct timespec now_of(const cl_kernel *kernel, int clock) {
  struct timespec time = {0};
  int result = CL_RETRY(kernel->clock_gettime(kernel->context, clock, &time));
  if (result < 0) cl_fatal("clock_gettime", result);
  return time;
}

uint64_t cl_monotonic_ns(const cl_kernel *kernel) {
  struct timespec time = now_of(kernel, CLOCK_MONOTONIC);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t cl_monotonic_ms(const cl_kernel *kernel) { return cl_monotonic_ns(kernel) / 1000000; }

int64_t cl_wall_ms(const cl_kernel *kernel) {
  struct timespec time = now_of(kernel, CLOCK_REALTIME);
  return (int64_t)time.tv_sec * 1000 + (int64_t)time.tv_nsec / 1000000;
}

uint64_t cl_open_files_limit(const cl_kernel *kernel) {
  uint64_t limit = 0;
  int result = kernel->getrlimit(kernel->context, RLIMIT_NOFILE, &limit);
  if (result < 0) cl_fatal("getrlimit", result);
  return limit;
}

void cl_random(const cl_kernel *kernel, void *bytes, size_t count) {
  uint8_t *next = bytes;
  while (count > 0) {
    // A request of more than 256 bytes may return fewer; returning 0 would loop for ever.
    ssize_t got = CL_RETRY(kernel->getrandom(kernel->context, next, count, 0));
    if (got <= 0 || (size_t)got > count) cl_fatal("getrandom", got < 0 ? got : -EIO);
    next += got;
    count -= (size_t)got;
  }
}

int cl_eventfd_create(const cl_kernel *kernel) {
  int fd = CL_RETRY(kernel->eventfd(kernel->context, 0, EFD_CLOEXEC | EFD_NONBLOCK));
  cl_check_arguments("eventfd", fd);
  return fd;
}

void cl_eventfd_signal(const cl_kernel *kernel, int fd) {
  const uint64_t one = 1;
  // EAGAIN means that the count is at its maximum: then the eventfd is signalled already.
  ssize_t result = CL_RETRY(kernel->write(kernel->context, fd, &one, sizeof(one)));
  cl_check_arguments("write (eventfd)", result);
}

bool cl_eventfd_take(const cl_kernel *kernel, int fd) {
  uint64_t count = 0;
  ssize_t result = CL_RETRY(kernel->read(kernel->context, fd, &count, sizeof(count)));
  cl_check_arguments("read (eventfd)", result);
  return result == (ssize_t)sizeof(count);
}
