// Starts that fail: the error is thrown, and nothing stays open.

import CReactor
import Glibc
import Synchronization
import Testing
import Tokens

@testable import Reactor
@testable import Server

/// The real kernel, but one call of a start fails.
///
/// The threads of a server call it at the same time.
final class FailingKernel {
  private struct State {
    var callCount = 0
    var open: Set<Int32> = []
  }

  private let state = Mutex(State())
  /// The number of the call that fails; 0 for none.
  private let failingCall: Int
  private let table = UnsafeMutablePointer<cl_kernel>.allocate(capacity: 1)

  /// Calls that may fail, counted since the start.
  var callCount: Int { state.withLock { $0.callCount } }
  /// Descriptors that are open.
  var open: Set<Int32> { state.withLock { $0.open } }
  var kernel: Kernel { Kernel(table: UnsafePointer(table)) }

  init(failingCall: Int) {
    self.failingCall = failingCall
    table.initialize(to: cl_kernel_real().pointee)
    // Never freed: a server closes its last descriptor when its last thread releases it.
    table.pointee.context = Unmanaged.passRetained(self).toOpaque()
    table.pointee.socket = { context, domain, type, protocolNumber in
      FailingKernel.of(context).opening {
        cl_kernel_real().pointee.socket(nil, domain, type, protocolNumber)
      }
    }
    table.pointee.epoll_create1 = { context, flags in
      FailingKernel.of(context).opening { cl_kernel_real().pointee.epoll_create1(nil, flags) }
    }
    table.pointee.eventfd = { context, initial, flags in
      FailingKernel.of(context).opening { cl_kernel_real().pointee.eventfd(nil, initial, flags) }
    }
    table.pointee.bind = { context, fd, address, length in
      FailingKernel.of(context).call { cl_kernel_real().pointee.bind(nil, fd, address, length) }
    }
    table.pointee.listen = { context, fd, backlog in
      FailingKernel.of(context).call { cl_kernel_real().pointee.listen(nil, fd, backlog) }
    }
    table.pointee.getsockname = { context, fd, address, length in
      FailingKernel.of(context).call {
        cl_kernel_real().pointee.getsockname(nil, fd, address, length)
      }
    }
    table.pointee.setsockopt = { context, fd, level, name, value, length in
      FailingKernel.of(context).call {
        cl_kernel_real().pointee.setsockopt(nil, fd, level, name, value, length)
      }
    }
    table.pointee.epoll_ctl = { context, epoll, operation, fd, event in
      let real = cl_kernel_real().pointee
      guard operation == EPOLL_CTL_ADD else {
        return real.epoll_ctl(nil, epoll, operation, fd, event)
      }
      return FailingKernel.of(context).call { real.epoll_ctl(nil, epoll, operation, fd, event) }
    }
    table.pointee.close = { context, fd in
      // Before the call: another thread may get the same descriptor right after it.
      FailingKernel.of(context).state.withLock { _ = $0.open.remove(fd) }
      return cl_kernel_real().pointee.close(nil, fd)
    }
  }

  private static func of(_ context: UnsafeMutableRawPointer?) -> FailingKernel {
    Unmanaged<FailingKernel>.fromOpaque(context!).takeUnretainedValue()
  }

  private func call(_ real: () -> Int32) -> Int32 {
    let number = state.withLock { state in
      state.callCount += 1
      return state.callCount
    }
    return number == failingCall ? -ENOBUFS : real()
  }

  private func opening(_ real: () -> Int32) -> Int32 {
    let descriptor = call(real)
    if descriptor >= 0 { state.withLock { _ = $0.open.insert(descriptor) } }
    return descriptor
  }
}

@Suite("Failed starts")
struct FailedStartTests {
  private static var configuration: Configuration {
    var configuration = Configuration(
      tokenPolicy: TokenPolicy(keys: [.hmac(secret: ShardFixture.secret)]))
    configuration.port = 0
    configuration.furtherHosts = ["127.0.0.2"]
    configuration.shardCount = 2
    return configuration
  }

  @Test func `whichever call of the kernel fails, the start throws and closes what it opened`()
    throws
  {
    var failed = 0
    while true {
      let kernel = FailingKernel(failingCall: failed + 1)
      do {
        let server = try CarillonServer(Self.configuration, kernel: kernel.kernel)
        server.stop()
        #expect(kernel.callCount == failed)
        break
      } catch {
        #expect("\(error)".contains("No buffer space"), "call \(failed + 1): \(error)")
        try #require(kernel.open.isEmpty, "call \(failed + 1) leaves \(kernel.open) open")
      }
      failed += 1
    }
    // Four listeners, two pollers, and the threads of the store.
    #expect(failed > 30)
  }

  @Test func `a shard whose thread cannot start ends the others`() throws {
    let kernel = FailingKernel(failingCall: 0)
    var configuration = Self.configuration
    // There is no processor for the last one.
    configuration.pinsShards = true
    configuration.shardCount = Int(cl_cpu_count()) + 1
    #expect(throws: ServerError.self) {
      _ = try CarillonServer(configuration, kernel: kernel.kernel)
    }
    #expect(kernel.open.isEmpty)
  }

  @Test func `with too few open files the start throws, whichever file is the last`() async {
    await #expect(processExitsWith: .success) {
      // The runtime of Swift's concurrency opens a file for each clock at its first timer, and ends
      // the process if it may not.
      try await Task.sleep(for: .milliseconds(1), clock: .continuous)
      try await Task.sleep(for: .milliseconds(1), clock: .suspending)
      let before = FailedStartTests.openFiles()
      // The process inherits descriptors of other tests: none below the largest is left free.
      FailedStartTests.limitOpenFiles(to: nil)
      while true {
        let descriptor = dup(STDERR_FILENO)
        guard descriptor >= before else { continue }
        close(descriptor)
        break
      }
      var failed = 0
      while true {
        FailedStartTests.limitOpenFiles(to: before + failed)
        let server = try? CarillonServer(FailedStartTests.configuration)
        FailedStartTests.limitOpenFiles(to: nil)
        if let server {
          server.stop()
          precondition(failed > 15, "\(failed) files suffice")
          return
        }
        let after = FailedStartTests.openFiles()
        precondition(after == before, "\(failed) files: \(after) open after \(before)")
        failed += 1
        precondition(failed < 100)
      }
    }
  }

  /// Limits the descriptors of this process; nil allows as many as it may have.
  private static func limitOpenFiles(to count: Int?) {
    var limit = rlimit()
    precondition(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
    limit.rlim_cur = count.map { rlim_t($0) } ?? limit.rlim_max
    precondition(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
  }

  /// One more than the largest open descriptor.
  private static func openFiles() -> Int {
    guard let directory = opendir("/proc/self/fd") else { preconditionFailure("/proc/self/fd") }
    defer { closedir(directory) }
    let own = Int(dirfd(directory))
    var largest = 0
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if let number = Int(name), number != own { largest = max(largest, number) }
    }
    return largest + 1
  }
}
