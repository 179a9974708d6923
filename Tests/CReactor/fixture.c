// The real kernel makes the sockets here, so that only the code under test can fail.

#define _GNU_SOURCE

#include "fixture.h"

#include <poll.h>
#include <unistd.h>

void fixture_init(fixture *fixture) {
  memset(fixture, 0, sizeof(*fixture));
  fault_kernel_init(&fixture->kernel, harness_rng());
  CHECK_EQUAL(cl_reactor_create(&fixture->kernel.table, &fixture->reactor), 0);
}

void fixture_end(fixture *fixture) {
  cl_reactor_destroy(fixture->reactor);
  CHECK_EQUAL(fixture->kernel.open_files, 0);
  CHECK_EQUAL(fixture->kernel.inherited_files, 0);
  CHECK_EQUAL(fixture->kernel.blocking_files, 0);
}

int fixture_listen(fixture *fixture, uint16_t *port) {
  int fd = cl_listen(&fixture->kernel.table, "127.0.0.1", 0, 512);
  CHECK(fd >= 0);
  int bound = cl_local_port(&fixture->kernel.table, fd);
  CHECK(bound > 0);
  *port = (uint16_t)bound;
  return fd;
}

static bool poll_for(int fd, short events, int timeout_ms) {
  struct pollfd file = {.fd = fd, .events = events};
  int result;
  while ((result = poll(&file, 1, timeout_ms)) < 0 && errno == EINTR) continue;
  return result > 0;
}

void wait_readable(int fd) { CHECK(poll_for(fd, POLLIN, 10000)); }

bool is_readable(int fd) { return poll_for(fd, POLLIN, 0); }

int connect_real(uint16_t port) {
  int fd = cl_connect(cl_kernel_real(), "127.0.0.1", port);
  CHECK(fd >= 0);
  CHECK(poll_for(fd, POLLOUT, 10000));
  CHECK_EQUAL(cl_connect_result(cl_kernel_real(), fd), 0);
  return fd;
}

void make_pair(int ends[2]) {
  const cl_kernel *kernel = cl_kernel_real();
  int listener = cl_listen(kernel, "127.0.0.1", 0, 8);
  CHECK(listener >= 0);
  ends[0] = connect_real((uint16_t)cl_local_port(kernel, listener));
  wait_readable(listener);
  ends[1] = kernel->accept4(NULL, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  CHECK(ends[1] >= 0);
  cl_close(kernel, listener);
}
