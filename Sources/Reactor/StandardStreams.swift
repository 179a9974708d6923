// The standard descriptors of a process, 0 to 2.

internal import Glibc

/// Standard input, standard output and standard error.
package enum StandardStreams {
  /// Opens a stand-in for each that the parent process has closed.
  ///
  /// Otherwise the next socket or database would be opened under a standard descriptor, and a
  /// printed line would be written into it. Using a stand-in fails with EBADF, as on the closed
  /// descriptor. Call it before any other file is opened.
  package static func reserveClosed() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // open returns the lowest free descriptor, which is this one: the lower ones are open.
      _ = unsafe open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
    }
  }
}
