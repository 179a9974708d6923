// The signals that end a program or ask it for something.

internal import CReactor

/// SIGTERM, SIGINT, SIGHUP and SIGUSR1, which are waited for and never handled.
package enum Signals {
  /// Blocks them in this thread and those that it starts, and ignores SIGPIPE.
  ///
  /// Call it before the first thread starts.
  package static func block() { cl_signals_block() }

  /// Waits up to a time (-1: for ever) for one of them; nil when none came.
  package static func wait(timeoutMilliseconds: Int32) -> Int32? {
    let signal = cl_signals_wait(timeoutMilliseconds)
    return signal == 0 ? nil : signal
  }
}
