// A server on loopback with the scripted faults of a test.

import Glibc
import LoadClient
import Wire

@testable import Reactor

/// Handles the bytes that a test's server receives.
///
/// Everything runs on the server's one thread, so a handler needs no lock.
protocol LoopbackHandler: AnyObject {
  /// `bytes` holds all bytes of the peer that `peer.consume` has not removed.
  func receive(_ bytes: [UInt8], from peer: LoopbackPeer)
}

/// One accepted connection, on the server's thread.
final class LoopbackPeer {
  let descriptor: Int32
  var received: [UInt8] = []
  private(set) var isOpen = true

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  func send(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count, isOpen {
      let rest = Array(bytes[sent...])
      let count = Glibc.send(descriptor, rest, rest.count, Int32(MSG_NOSIGNAL))
      guard count > 0 else { return close() }
      sent += count
    }
  }

  func send(_ text: String) { send(Array(text.utf8)) }

  func consume(_ count: Int) { received.removeFirst(count) }

  func close() {
    guard isOpen else { return }
    isOpen = false
    _ = Glibc.close(descriptor)
  }
}

/// Listens on loopback until it is deinitialised.
final class LoopbackServer {
  let url: ServerURL
  private let stop: Wakeup
  private let thread: Thread

  init(_ handler: @escaping @Sendable () -> any LoopbackHandler) {
    do {
      let listener = try Listener(kernel: .real, host: "127.0.0.1", port: 0)
      let stop = try Wakeup()
      url = ServerURL(numericHost: "127.0.0.1", port: listener.port)
      self.stop = stop
      thread = try Thread(name: "loopback") {
        LoopbackLoop(listener: listener.fd, stop: stop.descriptor, handler: handler).run()
      }
    } catch {
      preconditionFailure("\(error)")
    }
  }

  deinit {
    stop.signal()
    thread.join()
  }
}

private final class LoopbackLoop {
  private let listener: Int32
  private let stop: Int32
  private let handler: () -> any LoopbackHandler

  init(listener: Int32, stop: Int32, handler: @escaping () -> any LoopbackHandler) {
    self.listener = listener
    self.stop = stop
    self.handler = handler
  }

  func run() {
    let handler = handler()
    var peers: [LoopbackPeer] = []
    var scratch = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      var polled = [listener, stop].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      polled += peers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
      guard poll(&polled, nfds_t(polled.count), -1) > 0 else { continue }
      if polled[1].revents != 0 { break }
      for (peer, entry) in zip(peers, polled.dropFirst(2)) where entry.revents != 0 && peer.isOpen {
        let count = recv(peer.descriptor, &scratch, scratch.count, 0)
        if count <= 0 {
          peer.close()
        } else {
          peer.received += scratch[..<count]
          handler.receive(peer.received, from: peer)
        }
      }
      if polled[0].revents != 0 {
        let accepted = accept(listener, nil, nil)
        if accepted >= 0 { peers.append(LoopbackPeer(accepted)) }
      }
      peers.removeAll { !$0.isOpen }
    }
    for peer in peers { peer.close() }
    _ = Glibc.close(listener)
  }
}

extension [UInt8] {
  /// The end of the first head; nil when it is incomplete.
  var headEnd: Int? {
    firstRange(of: Array("\r\n\r\n".utf8))?.upperBound
  }

  func contains(_ text: String) -> Bool { firstRange(of: Array<UInt8>(text.utf8)) != nil }
}

let switchingProtocols =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
  + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
