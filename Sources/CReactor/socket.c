// Sockets: addresses, listening, connecting, the acceptor, and the calls that move bytes.

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

// MARK: - Addresses

typedef union socket_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} socket_address;

/// The length of the address parsed from `host`, or -EINVAL when it is not a numeric address.
static int parse_address(const char *host, uint16_t port, socket_address *address) {
  memset(address, 0, sizeof(*address));
  if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(port);
    return (int)sizeof(address->v4);
  }
  if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(port);
    return (int)sizeof(address->v6);
  }
  return -EINVAL;
}

static cl_address peer_address(const socket_address *address, socklen_t length) {
  cl_address peer = {0};
  if (length >= sizeof(address->v4) && address->any.sa_family == AF_INET) {
    peer.family = 4;
    peer.port = ntohs(address->v4.sin_port);
    memcpy(peer.bytes, &address->v4.sin_addr, 4);
  } else if (length >= sizeof(address->v6) && address->any.sa_family == AF_INET6) {
    peer.port = ntohs(address->v6.sin6_port);
    // An address such as 10.0.0.1 is the same client through an IPv4 and an IPv6 listener.
    bool is_mapped = IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr);
    peer.family = is_mapped ? 4 : 6;
    memcpy(peer.bytes, address->v6.sin6_addr.s6_addr + (is_mapped ? 12 : 0), is_mapped ? 4 : 16);
  }
  return peer;
}

int cl_address_text(const cl_address *address, char *text, size_t capacity) {
  if (capacity < INET6_ADDRSTRLEN) return -ENOSPC;
  if (address->family == 4) {
    inet_ntop(AF_INET, address->bytes, text, (socklen_t)capacity);
  } else if (address->family == 6) {
    inet_ntop(AF_INET6, address->bytes, text, (socklen_t)capacity);
  } else {
    memcpy(text, "unknown", sizeof("unknown"));
  }
  return (int)strlen(text);
}

// MARK: - Making sockets

static int set_option(const cl_kernel *kernel, int fd, int level, int name, int value) {
  int result =
      CL_RETRY(kernel->setsockopt(kernel->context, fd, level, name, &value, sizeof(value)));
  cl_check_arguments("setsockopt", result);
  return result;
}

/// A nonblocking, CLOEXEC TCP socket, or a negated errno.
static int make_socket(const cl_kernel *kernel, int family) {
  int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  int fd = CL_RETRY(kernel->socket(kernel->context, family, type, 0));
  cl_check_arguments("socket", fd);
  return fd;
}

static int prepare_listener(const cl_kernel *kernel, int fd, const socket_address *address,
                            socklen_t length, int backlog, bool joins) {
  int result = set_option(kernel, fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (result < 0) return result;
  if (joins) {
    result = set_option(kernel, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (result < 0) return result;
  }
  if (address->any.sa_family == AF_INET6) {
    // "::" accepts IPv4 too, whatever the system's default is.
    result = set_option(kernel, fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (result < 0) return result;
  }
  result = CL_RETRY(kernel->bind(kernel->context, fd, &address->any, length));
  cl_check("bind", result);
  if (result < 0) return result;
  if (!joins) {
    // Only after bind: with SO_REUSEPORT set, bind would succeed on a port where another server of
    // the same user listens, and the kernel would distribute connections over both.
    result = set_option(kernel, fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (result < 0) return result;
  }
  result = CL_RETRY(kernel->listen(kernel->context, fd, backlog));
  cl_check_arguments("listen", result);
  return result;
}

static int make_listener(const cl_kernel *kernel, const char *host, uint16_t port, int backlog,
                         bool joins) {
  socket_address address;
  int length = parse_address(host, port, &address);
  if (length < 0) return length;
  int fd = make_socket(kernel, address.any.sa_family);
  if (fd < 0) return fd;
  int result = prepare_listener(kernel, fd, &address, (socklen_t)length, backlog, joins);
  if (result < 0) {
    cl_close(kernel, fd);
    return result;
  }
  return fd;
}

int cl_listen(const cl_kernel *kernel, const char *host, uint16_t port, int backlog) {
  return make_listener(kernel, host, port, backlog, false);
}

int cl_listen_beside(const cl_kernel *kernel, const char *host, uint16_t port, int backlog) {
  return make_listener(kernel, host, port, backlog, true);
}

int cl_limit_unsent(const cl_kernel *kernel, int fd, uint32_t byte_count) {
  int value = byte_count > INT32_MAX ? INT32_MAX : (int)byte_count;
  // guard: kernel-unsent-bytes
  return set_option(kernel, fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value);
}

/// Reads TCP_INFO; false if it cannot be read, or the kernel's has fewer than `needed` bytes.
static bool read_tcp_info(const cl_kernel *kernel, int fd, struct tcp_info *info, size_t needed) {
  socklen_t length = sizeof(*info);
  int result =
      CL_RETRY(kernel->getsockopt(kernel->context, fd, IPPROTO_TCP, TCP_INFO, info, &length));
  cl_check_arguments("getsockopt", result);
  return result >= 0 && length >= needed;
}

bool cl_has_zero_window(const cl_kernel *kernel, int fd, uint32_t milliseconds) {
  // A reading peer soon opens its window by at least a page. A window that never opens further than
  // this is nonzero only because of the space that the kernel reserves for the socket's structures.
  enum { closed_window = 4096 };
  struct tcp_info info = {0};
  size_t needed = offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof(info.tcpi_snd_wnd);
  if (!read_tcp_info(kernel, fd, &info, needed)) return false;
  return info.tcpi_notsent_bytes > 0 && info.tcpi_snd_wnd < closed_window &&
         info.tcpi_last_data_sent >= milliseconds;
}

uint32_t cl_ms_since_progress(const cl_kernel *kernel, int fd) {
  struct tcp_info info = {0};
  size_t needed = offsetof(struct tcp_info, tcpi_last_ack_recv) + sizeof(info.tcpi_last_ack_recv);
  if (!read_tcp_info(kernel, fd, &info, needed)) return UINT32_MAX;
  return info.tcpi_last_data_sent > info.tcpi_last_ack_recv ? info.tcpi_last_data_sent
                                                            : info.tcpi_last_ack_recv;
}

int cl_local_port(const cl_kernel *kernel, int fd) {
  socket_address address = {0};
  socklen_t length = sizeof(address);
  int result = CL_RETRY(kernel->getsockname(kernel->context, fd, &address.any, &length));
  cl_check_arguments("getsockname", result);
  if (result < 0) return result;
  if (address.any.sa_family == AF_INET) return ntohs(address.v4.sin_port);
  if (address.any.sa_family == AF_INET6) return ntohs(address.v6.sin6_port);
  return -EAFNOSUPPORT;
}

/// Starts to connect. An interrupted connect continues in the kernel: a second call returns
/// EALREADY, or EISCONN if it is already established.
static int begin_connecting(const cl_kernel *kernel, int fd, const socket_address *address,
                            socklen_t length) {
  bool was_interrupted = false;
  int result;
  while ((result = kernel->connect(kernel->context, fd, &address->any, length)) == -EINTR) {
    was_interrupted = true;
  }
  cl_check("connect", result);
  if (result == -EINPROGRESS) return 0;
  if (was_interrupted && (result == -EALREADY || result == -EISCONN)) return 0;
  return result;
}

int cl_connect(const cl_kernel *kernel, const char *host, uint16_t port) {
  socket_address address;
  int length = parse_address(host, port, &address);
  if (length < 0) return length;
  int fd = make_socket(kernel, address.any.sa_family);
  if (fd < 0) return fd;
  int result = set_option(kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (result >= 0) result = begin_connecting(kernel, fd, &address, (socklen_t)length);
  if (result < 0) {
    cl_close(kernel, fd);
    return result;
  }
  return fd;
}

int cl_connect_result(const cl_kernel *kernel, int fd) {
  int error = 0;
  socklen_t length = sizeof(error);
  int result =
      CL_RETRY(kernel->getsockopt(kernel->context, fd, SOL_SOCKET, SO_ERROR, &error, &length));
  cl_check_arguments("getsockopt", result);
  return result < 0 ? result : -error;
}

// MARK: - Acceptor

enum { PAUSE_FIRST_MS = 10 };

struct cl_acceptor {
  cl_reactor *reactor;
  int fd;
  uint32_t index;
  uint32_t generation;
  uint32_t user_timeout_ms;
  bool is_paused;
  /// The length of the last pause; 0 after a success.
  uint32_t pause_ms;
  uint64_t resume_ms;
  uint64_t pauses;
};

int cl_acceptor_create(cl_reactor *reactor, int fd, uint32_t index, uint32_t generation,
                       uint32_t user_timeout_ms, cl_acceptor **acceptor) {
  *acceptor = NULL;
  cl_acceptor *made = calloc(1, sizeof(*made));
  if (made == NULL) return -ENOMEM;
  *made = (cl_acceptor){
      .reactor = reactor,
      .fd = fd,
      .index = index,
      .generation = generation,
      .user_timeout_ms = user_timeout_ms > INT32_MAX ? INT32_MAX : user_timeout_ms,
  };
  int result = cl_reactor_add(reactor, fd, CL_READABLE, index, generation);
  if (result < 0) {
    free(made);
    return result;
  }
  *acceptor = made;
  return 0;
}

void cl_acceptor_destroy(cl_acceptor *acceptor) {
  // Closing would not remove the listener from the epoll if another process holds it too.
  cl_reactor_remove(acceptor->reactor, acceptor->fd);
  cl_close(cl_reactor_kernel(acceptor->reactor), acceptor->fd);
  free(acceptor);
}

/// Whether accept returned an error of the one connection that it took from the queue: accept(2).
static bool concerns_one_connection(int result) {
  switch (-result) {
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

// The listener stays in the epoll with no interest: adding it again could fail for lack of the very
// memory that ran out.
static void pause_accepting(cl_acceptor *acceptor, uint64_t now_ms) {
  // guard: accept-pause-doubles
  uint32_t doubled = acceptor->pause_ms * 2;
  acceptor->pause_ms = doubled == 0                         ? PAUSE_FIRST_MS
                       : doubled > CL_ACCEPT_PAUSE_LIMIT_MS ? CL_ACCEPT_PAUSE_LIMIT_MS
                                                            : doubled;
  acceptor->resume_ms = now_ms + acceptor->pause_ms;
  acceptor->is_paused = true;
  acceptor->pauses += 1;
  cl_reactor_modify(acceptor->reactor, acceptor->fd, 0, acceptor->index, acceptor->generation);
}

static int accept_next(cl_acceptor *acceptor, uint64_t now_ms, cl_address *peer, bool pauses) {
  const cl_kernel *kernel = cl_reactor_kernel(acceptor->reactor);
  // An event from the same batch as the failure that paused the acceptor.
  if (acceptor->is_paused) return -EAGAIN;
  for (int skipped = 0; skipped < CL_ACCEPT_SKIP_LIMIT; skipped += 1) {
    socket_address address = {0};
    socklen_t length = sizeof(address);
    int fd = CL_RETRY(kernel->accept4(kernel->context, acceptor->fd, &address.any, &length,
                                      SOCK_NONBLOCK | SOCK_CLOEXEC));
    cl_check_arguments("accept4", fd);
    if (fd >= 0) {
      // guard: accept-resets-pause
      acceptor->pause_ms = 0;
      *peer = peer_address(&address, length);
      // A connection without these options still works; it is only slower, or detected as dead
      // later.
      set_option(kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1);
      if (acceptor->user_timeout_ms > 0) {
        set_option(kernel, fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)acceptor->user_timeout_ms);
      }
      return fd;
    }
    if (fd == -EAGAIN) return fd;
    // guard: accept-pauses-at-unknown-error
    if (concerns_one_connection(fd)) continue;
    if (!pauses && (fd == -EMFILE || fd == -ENFILE)) return fd;
    // EMFILE, ENFILE, ENOMEM, ENOBUFS; an unexpected error must not spin either.
    // guard: accept-pauses-at-file-limit
    pause_accepting(acceptor, now_ms);
    return fd;
  }
  return -EAGAIN;
}

int cl_acceptor_accept(cl_acceptor *acceptor, uint64_t now_ms, cl_address *peer) {
  return accept_next(acceptor, now_ms, peer, true);
}

int cl_acceptor_try_accept(cl_acceptor *acceptor, uint64_t now_ms, cl_address *peer) {
  return accept_next(acceptor, now_ms, peer, false);
}

int cl_acceptor_timeout(const cl_acceptor *acceptor, uint64_t now_ms) {
  if (!acceptor->is_paused) return -1;
  return acceptor->resume_ms <= now_ms ? 0 : (int)(acceptor->resume_ms - now_ms);
}

void cl_acceptor_resume(cl_acceptor *acceptor, uint64_t now_ms) {
  if (!acceptor->is_paused || now_ms < acceptor->resume_ms) return;
  int result = cl_reactor_modify(acceptor->reactor, acceptor->fd, CL_READABLE, acceptor->index,
                                 acceptor->generation);
  if (result < 0) {
    // A resource ran out again: retry after another pause, so that the listener is not lost.
    acceptor->resume_ms = now_ms + acceptor->pause_ms;
    return;
  }
  acceptor->is_paused = false;
}

uint64_t cl_acceptor_pauses(const cl_acceptor *acceptor) { return acceptor->pauses; }

// MARK: - Moving bytes

ssize_t cl_recv(const cl_kernel *kernel, int fd, void *bytes, size_t count) {
  ssize_t result = CL_RETRY(kernel->recv(kernel->context, fd, bytes, count, 0));
  cl_check_arguments("recv", result);
  return result;
}

ssize_t cl_send(const cl_kernel *kernel, int fd, const void *bytes, size_t count) {
  // guard: send-retries-eintr
  ssize_t result = CL_RETRY(kernel->send(kernel->context, fd, bytes, count, MSG_NOSIGNAL));
  cl_check_arguments("send", result);
  return result;
}

ssize_t cl_send_pieces(const cl_kernel *kernel, int fd, const struct iovec *pieces, int count) {
  struct msghdr message = {
      // sendmsg only reads the pieces; the struct is shared with recvmsg.
      .msg_iov = (struct iovec *)pieces,
      .msg_iovlen = (size_t)(count > 64 ? 64 : count),
  };
  ssize_t result = CL_RETRY(kernel->sendmsg(kernel->context, fd, &message, MSG_NOSIGNAL));
  cl_check_arguments("sendmsg", result);
  return result;
}

void cl_shutdown_write(const cl_kernel *kernel, int fd) {
  int result = CL_RETRY(kernel->shutdown(kernel->context, fd, SHUT_WR));
  cl_check_arguments("shutdown", result);
}

void cl_close(const cl_kernel *kernel, int fd) {
  cl_check("close", kernel->close(kernel->context, fd));
}

void cl_abort(const cl_kernel *kernel, int fd) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  int result = CL_RETRY(
      kernel->setsockopt(kernel->context, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
  cl_check_arguments("setsockopt", result);
  cl_close(kernel, fd);
}
