// A listening socket in a poller.

internal import CReactor
internal import Glibc

/// A listening socket that pauses when the machine runs out of a resource.
@safe package final class Acceptor: @unchecked Sendable {
  // Sendable so that it can be created before its thread: after the start only that one thread
  // calls it.

  /// The longest pause after the machine ran out of a resource.
  package static let pauseMillisecondsLimit = Int(CL_ACCEPT_PAUSE_LIMIT_MS)
  /// Connections that failed in the queue, skipped in one call.
  package static let skipLimit = Int(CL_ACCEPT_SKIP_LIMIT)

  private let raw: OpaquePointer
  /// The C object refers to the poller's C object, so the poller must outlive it.
  private let poller: Poller

  /// Adds the listening `fd` to `poller` under (`slot`, 0) and owns it from then on.
  ///
  /// If it throws, `fd` is still the caller's.
  ///
  /// `unsentBytesLimit` bounds the bytes that the kernel accepts for a connection beyond those that
  /// it may send now (TCP_NOTSENT_LOWAT).
  package init(
    poller: Poller, kernel: Kernel, fd: Int32, slot: UInt32, userTimeoutMilliseconds: UInt32,
    unsentBytesLimit: UInt32
  ) throws(SystemError) {
    _ = try SystemError.check(
      unsafe cl_limit_unsent(kernel.table, fd, unsentBytesLimit), "setsockopt")
    var made: OpaquePointer?
    _ = try SystemError.check(
      unsafe cl_acceptor_create(poller.raw, fd, slot, 0, userTimeoutMilliseconds, &made),
      "epoll_ctl")
    unsafe raw = unsafe made!
    self.poller = poller
  }

  deinit { unsafe cl_acceptor_destroy(raw) }

  /// A new connection's descriptor, or a negated errno: see cl_acceptor_accept.
  package func accept(now: UInt64, peer: inout PeerAddress) -> Int32 {
    unsafe cl_acceptor_accept(raw, now, &peer.raw)
  }

  /// The same, but it does not pause when files have run out.
  ///
  /// The caller may close a file and accept again.
  package func tryAccept(now: UInt64, peer: inout PeerAddress) -> Int32 {
    unsafe cl_acceptor_try_accept(raw, now, &peer.raw)
  }

  /// Whether accepting returned `result` because the process or the machine is out of files.
  package static func isOutOfFiles(_ result: Int32) -> Bool {
    result == -EMFILE || result == -ENFILE
  }

  /// Milliseconds until `resume` is due; -1 when the acceptor is not paused.
  package func timeout(now: UInt64) -> Int32 { unsafe cl_acceptor_timeout(raw, now) }
  /// Accepts again when the pause is over.
  package func resume(now: UInt64) { unsafe cl_acceptor_resume(raw, now) }
  /// The number of pauses.
  package var pauses: UInt64 { unsafe cl_acceptor_pauses(raw) }
}
