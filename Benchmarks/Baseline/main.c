// The baseline of the fan-out benchmark: the minimum work of a correct server on one thread.
//
// It serves the same load client over sockets of the same kind with the same options, receives the
// same bytes of the same POSTs, and sends every connection frames of the same size. It leaves out
// everything else that a server does: it checks no token, origin or Sec-WebSocket-Key (its 101
// contains a constant accept, which the load client does not verify), parses no JSON, neither
// unmasks nor parses client frames, and has no timers, limits, user index, ring between threads or
// metrics. The ratio of a server's processor time to this program's is therefore the full cost of
// those functions; a server can go below 1 only with less than one send per connection and burst.
//
// POST /baseline/separate/1 selects one send of one frame per connection and message.
// POST /baseline/joined/W makes it collect W messages and send them joined: one send per connection
// and W messages.
//
// Usage: Baseline --port P --frame BYTES. It prints "listening PORT" and exits when its standard
// input (a pipe) is closed, so it cannot outlive the benchmark that started it.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  files_limit = 20000,
  events_capacity = 512,
  request_capacity = 16 << 10,
  scratch_capacity = 256 << 10,
  window_limit = 4096,
};

/// The type of the connection on a descriptor.
enum kind { kind_none, kind_http, kind_websocket };

/// One connection, found by its descriptor.
struct connection {
  enum kind kind;
  /// Received and not yet parsed bytes of an unfinished request.
  char *request;
  size_t request_count;
  size_t request_capacity;
  /// Bytes that the socket did not accept.
  char *unsent;
  size_t unsent_count;
};

static struct connection connections[files_limit];
/// The upgraded connections in the order of their upgrades.
static int listeners[files_limit];
static int listener_count;
static int epoll_fd;

static size_t frame_count;
static unsigned window = 1;
static bool is_joined;
static char *frames;
static unsigned frames_held;
static char scratch[scratch_capacity];

/// Exits after an unexpected failure of a system call.
static void fail(const char *what) {
  perror(what);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread.
  exit(1);
}

static void watch(int fd, int operation, uint32_t interest) {
  struct epoll_event event = {.events = interest, .data.fd = fd};
  if (epoll_ctl(epoll_fd, operation, fd, &event) < 0) fail("epoll_ctl");
}

static void close_connection(int fd) {
  struct connection *connection = &connections[fd];
  if (connection->kind == kind_websocket) {
    int index = 0;
    while (listeners[index] != fd) index++;
    listener_count--;
    memmove(&listeners[index], &listeners[index + 1],
            (size_t)(listener_count - index) * sizeof listeners[0]);
  }
  free(connection->request);
  free(connection->unsent);
  *connection = (struct connection){.kind = kind_none};
  close(fd);
}

/// Queues bytes that the socket did not accept and watches it for writing.
static void keep_unsent(int fd, const char *bytes, size_t count) {
  struct connection *connection = &connections[fd];
  char *grown = realloc(connection->unsent, connection->unsent_count + count);
  if (grown == NULL) fail("realloc");
  memcpy(grown + connection->unsent_count, bytes, count);
  connection->unsent = grown;
  if (connection->unsent_count == 0) watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  connection->unsent_count += count;
}

static void send_bytes(int fd, const char *bytes, size_t count) {
  if (connections[fd].unsent_count > 0) {
    keep_unsent(fd, bytes, count);
    return;
  }
  ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
  if (sent == (ssize_t)count) return;
  if (sent < 0) {
    // A broken connection is closed at its epoll event, because callers iterate over `listeners`.
    if (errno != EAGAIN && errno != EINTR) return;
    sent = 0;
  }
  keep_unsent(fd, bytes + sent, count - (size_t)sent);
}

static void send_unsent(int fd) {
  struct connection *connection = &connections[fd];
  ssize_t sent = send(fd, connection->unsent, connection->unsent_count, MSG_NOSIGNAL);
  if (sent < 0) return;
  connection->unsent_count -= (size_t)sent;
  memmove(connection->unsent, connection->unsent + sent, connection->unsent_count);
  if (connection->unsent_count > 0) return;
  free(connection->unsent);
  connection->unsent = NULL;
  watch(fd, EPOLL_CTL_MOD, EPOLLIN);
}

/// Sends the finished frames to every connection in one piece.
static void broadcast(const char *bytes, size_t count) {
  for (int index = 0; index < listener_count; index++) send_bytes(listeners[index], bytes, count);
}

/// Builds the frame of one message, once for all connections, as a server does.
/// Returns false when the payload does not fit into the requested frame size.
static bool finish_frame(const char *body, size_t count, char *frame) {
  static const char before[] =
      "{\"event\":\"live:update\",\"data\":{\"update_type\":\"bench\",\"payload\":";
  static const char after[] = "},\"timestamp\":\"2026-01-31T12:00:00.000Z\"";
  const char *payload = memmem(body, count, "\"payload\":", 10);
  if (payload == NULL) return false;
  payload += 10;
  // The payload is the body's last member; only the body's closing brace follows it.
  size_t payload_count = count - (size_t)(payload - body) - 1;

  size_t position = 0;
  frame[position++] = (char)0x81;
  if (frame_count - 2 < 126) {
    frame[position++] = (char)(frame_count - 2);
  } else {
    frame[position++] = 126;
    frame[position++] = (char)((frame_count - 4) >> 8);
    frame[position++] = (char)(frame_count - 4);
  }
  size_t least = sizeof before - 1 + payload_count + sizeof after - 1 + 1;
  if (position + least > frame_count) return false;
  memcpy(frame + position, before, sizeof before - 1);
  position += sizeof before - 1;
  memcpy(frame + position, payload, payload_count);
  position += payload_count;
  memcpy(frame + position, after, sizeof after - 1);
  position += sizeof after - 1;
  memset(frame + position, ' ', frame_count - position - 1);
  frame[frame_count - 1] = '}';
  return true;
}

/// Adds one message and sends when the window is full.
static bool publish(const char *body, size_t count) {
  if (!finish_frame(body, count, frames + frames_held * frame_count)) return false;
  frames_held++;
  if (is_joined && frames_held < window) return true;
  broadcast(frames, frames_held * frame_count);
  frames_held = 0;
  return true;
}

/// Upgrades an HTTP connection to a WebSocket that receives the broadcasts, and greets it.
static void upgrade(int fd) {
  static const char answer[] =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  static const char greeting[] =
      "{\"event\":\"connection:established\",\"data\":{\"user_id\":\"bench-00000\",\"timestamp\":"
      "\"2026-01-31T12:00:00.000Z\",\"message\":\"Connected to notification service\"},"
      "\"timestamp\":\"2026-01-31T12:00:00.000Z\"}";
  char bytes[sizeof answer + sizeof greeting + 4];
  size_t count = sizeof answer - 1;
  memcpy(bytes, answer, count);
  bytes[count++] = (char)0x81;
  bytes[count++] = 126;
  bytes[count++] = (char)((sizeof greeting - 1) >> 8);
  bytes[count++] = (char)((sizeof greeting - 1) & 0xff);
  memcpy(bytes + count, greeting, sizeof greeting - 1);
  count += sizeof greeting - 1;

  struct connection *connection = &connections[fd];
  free(connection->request);
  connection->request = NULL;
  connection->request_count = connection->request_capacity = 0;
  connection->kind = kind_websocket;
  listeners[listener_count++] = fd;
  send_bytes(fd, bytes, count);
}

/// The number after the field `name` in the head, or 0.
static size_t field_number(const char *head, size_t count, const char *name) {
  size_t name_count = strlen(name);
  for (const char *line = head; (line = memchr(line, '\n', count - (size_t)(line - head)));) {
    line++;
    if ((size_t)(head + count - line) < name_count) break;
    if (strncasecmp(line, name, name_count) == 0) return strtoul(line + name_count, NULL, 10);
  }
  return 0;
}

/// Handles POST /baseline/joined/W and POST /baseline/separate/1.
static bool configure(const char *path) {
  bool joined = strncmp(path, "joined/", 7) == 0;
  if (!joined && strncmp(path, "separate/", 9) != 0) return false;
  unsigned long asked = strtoul(path + (joined ? 7 : 9), NULL, 10);
  if (asked < 1 || asked > window_limit) return false;
  is_joined = joined;
  window = (unsigned)asked;
  frames_held = 0;
  return true;
}

/// Answers the complete requests in `bytes` and returns their size. The answers are collected and
/// sent once, as a server with pipelining does.
static size_t answer_requests(int fd, const char *bytes, size_t count) {
  static const char good[] =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n"
      "{\"success\":true,\"data\":{}}";
  static const char bad[] =
      "HTTP/1.1 422 Unprocessable Content\r\nContent-Type: application/json\r\n"
      "Content-Length: 17\r\n\r\n{\"success\":false}";
  static char answers[64 << 10];
  size_t answered = 0;
  size_t taken = 0;
  while (taken < count) {
    const char *head = bytes + taken;
    const char *end = memmem(head, count - taken, "\r\n\r\n", 4);
    if (end == NULL) break;
    size_t head_count = (size_t)(end - head) + 4;
    if (strncmp(head, "GET /readyz", 11) != 0 && strncmp(head, "GET ", 4) == 0) {
      upgrade(fd);
      return count;
    }
    size_t body_count = field_number(head, head_count, "content-length:");
    if (count - taken - head_count < body_count) break;
    bool is_good = true;
    if (strncmp(head, "POST /baseline/", 15) == 0) {
      is_good = configure(head + 15);
    } else if (strncmp(head, "POST ", 5) == 0) {
      is_good = publish(head + head_count, body_count);
    }
    if (answered + sizeof bad > sizeof answers) {
      send_bytes(fd, answers, answered);
      answered = 0;
    }
    size_t answer_count = is_good ? sizeof good - 1 : sizeof bad - 1;
    memcpy(answers + answered, is_good ? good : bad, answer_count);
    answered += answer_count;
    taken += head_count + body_count;
  }
  if (answered > 0) send_bytes(fd, answers, answered);
  return taken;
}

/// Reads from a connection once and keeps only an unfinished request.
static void read_connection(int fd) {
  struct connection *connection = &connections[fd];
  if (connection->request_count > 0) {
    memcpy(scratch, connection->request, connection->request_count);
  }
  size_t held = connection->request_count;
  ssize_t received = recv(fd, scratch + held, scratch_capacity - held, 0);
  if (received < 0 && errno == EAGAIN) return;
  if (received <= 0) {
    close_connection(fd);
    return;
  }
  if (connection->kind == kind_websocket) return;
  held += (size_t)received;
  size_t taken = answer_requests(fd, scratch, held);
  size_t left = connection->kind == kind_websocket ? 0 : held - taken;
  if (left > request_capacity) {
    close_connection(fd);
    return;
  }
  connection->request_count = left;
  if (left == 0) return;
  if (left > connection->request_capacity) {
    char *grown = realloc(connection->request, left);
    if (grown == NULL) fail("realloc");
    connection->request = grown;
    connection->request_capacity = left;
  }
  memcpy(connection->request, scratch + taken, left);
}

static void accept_all(int listening_fd) {
  for (;;) {
    int fd = accept4(listening_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (fd >= files_limit) {
      close(fd);
      continue;
    }
    int on = 1;
    unsigned user_timeout_ms = 30000;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    connections[fd] = (struct connection){.kind = kind_http};
    watch(fd, EPOLL_CTL_ADD, EPOLLIN);
  }
}

/// Listens on loopback and prints the port.
static int listen_on(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  if (listen(fd, 4096) < 0) fail("listen");
  socklen_t length = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &length) < 0) fail("getsockname");
  printf("listening %u\n", ntohs(address.sin_port));
  (void)fflush(stdout);
  return fd;
}

/// Returns false when an argument is not a number within its bounds.
static bool read_arguments(int argc, char **argv, uint16_t *port) {
  for (int index = 1; index + 1 < argc; index += 2) {
    char *end = NULL;
    unsigned long number = strtoul(argv[index + 1], &end, 10);
    if (*end != 0) return false;
    if (strcmp(argv[index], "--port") == 0) {
      if (number > UINT16_MAX) return false;
      *port = (uint16_t)number;
    }
    if (strcmp(argv[index], "--frame") == 0) frame_count = number;
  }
  return frame_count >= 128 && frame_count <= 60000;
}

int main(int argc, char **argv) {
  uint16_t port = 0;
  if (!read_arguments(argc, argv, &port)) {
    (void)fprintf(stderr, "usage: Baseline --port P --frame BYTES (128 to 60000)\n");
    return 2;
  }
  frames = malloc(frame_count * window_limit);
  if (frames == NULL) fail("malloc");
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) fail("signal");
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1");
  int listening_fd = listen_on(port);
  watch(listening_fd, EPOLL_CTL_ADD, EPOLLIN);
  watch(STDIN_FILENO, EPOLL_CTL_ADD, EPOLLIN);

  struct epoll_event events[events_capacity];
  for (;;) {
    int count = epoll_wait(epoll_fd, events, events_capacity, -1);
    for (int index = 0; index < count; index++) {
      int fd = events[index].data.fd;
      if (fd == STDIN_FILENO) return 0;
      if (fd == listening_fd) {
        accept_all(fd);
        continue;
      }
      if ((events[index].events & EPOLLOUT) && connections[fd].unsent_count > 0) send_unsent(fd);
      if (events[index].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_connection(fd);
    }
  }
}
