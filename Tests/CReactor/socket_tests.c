// Sockets: addresses, options, moving bytes, and the results after the peer has closed.

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fixture.h"

static int int_option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof(value);
  CHECK(getsockopt(fd, level, name, &value, &length) == 0);
  return value;
}

static void check_closes_on_exec(int fd) {
  CHECK(fd >= 0);
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
}

// MARK: - Making sockets

/// Listens on `listen_host`, connects to `connect_host`, checks the options and the peer's address.
static void check_connection(const char *listen_host, const char *connect_host, int family,
                             const char *peer_text) {
  const cl_kernel *kernel = cl_kernel_real();
  cl_reactor *reactor;
  CHECK_EQUAL(cl_reactor_create(kernel, &reactor), 0);
  int listener = cl_listen(kernel, listen_host, 0, 16);
  check_closes_on_exec(listener);
  int port = cl_local_port(kernel, listener);
  CHECK(port > 0);
  cl_acceptor *acceptor;
  CHECK_EQUAL(cl_acceptor_create(reactor, listener, 1, 1, 31000, &acceptor), 0);
  CHECK_EQUAL(cl_limit_unsent(kernel, listener, 131072), 0);

  int client = cl_connect(kernel, connect_host, (uint16_t)port);
  check_closes_on_exec(client);
  CHECK_EQUAL(int_option(client, IPPROTO_TCP, TCP_NODELAY), 1);
  wait_readable(listener);
  cl_address peer;
  memset(&peer, 0xA5, sizeof(peer));
  int fd = cl_acceptor_accept(acceptor, 0, &peer);
  check_closes_on_exec(fd);
  CHECK_EQUAL(cl_connect_result(kernel, client), 0);
  CHECK_EQUAL(int_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  CHECK_EQUAL(int_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 31000);
  CHECK_EQUAL(int_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 131072);
  CHECK_EQUAL(peer.family, family);
  CHECK_EQUAL(peer.reserved, 0);
  CHECK_EQUAL(peer.port, cl_local_port(kernel, client));
  char text[64];
  CHECK_EQUAL(cl_address_text(&peer, text, sizeof(text)), (int)strlen(peer_text));
  CHECK(strcmp(text, peer_text) == 0);
  CHECK_EQUAL(cl_acceptor_accept(acceptor, 0, &peer), -EAGAIN);

  cl_close(kernel, fd);
  cl_close(kernel, client);
  cl_acceptor_destroy(acceptor);
  cl_reactor_destroy(reactor);
}

// Case 97.
TEST(connections, "sockets are CLOEXEC and nonblocking, with their options, and know the peer") {
  check_connection("127.0.0.1", "127.0.0.1", 4, "127.0.0.1");
  check_connection("0.0.0.0", "127.0.0.1", 4, "127.0.0.1");
}

TEST(ipv6, "::1 can listen and connect; an IPv4 client of a listener on :: is IPv4") {
  check_connection("::1", "::1", 6, "::1");
  check_connection("::", "::1", 6, "::1");
  check_connection("::", "127.0.0.1", 4, "127.0.0.1");
}

TEST(shared_port, "two listeners share a port, and both get connections") {
  const cl_kernel *kernel = cl_kernel_real();
  int first = cl_listen(kernel, "127.0.0.1", 0, 512);
  CHECK(first >= 0);
  int port = cl_local_port(kernel, first);
  // A listener of another server gets EADDRINUSE, even for the same user.
  CHECK_EQUAL(cl_listen(kernel, "127.0.0.1", (uint16_t)port, 512), -EADDRINUSE);
  int second = cl_listen_beside(kernel, "127.0.0.1", (uint16_t)port, 512);
  CHECK(second >= 0);
  CHECK_EQUAL(cl_local_port(kernel, second), port);
  CHECK_EQUAL(int_option(first, SOL_SOCKET, SO_REUSEADDR), 1);
  int clients[400], count = 0;
  // The kernel chooses by a hash; a listener without any of 400 connections would not be chance.
  while (count < 400 && !(is_readable(first) && is_readable(second))) {
    clients[count] = connect_real((uint16_t)port);
    count += 1;
  }
  CHECK(is_readable(first) && is_readable(second));
  for (int i = 0; i < count; i += 1) cl_abort(kernel, clients[i]);
  cl_close(kernel, first);
  cl_close(kernel, second);
}

TEST(numeric_addresses, "a host that is not a numeric address is rejected before any call") {
  const char *hosts[] = {"",      "localhost",    "1.2.3",   "1.2.3.4.5", "127.0.0.1:80",
                         "[::1]", "256.0.0.1",    "::1%lo ", "1.2.3.04 ", " 127.0.0.1",
                         "::g",   "example.test", ":::",     "0x7f.1"};
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i += 1) {
    CHECK_EQUAL(cl_listen(&kernel.table, hosts[i], 0, 16), -EINVAL);
    CHECK_EQUAL(cl_connect(&kernel.table, hosts[i], 80), -EINVAL);
  }
  CHECK_EQUAL(kernel.calls[CALL_SOCKET], 0);
}

TEST(foreign_address, "an address of another machine is an error, not an abort") {
  CHECK_EQUAL(cl_listen(cl_kernel_real(), "192.0.2.1", 0, 16), -EADDRNOTAVAIL);
}

TEST(socket_failures, "a failed creation of a socket leaks nothing and returns the error") {
  const struct {
    enum fault_call call;
    int error;
  } steps[] = {{CALL_SOCKET, EMFILE},
               {CALL_SETSOCKOPT, ENOBUFS},
               {CALL_BIND, EADDRINUSE},
               {CALL_LISTEN, EADDRINUSE},
               {CALL_CONNECT, EADDRNOTAVAIL}};
  for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i += 1) {
    fault_kernel kernel;
    fault_kernel_init(&kernel, harness_rng());
    fault_kernel_add(&kernel, steps[i].call, steps[i].error, 1000, 1);
    bool listens = steps[i].call != CALL_CONNECT;
    int result = listens ? cl_listen(&kernel.table, "127.0.0.1", 0, 16)
                         : cl_connect(&kernel.table, "127.0.0.1", 1);
    CHECK_EQUAL(result, -steps[i].error);
    CHECK_EQUAL(kernel.faults[steps[i].call], 1);
    CHECK_EQUAL(kernel.open_files, 0);
  }
}

// Case 62
TEST(unsent, "for a client that does not read, the kernel takes no more than the limit") {
  const cl_kernel *kernel = cl_kernel_real();
  fixture fixture;
  fixture_init(&fixture);
  uint16_t port;
  cl_acceptor *acceptor;
  int listener = fixture_listen(&fixture, &port);
  CHECK_EQUAL(cl_acceptor_create(fixture.reactor, listener, 1, 1, 0, &acceptor), 0);
  CHECK_EQUAL(cl_limit_unsent(kernel, listener, 65536), 0);
  int client = connect_real(port);
  wait_readable(listener);
  cl_address peer;
  int fd = cl_acceptor_accept(acceptor, 0, &peer);
  CHECK(fd >= 0);
  static char bytes[1024];
  size_t taken = 0;
  for (;;) {
    ssize_t count = cl_send(kernel, fd, bytes, sizeof(bytes));
    if (count < 0) {
      CHECK_EQUAL(count, -EAGAIN);
      break;
    }
    taken += (size_t)count;
  }
  // Bytes in the client's receive buffer no longer count for the sender. The kernel checks the
  // limit before it takes a piece, so one piece of at most 64 KiB may exceed it.
  int received;
  CHECK_EQUAL(ioctl(client, FIONREAD, &received), 0);
  CHECK(taken >= (size_t)received);
  CHECK(taken - (size_t)received <= (size_t)2 * 65536);
  cl_close(&fixture.kernel.table, fd);
  cl_close(kernel, client);
  cl_acceptor_destroy(acceptor);
  fixture_end(&fixture);
}

// Case 62
TEST(zero_window, "a client that leaves waiting bytes unread for the time is a zero-window peer") {
  const cl_kernel *kernel = cl_kernel_real();
  fixture fixture;
  fixture_init(&fixture);
  uint16_t port;
  cl_acceptor *acceptor;
  int listener = fixture_listen(&fixture, &port);
  CHECK_EQUAL(cl_acceptor_create(fixture.reactor, listener, 1, 1, 0, &acceptor), 0);
  int client = connect_real(port);
  wait_readable(listener);
  cl_address peer;
  int fd = cl_acceptor_accept(acceptor, 0, &peer);
  CHECK(fd >= 0);
  CHECK(!cl_has_zero_window(kernel, fd, 0));
  static char bytes[65536];
  while (cl_send(kernel, fd, bytes, sizeof(bytes)) > 0) {}
  CHECK(!cl_has_zero_window(kernel, fd, 3600000));
  uint64_t end = cl_monotonic_ms(kernel) + 30000;
  while (!cl_has_zero_window(kernel, fd, 20) && cl_monotonic_ms(kernel) < end) {}
  CHECK(cl_has_zero_window(kernel, fd, 20));
  // It takes no bytes, although its kernel answers.
  CHECK(cl_ms_since_progress(kernel, fd) >= 20);
  uint64_t start = cl_monotonic_ms(kernel);
  // A client that has read everything is not a zero-window peer, however long ago that was.
  while (cl_recv(kernel, client, bytes, sizeof(bytes)) > 0 || cl_has_zero_window(kernel, fd, 0)) {
    CHECK(cl_monotonic_ms(kernel) < end);
  }
  // It took bytes since it began to read. The kernel counts by ticks of up to 10 ms.
  CHECK(cl_ms_since_progress(kernel, fd) <= cl_monotonic_ms(kernel) - start + 10);
  // A kernel that cannot tell returns false.
  fault_kernel_add(&fixture.kernel, CALL_GETSOCKOPT, EOPNOTSUPP, 1000, -1);
  while (cl_send(kernel, fd, bytes, sizeof(bytes)) > 0) {}
  while (!cl_has_zero_window(kernel, fd, 20) && cl_monotonic_ms(kernel) < end) {}
  CHECK(cl_has_zero_window(kernel, fd, 20));
  CHECK(!cl_has_zero_window(&fixture.kernel.table, fd, 20));
  CHECK_EQUAL(cl_ms_since_progress(&fixture.kernel.table, fd), UINT32_MAX);
  cl_close(&fixture.kernel.table, fd);
  cl_close(kernel, client);
  cl_acceptor_destroy(acceptor);
  fixture_end(&fixture);
}

TEST(option_failures, "an accepted connection is served even if its options fail") {
  fixture fixture;
  fixture_init(&fixture);
  uint16_t port;
  cl_acceptor *acceptor;
  int listener = fixture_listen(&fixture, &port);
  CHECK_EQUAL(cl_acceptor_create(fixture.reactor, listener, 1, 1, 30000, &acceptor), 0);
  int client = connect_real(port);
  wait_readable(listener);
  fault_kernel_add(&fixture.kernel, CALL_SETSOCKOPT, EOPNOTSUPP, 1000, -1);
  cl_address peer;
  int fd = cl_acceptor_accept(acceptor, 0, &peer);
  CHECK(fd >= 0);
  CHECK_EQUAL(fixture.kernel.faults[CALL_SETSOCKOPT], 2);
  cl_close(&fixture.kernel.table, fd);
  cl_close(cl_kernel_real(), client);
  cl_acceptor_destroy(acceptor);
  fixture_end(&fixture);
}

TEST(interrupted_connect, "an interrupted connect still connects") {
  fixture fixture;
  fixture_init(&fixture);
  uint16_t port;
  int listener = fixture_listen(&fixture, &port);
  fault_kernel_interrupt(&fixture.kernel, 500);
  for (int round = 0; round < 300; round += 1) {
    int fd = cl_connect(&fixture.kernel.table, "127.0.0.1", port);
    CHECK(fd >= 0);
    CHECK_EQUAL(cl_reactor_add(fixture.reactor, fd, CL_WRITABLE, 1, 1), 0);
    cl_event event;
    CHECK_EQUAL(cl_reactor_wait(fixture.reactor, &event, 1, 10000), 1);
    CHECK_EQUAL(event.readiness, CL_WRITABLE);
    CHECK_EQUAL(cl_connect_result(&fixture.kernel.table, fd), 0);
    wait_readable(listener);
    int accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(accepted >= 0);
    cl_abort(cl_kernel_real(), accepted);
    cl_close(&fixture.kernel.table, fd);
  }
  CHECK(fixture.kernel.faults[CALL_CONNECT] > 100);
  cl_close(&fixture.kernel.table, listener);
  fixture_end(&fixture);
}

TEST(refused_connect, "a refused connection is a hang-up, and its result is the error") {
  fixture fixture;
  fixture_init(&fixture);
  uint16_t port;
  int listener = fixture_listen(&fixture, &port);
  cl_close(&fixture.kernel.table, listener);
  int fd = cl_connect(&fixture.kernel.table, "127.0.0.1", port);
  // On loopback the refusal may arrive before connect returns.
  if (fd >= 0) {
    CHECK_EQUAL(cl_reactor_add(fixture.reactor, fd, CL_WRITABLE, 1, 1), 0);
    cl_event event;
    CHECK_EQUAL(cl_reactor_wait(fixture.reactor, &event, 1, 10000), 1);
    CHECK((event.readiness & CL_HANGUP) != 0);
    CHECK_EQUAL(cl_connect_result(&fixture.kernel.table, fd), -ECONNREFUSED);
    cl_close(&fixture.kernel.table, fd);
  } else {
    CHECK_EQUAL(fd, -ECONNREFUSED);
  }
  fixture_end(&fixture);
}

TEST(address_text, "an address is written in its usual form") {
  const struct {
    cl_address address;
    const char *text;
  } table[] = {
      {{.family = 0}, "unknown"},
      {{.family = 4, .bytes = {10, 0, 255, 1}}, "10.0.255.1"},
      {{.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}}, "2001:db8::1"},
      {{.family = 6,
        .bytes = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                  0xff, 0xff, 0xff}},
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i += 1) {
    char text[46];
    CHECK_EQUAL(cl_address_text(&table[i].address, text, sizeof(text)), (int)strlen(table[i].text));
    CHECK(strcmp(text, table[i].text) == 0);
  }
  char text[45];
  CHECK_EQUAL(cl_address_text(&table[1].address, text, sizeof(text)), -ENOSPC);
}

// MARK: - Moving bytes

static void send_to_the_dead(void) {
  CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
  const cl_kernel *kernel = cl_kernel_real();
  int ends[2];
  make_pair(ends);
  cl_abort(kernel, ends[1]);
  wait_readable(ends[0]);
  uint8_t byte;
  CHECK_EQUAL(cl_recv(kernel, ends[0], &byte, 1), -ECONNRESET);
  CHECK_EQUAL(cl_send(kernel, ends[0], "x", 1), -EPIPE);
  struct iovec piece = {.iov_base = &byte, .iov_len = 1};
  CHECK_EQUAL(cl_send_pieces(kernel, ends[0], &piece, 1), -EPIPE);
  // Shutting down a connection that has ended is not an error.
  cl_shutdown_write(kernel, ends[0]);
  cl_abort(kernel, ends[0]);
}

TEST(no_sigpipe, "sending to a closed peer is EPIPE, never SIGPIPE") {
  harness_check_child(send_to_the_dead);
}

TEST(orderly_end, "an orderly end is a receive of 0, after all bytes") {
  const cl_kernel *kernel = cl_kernel_real();
  int ends[2];
  make_pair(ends);
  uint8_t bytes[8];
  CHECK_EQUAL(cl_recv(kernel, ends[0], bytes, 8), -EAGAIN);
  CHECK_EQUAL(cl_send(kernel, ends[1], "last", 4), 4);
  cl_shutdown_write(kernel, ends[1]);
  wait_readable(ends[0]);
  CHECK_EQUAL(cl_recv(kernel, ends[0], bytes, 8), 4);
  CHECK(memcmp(bytes, "last", 4) == 0);
  wait_readable(ends[0]);
  CHECK_EQUAL(cl_recv(kernel, ends[0], bytes, 8), 0);
  cl_close(kernel, ends[0]);
  cl_close(kernel, ends[1]);
}

TEST(full_buffer, "a full socket takes part of the bytes, then returns EAGAIN") {
  const cl_kernel *kernel = cl_kernel_real();
  int ends[2];
  make_pair(ends);
  static uint8_t bytes[1 << 20];
  uint64_t total = 0;
  ssize_t taken;
  while ((taken = cl_send(kernel, ends[0], bytes, sizeof(bytes))) > 0) {
    total += (uint64_t)taken;
    CHECK(total < 1 << 30);
  }
  CHECK_EQUAL(taken, -EAGAIN);
  cl_close(kernel, ends[0]);
  cl_close(kernel, ends[1]);
}

TEST(interrupted_send, "an interrupted send or receive is repeated") {
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  int ends[2];
  make_pair(ends);
  fault_kernel_add(&kernel, CALL_SEND, EINTR, 1000, 2);
  CHECK_EQUAL(cl_send(&kernel.table, ends[0], "x", 1), 1);
  CHECK_EQUAL(kernel.calls[CALL_SEND], 3);
  fault_kernel_add(&kernel, CALL_SENDMSG, EINTR, 1000, 2);
  struct iovec piece = {.iov_base = "y", .iov_len = 1};
  CHECK_EQUAL(cl_send_pieces(&kernel.table, ends[0], &piece, 1), 1);
  CHECK_EQUAL(kernel.calls[CALL_SENDMSG], 3);
  wait_readable(ends[1]);
  fault_kernel_add(&kernel, CALL_RECV, EINTR, 1000, 2);
  uint8_t bytes[8];
  CHECK_EQUAL(cl_recv(&kernel.table, ends[1], bytes, 8), 2);
  CHECK_EQUAL(kernel.calls[CALL_RECV], 3);
  CHECK(memcmp(bytes, "xy", 2) == 0);
  cl_close(cl_kernel_real(), ends[0]);
  cl_close(cl_kernel_real(), ends[1]);
}

TEST(pieces, "pieces arrive in order and whole, despite short and interrupted calls") {
  enum { PIECES = 70, LENGTH = 37, TOTAL = PIECES * LENGTH };
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  kernel.short_permille = 500;
  fault_kernel_interrupt(&kernel, 300);
  int ends[2];
  make_pair(ends);
  uint8_t sent[TOTAL], received[TOTAL];
  for (int i = 0; i < TOTAL; i += 1) sent[i] = (uint8_t)rng_next(&kernel.random);
  for (int round = 0; round < 50; round += 1) {
    size_t taken = 0, got = 0;
    while (got < TOTAL) {
      struct iovec pieces[PIECES];
      int count = 0;
      for (size_t at = taken; at < TOTAL; count += 1) {
        size_t length = LENGTH - at % LENGTH;
        pieces[count] = (struct iovec){.iov_base = sent + at, .iov_len = length};
        at += length;
      }
      if (count > 0) {
        ssize_t result = cl_send_pieces(&kernel.table, ends[0], pieces, count);
        CHECK(result > 0 && (size_t)result <= (count > 64 ? 64 : (size_t)count) * LENGTH);
        taken += (size_t)result;
      }
      wait_readable(ends[1]);
      ssize_t result = cl_recv(&kernel.table, ends[1], received + got, TOTAL - got);
      CHECK(result > 0);
      got += (size_t)result;
    }
    CHECK(memcmp(sent, received, TOTAL) == 0);
  }
  CHECK(kernel.faults[CALL_SENDMSG] > 50);
  cl_close(cl_kernel_real(), ends[0]);
  cl_close(cl_kernel_real(), ends[1]);
}

TEST(connection_reset, "a reset in a receive or a send is returned") {
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  fault_kernel_add(&kernel, CALL_RECV, ECONNRESET, 1000, -1);
  fault_kernel_add(&kernel, CALL_SEND, ECONNRESET, 1000, -1);
  fault_kernel_add(&kernel, CALL_SENDMSG, ENOBUFS, 1000, -1);
  uint8_t byte = 0;
  struct iovec piece = {.iov_base = &byte, .iov_len = 1};
  CHECK_EQUAL(cl_recv(&kernel.table, 0, &byte, 1), -ECONNRESET);
  CHECK_EQUAL(cl_send(&kernel.table, 0, &byte, 1), -ECONNRESET);
  CHECK_EQUAL(cl_send_pieces(&kernel.table, 0, &piece, 1), -ENOBUFS);
}

// MARK: - Closing, and bugs

TEST(close_once, "an interrupted close is not repeated") {
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  int fd = cl_listen(&kernel.table, "127.0.0.1", 0, 1);
  fault_kernel_add(&kernel, CALL_CLOSE, EINTR, 1000, -1);
  cl_close(&kernel.table, fd);
  CHECK_EQUAL(kernel.calls[CALL_CLOSE], 1);
  CHECK_EQUAL(kernel.open_files, 0);
}

static void close_twice(void) {
  int fd = cl_listen(cl_kernel_real(), "127.0.0.1", 0, 1);
  cl_close(cl_kernel_real(), fd);
  cl_close(cl_kernel_real(), fd);
}

static void receive_from_nothing(void) {
  uint8_t byte;
  cl_recv(cl_kernel_real(), 1000, &byte, 1);
}

static void send_into_nothing(void) { cl_send(cl_kernel_real(), 1000, "x", 1); }

static void send_to_a_pipe(void) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  cl_send(cl_kernel_real(), ends[1], "x", 1);
}

static void receive_into_nothing(void) {
  int ends[2];
  make_pair(ends);
  CHECK_EQUAL(cl_send(cl_kernel_real(), ends[0], "x", 1), 1);
  wait_readable(ends[1]);
  // Through the table, because the sanitizer would stop a bad pointer before the kernel does.
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  fault_kernel_add(&kernel, CALL_RECV, EFAULT, 1000, -1);
  uint8_t byte;
  cl_recv(&kernel.table, ends[1], &byte, 1);
}

TEST(socket_bugs, "a descriptor that is not open, or not a socket, aborts and names the call") {
  harness_check_abort(close_twice, "close");
  harness_check_abort(receive_from_nothing, "recv");
  harness_check_abort(send_into_nothing, "send");
  harness_check_abort(send_to_a_pipe, "send");
  harness_check_abort(receive_into_nothing, "recv");
}
