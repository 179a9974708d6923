// Many requests at a time, their bounds and their ends.

import Broadcast
import Glibc
import Reactor
import Testing

@testable import Channels

@Suite("Outgoing requests at a time")
struct TransferTests {
  private static func quick() -> ScriptedServer {
    ScriptedServer { peer in
      while peer.readRequest() != nil { peer.answer(200) }
    }
  }

  @Test("a thousand requests, 64 at a time, share the connections of one host")
  func thousand() throws {
    let server = Self.quick()
    let fixture = try OutgoingFixture()
    var started: UInt64 = 0
    var answered: Set<UInt64> = []
    while answered.count < 1_000 {
      while started < 1_000, started - UInt64(answered.count) < 64 {
        started += 1
        try fixture.start(server.url(), id: started)
      }
      for (id, outcome) in try fixture.results() {
        #expect(outcome == .answer(200))
        #expect(answered.insert(id).inserted)
      }
    }
    #expect(server.connectionCount <= OutgoingLimits.hostConnectionCountLimit)
    #expect(fixture.client.freeCount == OutgoingLimits.transferCountLimit)
  }

  @Test("a stalled host delays no other")
  func stalledHost() throws {
    let stalled = ScriptedServer { peer in peer.waitForEnd() }
    let quick = Self.quick()
    let fixture = try OutgoingFixture()
    for id in 1...UInt64(64) { try fixture.start(stalled.url(), id: id) }
    for id in 65...UInt64(128) { try fixture.start(quick.url(), id: id) }
    let outcomes = try fixture.results(64)
    #expect(outcomes.keys.sorted() == Array(65...128))
    #expect(outcomes.values.allSatisfy { $0 == .answer(200) })
    #expect(stalled.connectionCount <= OutgoingLimits.hostConnectionCountLimit)
  }

  @Test("a request that waits for a connection of a stalled host ends at its time, too")
  func queuedDeadline() throws {
    let stalled = ScriptedServer { peer in peer.waitForEnd() }
    var limits = OutgoingLimits()
    limits.hostConnections = 1
    let fixture = try OutgoingFixture(limits: limits)
    try fixture.start(stalled.url(), id: 1)
    for id in 2...UInt64(3) { try fixture.start(stalled.url(), id: id, timeoutMilliseconds: 200) }
    #expect(try fixture.results(2) == [2: .failed(.timedOut), 3: .failed(.timedOut)])
    #expect(stalled.connectionCount == 1)
  }

  @Test("no more requests are accepted than may be in flight")
  func bounded() throws {
    let stalled = ScriptedServer { peer in peer.waitForEnd() }
    var limits = OutgoingLimits()
    limits.transfers = 2
    let fixture = try OutgoingFixture(limits: limits)
    let request = try OutgoingRequest(.get, Destination(stalled.url()))
    #expect(fixture.client.start(request, id: 1) && fixture.client.start(request, id: 2))
    #expect(fixture.client.freeCount == 0)
    #expect(!fixture.client.start(request, id: 3))
    fixture.client.cancel(1)
    #expect(fixture.client.start(request, id: 3))
  }

  @Test("a cancelled request closes its connection and has no result")
  func cancelled() throws {
    let requests = Guarded(0)
    let ends = Guarded(0)
    let server = ScriptedServer { peer in
      _ = peer.readRequest()
      requests.withLock { $0 += 1 }
      peer.waitForEnd()
      ends.withLock { $0 += 1 }
    }
    let fixture = try OutgoingFixture()
    try fixture.start(server.url(), id: 1)
    try fixture.turn { requests.withLock { $0 } == 1 }
    fixture.client.cancel(1)
    let results = try fixture.turn { ends.withLock { $0 } == 1 }
    #expect(results == [])
    #expect(fixture.client.freeCount == OutgoingLimits.transferCountLimit)
  }

  @Test("a request that waits for a connection does not leave after it was cancelled")
  func cancelledWhileQueued() throws {
    let targets = Guarded<[Substring]>([])
    let mayAnswer = Guarded(false)
    let server = ScriptedServer { peer in
      while let request = peer.readRequest() {
        targets.withLock { $0.append(request.split(separator: " ")[1]) }
        while !mayAnswer.withLock({ $0 }) { Kernel.real.pause() }
        peer.answer(200)
      }
    }
    var limits = OutgoingLimits()
    limits.hostConnections = 1
    let fixture = try OutgoingFixture(limits: limits)
    for id in 1...UInt64(3) { try fixture.start(server.url("/\(id)"), id: id) }
    try fixture.turn { targets.withLock { $0.count } == 1 }
    fixture.client.cancel(2)
    mayAnswer.withLock { $0 = true }
    #expect(try fixture.results(2) == [1: .answer(200), 3: .answer(200)])
    #expect(targets.withLock { $0 } == ["/1", "/3"])
  }

  @Test("a request can be cancelled while its name is resolved, and after its end")
  func cancelledEarlyAndLate() throws {
    let isReleased = Guarded(false)
    let server = Self.quick()
    let fixture = try OutgoingFixture(lookup: { _ in
      while !isReleased.withLock({ $0 }) { Kernel.real.pause() }
      return ["127.0.0.1"]
    })
    try fixture.start(server.url(host: "a.example"), id: 1)
    fixture.client.cancel(1)
    // The id is free again, also for a request to the same name.
    try fixture.start(server.url(host: "a.example"), id: 1)
    // Its result is ready already.
    try fixture.start("http://10.0.0.1/", id: 2)
    fixture.client.cancel(2)
    fixture.client.cancel(3)
    isReleased.withLock { $0 = true }
    #expect(try fixture.results() == [1: .answer(200)])
    #expect(fixture.client.wait(milliseconds: 0) == [])
  }

  @Test("a client that is stopped closes its connections")
  func stopped() throws {
    let ends = Guarded(0)
    let requests = Guarded(0)
    let server = ScriptedServer { peer in
      _ = peer.readRequest()
      requests.withLock { $0 += 1 }
      peer.waitForEnd()
      ends.withLock { $0 += 1 }
    }
    do {
      let fixture = try OutgoingFixture()
      try fixture.start(server.url(), id: 1)
      try fixture.turn { requests.withLock { $0 } == 1 }
    }
    while ends.withLock({ $0 }) < 1 { Kernel.real.pause() }
  }

  @Test("another thread ends the wait")
  func woken() throws {
    let client = try OutgoingFixture().client
    let isDone = Guarded(false)
    let waker = try Thread(name: "waker") {
      while !isDone.withLock({ $0 }) {
        client.wake()
        Kernel.real.pause()
      }
    }
    for _ in 0..<100 { #expect(client.wait(milliseconds: -1) == []) }
    isDone.withLock { $0 = true }
    waker.join()
  }

  @Test("a kept connection that its peer has closed is replaced")
  func closedByPeer() throws {
    let server = ScriptedServer { peer in
      guard peer.readRequest() != nil else { return }
      peer.answer(200)
    }
    let fixture = try OutgoingFixture()
    for _ in 0..<20 { #expect(try fixture.outcome(server.url()) == .answer(200)) }
    #expect(server.connectionCount == 20)
  }

  @Test("a closed port is a failure")
  func closedPort() throws {
    let port = Self.quick().port
    let fixture = try OutgoingFixture()
    #expect(try fixture.outcome("http://127.0.0.1:\(port)/") == .failed(.connectFailed))
  }

  @Test("a host that accepts no connection fails after the time to connect")
  func connectTimeout() throws {
    // Its queue of connections has one place, and nothing takes them out.
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        #expect(bind(listener, $0, length) == 0 && listen(listener, 0) == 0)
        #expect(getsockname(listener, $0, &length) == 0)
      }
    }
    let port = UInt16(bigEndian: address.sin_port)
    var limits = OutgoingLimits()
    limits.connectTimeout = 200
    let fixture = try OutgoingFixture(limits: limits)
    for id in 1...UInt64(8) { try fixture.start("http://127.0.0.1:\(port)/", id: id) }
    #expect(try fixture.results().values.first == .failed(.connectTimedOut))
  }

  @Test("a receiver without TLS fails an https request")
  func noTLS() throws {
    let server = ScriptedServer { peer in
      peer.send("HTTP/1.1 200 OK\r\n\r\n")
      peer.waitForEnd()
    }
    let fixture = try OutgoingFixture()
    #expect(try fixture.outcome("https://127.0.0.1:\(server.port)/") == .failed(.tlsFailed))
  }

  @Test("a proxy of the environment is not used")
  func proxy() async {
    await #expect(processExitsWith: .success) {
      for name in ["http_proxy", "all_proxy", "ALL_PROXY"] { setenv(name, "http://127.0.0.1:1", 1) }
      // `exit` would leave the threads of the server.
      func outcome() throws -> OutgoingOutcome {
        let server = TransferTests.quick()
        return try OutgoingFixture().outcome(server.url())
      }
      exit(try outcome() == .answer(200) ? 0 : 1)
    }
  }

  @Test("a connection that ends during an upload raises no SIGPIPE")
  func brokenPipe() async {
    await #expect(processExitsWith: .success) {
      signal(SIGPIPE, SIG_DFL)
      func outcomes() throws -> [UInt64: OutgoingOutcome] {
        let server = ScriptedServer { peer in _ = peer.waitForInput(milliseconds: -1) }
        let fixture = try OutgoingFixture()
        let body = String(repeating: "u", count: 1 << 20)
        for id in 1...UInt64(16) { try fixture.start(server.url(), id: id, body: body) }
        return try fixture.results(16)
      }
      exit(try outcomes().values.allSatisfy { $0 == .failed(.connectionLost) } ? 0 : 1)
    }
  }
}

@Suite("The fields of an outgoing request")
struct OutgoingRequestTests {
  private static let destination = try! Destination("http://a.example/")

  @Test(
    "names and values that could change the message are refused",
    arguments: [
      ("", "a", .fieldName), ("a b", "c", .fieldName), ("a:", "b", .fieldName),
      ("a\r\nb", "c", .fieldName), ("ä", "b", .fieldName), ("a\u{0}", "b", .fieldName),
      ("Host", "b", .fieldName), ("content-LENGTH", "1", .fieldName),
      ("Transfer-Encoding", "chunked", .fieldName), ("Expect", "100-continue", .fieldName),
      ("Connection", "close", .fieldName), (String(repeating: "a", count: 65), "b", .fieldName),
      ("a", "b\r\nc: d", .fieldValue), ("a", "b\n", .fieldValue), ("a", "\t", .fieldValue),
      ("a", "\u{0}", .fieldValue), ("a", "ä", .fieldValue), ("a", "\u{7F}", .fieldValue),
      ("a", String(repeating: "b", count: 4_097), .fieldValue),
    ] as [(String, String, OutgoingRequestError)])
  func refused(name: String, value: String, reason: OutgoingRequestError) {
    #expect(throws: reason) {
      try OutgoingRequest(.post, Self.destination, fields: [("b", "c"), (name, value)])
    }
  }

  @Test("sizes are bounded")
  func sizes() throws {
    let fields = Array(repeating: ("a", "b"), count: 33)
    #expect(throws: OutgoingRequestError.fieldCount) {
      try OutgoingRequest(.get, Self.destination, fields: fields)
    }
    _ = try OutgoingRequest(.get, Self.destination, fields: Array(fields.dropLast()))
    let body = [UInt8](repeating: 0, count: 1_048_577)
    #expect(throws: OutgoingRequestError.bodySize) {
      try OutgoingRequest(.post, Self.destination, body: body)
    }
    let request = try OutgoingRequest(
      .post, Self.destination, timeoutMilliseconds: .max, keptBodyBytes: .max)
    #expect(request.timeoutMilliseconds == 120_000)
    #expect(request.keptBodyBytes == 65_536)
  }
}
