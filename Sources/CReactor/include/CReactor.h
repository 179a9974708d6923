// The kernel interface that Carillon uses, and the epoll reactor on top.
//
// Everything here returns its value or a negated errno, so that Swift never reads `errno`. EINTR is
// retried here; EAGAIN is a result; EBADF, EFAULT and ENOTSOCK are bugs and abort, and so does
// EINVAL where all arguments are ours. Every system call, clock and random source goes through one
// table, `cl_kernel`, so that a test can substitute a failing or a simulated kernel. (Threads and
// signals are not in it: no connection depends on them.)

#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#pragma clang assume_nonnull begin

// MARK: - The kernel table

/// The system calls, clocks and random source that the server uses.
///
/// Each member behaves like the call of its name, but returns a negated errno in place of -1. A
/// member may fail with EINTR: the functions below retry it. `context` is passed to each call.
typedef struct cl_kernel {
  void *_Nullable context;
  int (*socket)(void *_Nullable context, int domain, int type, int protocol);
  int (*bind)(void *_Nullable context, int fd, const struct sockaddr *address, socklen_t length);
  int (*listen)(void *_Nullable context, int fd, int backlog);
  int (*accept4)(void *_Nullable context, int fd, struct sockaddr *_Nullable address,
                 socklen_t *_Nullable length, int flags);
  int (*connect)(void *_Nullable context, int fd, const struct sockaddr *address, socklen_t length);
  int (*getsockname)(void *_Nullable context, int fd, struct sockaddr *address, socklen_t *length);
  int (*setsockopt)(void *_Nullable context, int fd, int level, int name, const void *value,
                    socklen_t length);
  int (*getsockopt)(void *_Nullable context, int fd, int level, int name, void *value,
                    socklen_t *length);
  int (*shutdown)(void *_Nullable context, int fd, int how);
  int (*close)(void *_Nullable context, int fd);
  ssize_t (*recv)(void *_Nullable context, int fd, void *bytes, size_t count, int flags);
  ssize_t (*send)(void *_Nullable context, int fd, const void *bytes, size_t count, int flags);
  ssize_t (*sendmsg)(void *_Nullable context, int fd, const struct msghdr *message, int flags);
  ssize_t (*read)(void *_Nullable context, int fd, void *bytes, size_t count);
  ssize_t (*write)(void *_Nullable context, int fd, const void *bytes, size_t count);
  int (*epoll_create1)(void *_Nullable context, int flags);
  int (*epoll_ctl)(void *_Nullable context, int epoll, int operation, int fd,
                   struct epoll_event *_Nullable event);
  int (*epoll_wait)(void *_Nullable context, int epoll, struct epoll_event *events, int capacity,
                    int timeout_ms);
  int (*eventfd)(void *_Nullable context, unsigned initial, int flags);
  int (*clock_gettime)(void *_Nullable context, int clock, struct timespec *time);
  ssize_t (*getrandom)(void *_Nullable context, void *bytes, size_t count, unsigned flags);
  int (*poll)(void *_Nullable context, struct pollfd *files, nfds_t count, int timeout_ms);
  /// Gives the soft limit alone.
  int (*getrlimit)(void *_Nullable context, int resource, uint64_t *limit);
} cl_kernel;

/// The real kernel. Never null, never freed.
const cl_kernel *cl_kernel_real(void);

/// Milliseconds of CLOCK_MONOTONIC. Never fails: a failing clock aborts.
uint64_t cl_monotonic_ms(const cl_kernel *kernel);
/// Nanoseconds of CLOCK_MONOTONIC.
uint64_t cl_monotonic_ns(const cl_kernel *kernel);
/// Milliseconds since 1970 of CLOCK_REALTIME.
int64_t cl_wall_ms(const cl_kernel *kernel);
/// Fills `bytes` with random bytes fit for keys and ids. Never fails: it aborts.
void cl_random(const cl_kernel *kernel, void *bytes, size_t count);
/// The number of files that this process may have open (RLIMIT_NOFILE). Descriptors are below it.
uint64_t cl_open_files_limit(const cl_kernel *kernel);

// MARK: - Reactor

/// Readiness of one file, as reported by epoll, for one slot in the caller's slab.
typedef struct cl_event {
  /// The slot's index, as passed when the file was added.
  uint32_t index;
  /// The slot's generation, as passed when the file was added. An event whose generation differs
  /// from the slot's current one is for a connection that ended earlier in the same batch.
  uint32_t generation;
  /// CL_READABLE, CL_WRITABLE, CL_HANGUP.
  uint32_t readiness;
  uint32_t reserved;
} cl_event;
_Static_assert(sizeof(cl_event) == 16, "Swift indexes cl_event as four words");

enum {
  /// Bytes (or a connection) are ready, or the peer has closed its side.
  CL_READABLE = 1,
  CL_WRITABLE = 2,
  /// The connection has ended in both directions, or has an error pending (EPOLLHUP, EPOLLERR).
  CL_HANGUP = 4,
};

typedef struct cl_reactor cl_reactor;

/// Makes a reactor with its epoll and its wake-up eventfd. 0 or a negated errno.
int cl_reactor_create(const cl_kernel *kernel, cl_reactor *_Nullable *_Nonnull reactor);
void cl_reactor_destroy(cl_reactor *reactor);

/// Watches `fd`, level-triggered, for `interest` (CL_READABLE | CL_WRITABLE; 0 watches for
/// CL_HANGUP alone). 0 or a negated errno (ENOMEM, ENOSPC). Index and generation must not both be
/// UINT32_MAX: that pair names the reactor's own wake-up.
int cl_reactor_add(cl_reactor *reactor, int fd, uint32_t interest, uint32_t index,
                   uint32_t generation);
/// Changes the interest of a watched `fd`. 0 or a negated errno.
int cl_reactor_modify(cl_reactor *reactor, int fd, uint32_t interest, uint32_t index,
                      uint32_t generation);
/// Stops watching `fd`. 0 or a negated errno (ENOENT: it was not watched). Closing the only
/// descriptor of a file does the same.
int cl_reactor_remove(cl_reactor *reactor, int fd);

/// Events requested from the kernel at once. Beyond some hundreds a larger batch saves nothing, and
/// it makes the first connection of the batch wait for the last.
enum { CL_EVENTS_LIMIT = 512 };

/// Waits up to `timeout_ms` (-1: for ever) and fills `events`, at most CL_EVENTS_LIMIT at once. The
/// wake-up is consumed here: a woken wait may return 0. Returns the number filled, or a negated
/// errno.
int cl_reactor_wait(cl_reactor *reactor, cl_event *events, int capacity, int timeout_ms);

/// Ends the present or next wait. The only function here that any thread may call.
void cl_reactor_wake(cl_reactor *reactor);

// MARK: - Timers

/// A timer wheel with one timer for each slot of the caller's slab. It allocates only when an index
/// is larger than any before. Not thread-safe.
typedef struct cl_wheel cl_wheel;

/// Timers of the present period of `period_ms` (a power of two, at most 64) are kept by the
/// millisecond, those of the next `period_count` periods (a power of two) by the period; later ones
/// are looked at once each `period_count` periods. Null when out of memory.
cl_wheel *_Nullable cl_wheel_create(uint64_t now_ms, uint32_t period_ms, uint32_t period_count);
void cl_wheel_destroy(cl_wheel *wheel);

/// Sets the timer of `index` (below 2^31), replacing the previous one, to the time from
/// `earliest_ms` to `latest_ms` that is divisible by the largest power of two, so that timers with
/// overlapping windows share a wake-up; with an empty window to `earliest_ms`. A time that has
/// passed is due at the next millisecond. 0 or -ENOMEM; then the previous timer is still set.
int cl_wheel_schedule(cl_wheel *wheel, uint32_t index, uint64_t earliest_ms, uint64_t latest_ms);
/// Cancels the timer of `index`, if it is set.
void cl_wheel_cancel(cl_wheel *wheel, uint32_t index);
/// The time that the timer of `index` is set to; UINT64_MAX when it is not set.
uint64_t cl_wheel_time(const cl_wheel *wheel, uint32_t index);
/// Removes up to `capacity` timers whose time is at or before `now_ms`, and returns how many; call
/// again while it returns `capacity`. Between two calls any timer may be scheduled or cancelled.
int cl_wheel_expire(cl_wheel *wheel, uint64_t now_ms, uint32_t *indexes, int capacity);
/// Milliseconds from `now_ms` until the earliest timer is due; -1 when there is no timer. Never
/// late. Early when no timer is set in the present period: then it ends where the next period with
/// timers begins. After a complete expiry it is not 0.
int cl_wheel_timeout(const cl_wheel *wheel, uint64_t now_ms);

// MARK: - Sockets

/// A peer's address in 20 bytes.
typedef struct cl_address {
  /// 4, 6, or 0 when unknown.
  uint8_t family;
  uint8_t reserved;
  /// In host order.
  uint16_t port;
  /// Network order; an IPv4 address uses the first four. An IPv4-mapped IPv6 address is IPv4.
  uint8_t bytes[16];
} cl_address;
_Static_assert(sizeof(cl_address) == 20, "kept for every connection");

/// A nonblocking listening socket with SO_REUSEADDR, SO_REUSEPORT and CLOEXEC on the numeric
/// address `host`. With `port` 0 the kernel chooses. Returns the descriptor or a negated errno
/// (-EINVAL: `host` is not a numeric address; -EADDRINUSE: another listener has the port).
int cl_listen(const cl_kernel *kernel, const char *host, uint16_t port, int backlog);
/// As cl_listen, in addition to a listener of this process on the same address: the kernel
/// distributes the connections over them.
int cl_listen_beside(const cl_kernel *kernel, const char *host, uint16_t port, int backlog);
/// Bounds the bytes that the kernel accepts for connection `fd` before it can put them on the wire
/// (TCP_NOTSENT_LOWAT). For a listener it applies to each connection accepted from now on, because
/// connections inherit it. Bytes in flight do not count, so a reading peer is sent to as fast as
/// before. 0 or a negated errno.
int cl_limit_unsent(const cl_kernel *kernel, int fd, uint32_t byte_count);
/// Whether the peer of connection `fd` has been a zero-window peer for at least `milliseconds`: its
/// program reads nothing, so its kernel has closed the window, and bytes are waiting to be sent. A
/// stalled network does not count. False where the kernel cannot tell.
bool cl_has_zero_window(const cl_kernel *kernel, int fd, uint32_t milliseconds);
/// Milliseconds since the peer of connection `fd` last took bytes: since the kernel last sent it
/// data or last received an acknowledgement from it, whichever is longer ago. So a peer that only
/// acknowledges probes of its zero window takes no bytes, and neither does one that has vanished.
/// UINT32_MAX where the kernel cannot tell.
uint32_t cl_ms_since_progress(const cl_kernel *kernel, int fd);
/// The local port of a bound socket, or a negated errno.
int cl_local_port(const cl_kernel *kernel, int fd);
/// Starts a nonblocking TCP connection to a numeric address, CLOEXEC and TCP_NODELAY. Returns the
/// descriptor (writable once connected; see cl_connect_result) or a negated errno.
int cl_connect(const cl_kernel *kernel, const char *host, uint16_t port);
/// 0 when the connection is established, a negated errno when it failed.
int cl_connect_result(const cl_kernel *kernel, int fd);
/// Writes `address`, without the port, as text into `text` (at least 46 bytes) and returns its
/// length; an unknown address is "unknown". -ENOSPC when `capacity` is less than that.
int cl_address_text(const cl_address *address, char *text, size_t capacity);

/// A listening socket in a reactor, with back-off when the machine runs out of a resource.
///
/// On EMFILE, ENFILE, ENOMEM or ENOBUFS the listener leaves the reactor for 10 ms, doubling to
/// CL_ACCEPT_PAUSE_LIMIT_MS while the error persists, so that a full file table costs no processor
/// time.
typedef struct cl_acceptor cl_acceptor;

enum {
  /// The longest pause of a listener, in milliseconds.
  CL_ACCEPT_PAUSE_LIMIT_MS = 1000,
  /// Failed connections skipped in one call. The rest waits for the next turn, so that a flood of
  /// them does not hold up the shard.
  CL_ACCEPT_SKIP_LIMIT = 64,
};

/// Takes ownership of `fd` (from cl_listen) and adds it to the reactor under (index, generation).
/// `user_timeout_ms` is TCP_USER_TIMEOUT for accepted sockets; 0 leaves the system's. 0 or a
/// negated errno; then `fd` is still the caller's.
int cl_acceptor_create(cl_reactor *reactor, int fd, uint32_t index, uint32_t generation,
                       uint32_t user_timeout_ms, cl_acceptor *_Nullable *_Nonnull acceptor);
/// Closes the listener.
void cl_acceptor_destroy(cl_acceptor *acceptor);
/// Accepts one connection: nonblocking, CLOEXEC, TCP_NODELAY, TCP_USER_TIMEOUT. Returns its
/// descriptor, -EAGAIN when there is none (or the acceptor is paused), or another negated errno
/// when this call paused the acceptor (counted in cl_acceptor_pauses). Connections that failed in
/// the queue (ECONNABORTED, EPROTO and the other network errors that accept(2) passes on) are
/// skipped here, CL_ACCEPT_SKIP_LIMIT per call: the reactor reports the rest again.
int cl_acceptor_accept(cl_acceptor *acceptor, uint64_t now_ms, cl_address *peer);
/// As cl_acceptor_accept, but does not pause on EMFILE and ENFILE: the caller may close a file and
/// accept again.
int cl_acceptor_try_accept(cl_acceptor *acceptor, uint64_t now_ms, cl_address *peer);
/// Milliseconds until a paused acceptor needs cl_acceptor_resume; -1 when it is not paused.
int cl_acceptor_timeout(const cl_acceptor *acceptor, uint64_t now_ms);
/// Returns a paused acceptor to the reactor when its pause is over.
void cl_acceptor_resume(cl_acceptor *acceptor, uint64_t now_ms);
/// How often accepting was paused since the start.
uint64_t cl_acceptor_pauses(const cl_acceptor *acceptor);

/// Receives up to `count` bytes. 0 when the peer has closed, -EAGAIN when no bytes are ready.
ssize_t cl_recv(const cl_kernel *kernel, int fd, void *bytes, size_t count);
/// Sends up to `count` bytes without ever raising SIGPIPE. Returns the number taken, or a negated
/// errno.
ssize_t cl_send(const cl_kernel *kernel, int fd, const void *bytes, size_t count);
/// Sends up to `count` pieces (at most 64) as cl_send does.
ssize_t cl_send_pieces(const cl_kernel *kernel, int fd, const struct iovec *pieces, int count);
/// Sends end of stream to the peer. Errors of a connection that has already ended are ignored.
void cl_shutdown_write(const cl_kernel *kernel, int fd);
/// Closes `fd`. Never retried: on Linux the descriptor is closed whatever close returns.
void cl_close(const cl_kernel *kernel, int fd);
/// Closes `fd` with a reset in place of an orderly end (SO_LINGER 0).
void cl_abort(const cl_kernel *kernel, int fd);

// MARK: - Threads, wake-ups and signals

/// An eventfd that one thread waits on, closed with cl_close. The descriptor or a negated errno.
int cl_wakeup_create(const cl_kernel *kernel);
/// Wakes the waiting thread, now or on its next wait. Any thread.
void cl_wakeup_signal(const cl_kernel *kernel, int fd);
/// Waits until signalled or for `timeout_ms` (-1: for ever). True when signalled.
bool cl_wakeup_wait(const cl_kernel *kernel, int fd, int timeout_ms);

typedef struct cl_thread cl_thread;

/// Runs `body(context)` on a new thread named `name` (at most 15 bytes, longer is cut), with every
/// signal blocked except those raised by a thread's own fault, which must reach the crash handler.
/// Unless `cpu` is -1 the thread is pinned to the `cpu`th, from 0, of the processors that this
/// process may run on (cl_cpu_count). 0 or a negated errno (EINVAL: there is no such processor).
int cl_thread_start(const char *name, int cpu, void (*body)(void *_Nullable context),
                    void *_Nullable context, cl_thread *_Nullable *_Nonnull thread);
/// Gives the calling thread the nice value 10, unless it has a higher one.
void cl_thread_lower_priority(void);
/// Waits for the thread's end and frees it.
void cl_thread_join(cl_thread *thread);
/// A number of the calling thread that no other running thread has.
uintptr_t cl_thread_self(void);
/// Processors this process may run on.
int cl_cpu_count(void);

/// Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1 in this thread and those it starts, and ignores
/// SIGPIPE: call it first in main.
void cl_signals_block(void);
/// Waits up to `timeout_ms` (-1: for ever) for one of the blocked signals. Returns its number, or
/// 0.
int cl_signals_wait(int timeout_ms);
/// Raises the soft limit of open files to the hard one and returns it.
uint64_t cl_raise_open_files(void);
/// The number of files that this process has open; 0 where /proc does not show them.
size_t cl_open_file_count(void);

/// Returns the heap's free memory to the system.
void cl_give_back_memory(void);
/// Bytes of this process that are in memory, or a negated errno. Reads /proc, which waits for no
/// disk.
int64_t cl_resident_bytes(void);

// MARK: - Byte loops

/// XORs `bytes` with the masking key `key` (its first wire byte lowest), starting `phase` bytes
/// into the key's cycle: RFC 6455, section 5.3. Uses the fastest variant that this processor has.
void cl_unmask(uint8_t *bytes, size_t count, uint32_t key, size_t phase);
/// The scalar twin of cl_unmask.
void cl_unmask_scalar(uint8_t *bytes, size_t count, uint32_t key, size_t phase);

/// The state of an incremental UTF-8 validation between two pieces. Zero it to begin.
typedef struct cl_utf8 {
  uint32_t state;
} cl_utf8;

/// Validates the next piece. False as soon as the bytes so far cannot begin valid UTF-8 (RFC 3629):
/// also when the piece ends inside a character that can no longer become valid.
bool cl_utf8_feed(cl_utf8 *utf8, const uint8_t *bytes, size_t count);
/// The scalar twin of cl_utf8_feed: one table-driven step a byte.
bool cl_utf8_feed_scalar(cl_utf8 *utf8, const uint8_t *bytes, size_t count);
/// True when no character is left unfinished.
bool cl_utf8_complete(const cl_utf8 *utf8);

#pragma clang assume_nonnull end
