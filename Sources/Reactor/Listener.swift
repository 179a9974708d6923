// A listening socket before an acceptor owns it.

internal import CReactor

/// A listening socket that no poller watches yet.
package struct Listener: Sendable {
  /// Its descriptor.
  package let fd: Int32
  /// The port it is bound to.
  package let port: UInt16

  /// Binds and listens; `isFurther` shares the port with another listener of this process.
  package init(
    kernel: Kernel, host: String, port: UInt16, isFurther: Bool = false
  ) throws(SystemError) {
    let result =
      isFurther
      ? unsafe cl_listen_beside(kernel.table, host, port, 4_096)
      : unsafe cl_listen(kernel.table, host, port, 4_096)
    fd = try SystemError.check(result, "listen")
    do throws(SystemError) {
      let port = try SystemError.check(unsafe cl_local_port(kernel.table, fd), "getsockname")
      self.port = UInt16(truncatingIfNeeded: port)
    } catch {
      // guard: failed-listener-closed
      kernel.close(fd)
      throw error
    }
  }
}
