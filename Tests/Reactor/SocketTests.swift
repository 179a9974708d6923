// Connections over loopback with only this target: listener, acceptor, send and receive.

import Glibc
import Reactor
import Testing

@Suite("Listener, acceptor and sockets")
struct SocketTests {
  /// Both ends of a connection over loopback.
  private struct Pair {
    let poller: Poller
    let acceptor: Acceptor
    let client: Int32
    let server: Int32
    let peer: PeerAddress

    init() throws {
      let kernel = Kernel.real
      let listener = try Listener(kernel: kernel, host: "127.0.0.1", port: 0)
      poller = try Poller()
      acceptor = try Acceptor(
        poller: poller, kernel: kernel, fd: listener.fd, slot: 7, userTimeoutMilliseconds: 0,
        unsentBytesLimit: 1 << 20)
      client = try kernel.connect(to: "127.0.0.1", port: listener.port)
      #expect(try poller.wait(timeoutMilliseconds: 10_000) == 1)
      #expect(poller.event(0).slot == 7)
      var peer = PeerAddress()
      server = acceptor.accept(now: kernel.monotonicMilliseconds, peer: &peer)
      try #require(server >= 0)
      self.peer = peer
    }

    func close() {
      Kernel.real.close(client)
      Kernel.real.close(server)
    }
  }

  @Test("an accepted connection has the peer's address, and an empty queue returns EAGAIN")
  func accepting() throws {
    let pair = try Pair()
    defer { pair.close() }
    #expect(pair.peer.text == "127.0.0.1")
    #expect(pair.peer.isLoopback)
    #expect(Kernel.real.connectFailure(pair.client) == nil)
    var other = PeerAddress()
    let now = Kernel.real.monotonicMilliseconds
    #expect(pair.acceptor.accept(now: now, peer: &other) == -EAGAIN)
    #expect(pair.acceptor.pauses == 0)
    #expect(pair.acceptor.timeout(now: now) == -1)
  }

  @Test("every send and receive call transfers bytes, and then end of stream")
  func transfer() throws {
    let pair = try Pair()
    defer { pair.close() }
    let kernel = Kernel.real
    try pair.poller.add(pair.server, .readable, slot: 1)
    #expect(kernel.send(pair.client, Array("..abc".utf8), from: 2) == 3)
    _ = try pair.poller.wait(timeoutMilliseconds: 10_000)
    let scratch = ScratchBuffer(byteCount: 16)
    #expect(kernel.receive(pair.server, into: scratch, at: 4, limit: 12) == 3)
    #expect(scratch.array(from: 4, to: 7) == Array("abc".utf8))
    #expect(kernel.receive(pair.server, into: scratch, at: 0, limit: 16) == -Int(EAGAIN))

    let (first, second) = (Array("de".utf8), Array("f".utf8))
    let sent = first.withUnsafeBytes { first in
      second.withUnsafeBytes { kernel.send(pair.client, first, $0) }
    }
    #expect(sent == 3)
    kernel.shutdownWrite(pair.client)
    _ = try pair.poller.wait(timeoutMilliseconds: 10_000)
    var received = [UInt8](repeating: 0, count: 5)
    #expect(kernel.receive(pair.server, into: &received, at: 1) == 3)
    #expect(received == [0] + first + second + [0])
    #expect(kernel.receive(pair.server, into: &received, at: 0) == 0)
  }

  @Test("an acceptor keeps its poller alive")
  func lifetime() throws {
    var poller: Poller? = try Poller()
    weak let watched = poller
    let listener = try Listener(kernel: .real, host: "127.0.0.1", port: 0)
    var acceptor: Acceptor? = try Acceptor(
      poller: try #require(poller), kernel: .real, fd: listener.fd, slot: 0,
      userTimeoutMilliseconds: 0, unsentBytesLimit: 1 << 20)
    poller = nil
    #expect(watched != nil)
    #expect(acceptor?.pauses == 0)
    acceptor = nil
    #expect(watched == nil)
  }

  @Test("a second listener on a port fails unless it shares the port")
  func listening() throws {
    let first = try Listener(kernel: .real, host: "127.0.0.1", port: 0)
    defer { Kernel.real.close(first.fd) }
    let error = #expect(throws: SystemError.self) {
      _ = try Listener(kernel: .real, host: "127.0.0.1", port: first.port)
    }
    #expect(error?.code == EADDRINUSE)
    let further = try Listener(
      kernel: .real, host: "127.0.0.1", port: first.port, isFurther: true)
    Kernel.real.close(further.fd)
    #expect(further.port == first.port)
  }

  @Test("sending or receiving outside an array is a programming error")
  func bounds() async {
    await #expect(processExitsWith: .failure) { _ = Kernel.real.send(0, [1, 2], from: 2) }
    await #expect(processExitsWith: .failure) { _ = Kernel.real.send(0, [1, 2], from: -1) }
    await #expect(processExitsWith: .failure) {
      var bytes: [UInt8] = [1, 2]
      _ = Kernel.real.receive(0, into: &bytes, at: 2)
    }
  }
}
