// A server on loopback, each of its connections on a thread that runs the test's script.

import Broadcast
import Glibc

@testable import Reactor

/// One accepted connection, used by the thread of its script.
final class ScriptedPeer {
  private let descriptor: Int32
  private var received: [UInt8] = []

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  /// The next request, head and body; nil at the end of the connection.
  func readRequest() -> String? {
    let end = Array("\r\n\r\n".utf8)
    while true {
      if let head = received.firstRange(of: end) {
        let text = String(decoding: received[..<head.upperBound], as: UTF8.self).lowercased()
        let length = text.firstMatch(of: /content-length: (\d+)/).flatMap { Int($0.1) } ?? 0
        if received.count >= head.upperBound + length {
          defer { received.removeFirst(head.upperBound + length) }
          return String(decoding: received.prefix(head.upperBound + length), as: UTF8.self)
        }
      }
      guard receive() else { return nil }
    }
  }

  /// Waits until the client closes the connection.
  func waitForEnd() {
    while receive() {}
  }

  /// Sends text; false when the connection has ended.
  @discardableResult
  func send(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    var sent = 0
    while sent < bytes.count {
      let rest = Array(bytes[sent...])
      let count = Glibc.send(descriptor, rest, rest.count, Int32(MSG_NOSIGNAL))
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// Answers with a status, fields and a body of known length.
  func answer(_ status: Int, _ fields: String = "", body: String = "") {
    send("HTTP/1.1 \(status) X\r\n\(fields)Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
  }

  /// Waits until a byte could be received, or for this time; false after that time.
  func waitForInput(milliseconds: Int32) -> Bool {
    var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&polled, 1, milliseconds) > 0
  }

  private func receive() -> Bool {
    var bytes = [UInt8](repeating: 0, count: 16_384)
    let count = recv(descriptor, &bytes, bytes.count, 0)
    guard count > 0 else { return false }
    received += bytes[..<count]
    return true
  }
}

/// Listens on loopback until it is deinitialised.
final class ScriptedServer: Sendable {
  /// Runs for each connection, which is closed after it.
  typealias Script = @Sendable (ScriptedPeer) -> Void

  private struct State {
    var connectionCount = 0
    /// Descriptors of connections that are open.
    var open: Set<Int32> = []
    var threads: [Thread] = []
    var isStopping = false
  }

  let port: UInt16
  private let listener: Listener
  private let state: Guarded<State>
  private let acceptor: Thread

  init(host: String = "127.0.0.1", port: UInt16 = 0, _ script: @escaping Script) {
    do {
      let listener = try Listener(kernel: .real, host: host, port: port)
      let state = Guarded(State())
      self.listener = listener
      self.port = listener.port
      self.state = state
      acceptor = try Thread(name: "acceptor") {
        ScriptedServer.accept(listener.fd, state, script)
      }
    } catch {
      preconditionFailure("\(error)")
    }
  }

  deinit {
    state.withLock { $0.isStopping = true }
    _ = Glibc.shutdown(listener.fd, Int32(SHUT_RDWR))
    acceptor.join()
    _ = Glibc.close(listener.fd)
    let threads = state.withLock { state in
      for descriptor in state.open { _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) }
      return state.threads
    }
    for thread in threads { thread.join() }
  }

  /// Connections accepted until now.
  var connectionCount: Int { state.withLock { $0.connectionCount } }

  func url(_ target: String = "/", host: String = "127.0.0.1") -> String {
    "http://\(host):\(port)\(target)"
  }

  private static func accept(
    _ listener: Int32, _ state: Guarded<State>, _ script: @escaping Script
  ) {
    while true {
      var polled = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
      guard poll(&polled, 1, -1) > 0 else { continue }
      let descriptor = Glibc.accept(listener, nil, nil)
      if state.withLock({ $0.isStopping }) {
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
        return
      }
      guard descriptor >= 0 else { continue }
      state.withLock {
        $0.connectionCount += 1
        $0.open.insert(descriptor)
      }
      let thread = try? Thread(name: "script") {
        script(ScriptedPeer(descriptor))
        state.withLock { _ = $0.open.remove(descriptor) }
        _ = Glibc.close(descriptor)
      }
      if let thread { state.withLock { $0.threads.append(thread) } }
    }
  }
}
