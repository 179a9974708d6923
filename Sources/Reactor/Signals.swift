// The signals that end a program or request an action from it.

internal import CReactor
internal import Glibc

/// SIGTERM, SIGINT, SIGHUP and SIGUSR1: blocked and waited for, without handlers.
package enum Signals {
  /// Blocks them in this thread and the threads that it starts, and ignores SIGPIPE.
  ///
  /// Call it before the first thread starts.
  package static func block() { cl_signals_block() }

  /// Ignores SIGPIPE alone: a write to a pipe without a reader fails with EPIPE.
  package static func ignoreBrokenPipes() { _ = signal(SIGPIPE, SIG_IGN) }

  /// Waits up to a time (-1: without limit) for one of them; nil when none arrives.
  package static func wait(timeoutMilliseconds: Int32) -> Int32? {
    let signal = cl_signals_wait(timeoutMilliseconds)
    return signal == 0 ? nil : signal
  }

  /// Whether a blocked signal that asks a program to end has arrived: SIGINT (Ctrl-C), SIGTERM or
  /// SIGHUP.
  ///
  /// Waits up to a time for one, and takes it.
  package static func endIsRequested(within timeoutMilliseconds: Int32 = 0) -> Bool {
    let signal = wait(timeoutMilliseconds: timeoutMilliseconds)
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP
  }
}
