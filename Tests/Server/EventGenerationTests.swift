// An event that outlives its connection: in one batch of epoll an early event closes a connection,
// another connection gets its descriptor and its slot, and a later event is still for the closed
// one.

import CReactor
import Glibc
import Testing
import Tokens

@testable import Reactor
@testable import Server

/// The state of the scripted kernel.
///
/// One test uses it, and only its shard's thread.
private struct Script {
  /// The event of the last connection that had one.
  var stale: epoll_event?
  /// How often a stale event was added to a batch.
  var injected = 0
}
// Confined to the thread of the one shard, until that thread ends.
nonisolated(unsafe) private var script = Script()
// Immutable after start.
nonisolated(unsafe) private let real = cl_kernel_real().pointee

/// The real kernel, but each accept is followed by a hang-up with the slot and generation of the
/// connection before.
// Immutable after start.
nonisolated(unsafe) private let scripted: UnsafePointer<cl_kernel> = {
  var table = real
  table.epoll_wait = { context, epoll, events, capacity, timeout in
    let count = real.epoll_wait(context, epoll, events, capacity, timeout)
    guard count > 0, count < capacity else { return count }
    var hasArrival = false
    for index in 0..<Int(count) {
      let slot = UInt32(truncatingIfNeeded: events[index].data.u64)
      if events[index].data.u64 == .max { continue }
      if slot == ShardView.listenerSlot {
        hasArrival = true
      } else {
        script.stale = events[index]
      }
    }
    guard hasArrival, var stale = script.stale else { return count }
    stale.events = UInt32(EPOLLHUP.rawValue)
    events[Int(count)] = stale
    script.injected += 1
    return count + 1
  }
  let pointer = UnsafeMutablePointer<cl_kernel>.allocate(capacity: 1)
  pointer.initialize(to: table)
  return UnsafePointer(pointer)
}()

@Suite("Events carry a generation", .serialized)
struct EventGenerationTests {
  // Case 61
  @Test func `a late event of a closed connection does not touch the next one in its slot`() throws
  {
    var configuration = Configuration(
      tokenPolicy: TokenPolicy(keys: [.hmac(secret: Array("a secret of the test's".utf8))]))
    configuration.port = 0
    let server = try CarillonServer(configuration, kernel: Kernel(table: scripted))
    defer { server.stop() }
    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    let rounds = 200
    for round in 0..<rounds {
      let socket = try #require(LoopbackSocket(port: server.port))
      #expect(socket.send(request), "round \(round)")
      // The event of an earlier round comes right after this connection's arrival, with its slot:
      // without the generation check a server would read and answer early, or drop the new one.
      let answer = socket.receiveAll()
      #expect(answer.hasPrefix("HTTP/1.1 200"), "round \(round): \(answer)")
      socket.close()
      // A slot is free only after the turn in which its connection has ended.
      #expect(Self.isIdle(server), "round \(round)")
    }
    #expect(script.injected > rounds / 2)
  }

  /// Waits until the server has no connection; false if it has one after 20 seconds.
  private static func isIdle(_ server: CarillonServer) -> Bool {
    let end = Kernel.real.monotonicMilliseconds + 20_000
    while server.core.metrics.total(.connections) > 0 {
      guard Kernel.real.monotonicMilliseconds < end else { return false }
      Kernel.real.pause()
    }
    return true
  }
}

/// A blocking client on loopback.
struct LoopbackSocket {
  private let fd: Int32

  init?(port: UInt16) {
    fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { return nil }
  }

  /// Sends all of `text`.
  func send(_ text: String) -> Bool {
    Glibc.send(fd, text, text.utf8.count, Int32(MSG_NOSIGNAL)) == text.utf8.count
  }

  /// Everything until the server's end of stream.
  func receiveAll() -> String {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = recv(fd, &buffer, buffer.count, 0)
      guard count > 0 else { break }
      all.append(contentsOf: buffer[..<count])
    }
    return String(decoding: all, as: UTF8.self)
  }

  func close() { _ = Glibc.close(fd) }
}
