// Receivers that answer in every way: each has an outcome, none is trusted.

import Broadcast
import Channels
import Reactor
import Testing

@Suite("An outgoing request and its receiver")
struct ReceiverTests {
  /// A receiver's answer to one request, after which it closes the connection, and its outcome.
  struct Case: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let answer: String
    let outcome: OutgoingOutcome

    init(_ name: String, _ answer: String, _ outcome: OutgoingOutcome) {
      testDescription = name
      self.answer = answer
      self.outcome = outcome
    }
  }

  private static let ok = "HTTP/1.1 200 OK\r\n"
  private static let digits = String(repeating: "9", count: 300)

  static let cases: [Case] = [
    Case("no content", "HTTP/1.1 204 No Content\r\n\r\n", .answer(204)),
    Case("a body until the end", "\(ok)\r\nabc", .answer(200, "abc")),
    Case("an answer of HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nabc", .answer(200, "abc")),
    Case(
      "chunks", "\(ok)Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      .answer(200, "abc")),
    Case("an interim answer", "HTTP/1.1 103 X\r\nRetry-After: 5\r\n\r\n\(ok)\r\n", .answer(200)),
    Case("an error", "HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops", .answer(500, "oops")),
    Case("gone", "HTTP/1.1 410 X\r\nContent-Length: 0\r\n\r\n", .answer(410)),
    Case(
      "a redirect", "HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
      .answer(302)),
    Case(
      "a delay", "HTTP/1.1 429 X\r\nretry-AFTER: \t7 \r\nContent-Length: 0\r\n\r\n",
      .answer(429, retryAfter: 7)),
    Case(
      "a delay of 300 digits", "HTTP/1.1 503 X\r\nRetry-After: \(digits)\r\n\r\n",
      .answer(503, retryAfter: 86_400)),
    Case(
      "a delay in the trailers",
      "\(ok)Transfer-Encoding: chunked\r\n\r\n0\r\nRetry-After: 9\r\n\r\n", .answer(200)),
    Case(
      "a length that is too large", "\(ok)Content-Length: 9\r\n\r\nabc",
      .answer(200, "abc", isComplete: false)),
    Case("a length that is too small", "\(ok)Content-Length: 2\r\n\r\nabc", .answer(200, "ab")),
    Case(
      "a length of 300 digits", "\(ok)Content-Length: \(digits)\r\n\r\nabc",
      .answer(200, "abc")),
    Case("a negative length", "\(ok)Content-Length: -5\r\n\r\nabc", .failed(.malformedAnswer)),
    Case(
      "no chunk", "\(ok)Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
      .answer(200, isComplete: false)),
    Case(
      "a chunk of 300 digits", "\(ok)Transfer-Encoding: chunked\r\n\r\n\(digits)\r\nabc",
      .answer(200, isComplete: false)),
    Case(
      "an end within a chunk", "\(ok)Transfer-Encoding: chunked\r\n\r\n9\r\nabc",
      .answer(200, "abc", isComplete: false)),
    Case("nothing", "", .failed(.connectionLost)),
    Case("an end within the head", "\(ok)Content-Le", .failed(.malformedAnswer)),
    Case("no HTTP", "220 smtp.example ESMTP\r\n", .failed(.malformedAnswer)),
    Case("HTTP/0.9", "<html>", .failed(.malformedAnswer)),
    Case("a status line of HTTP/2", "HTTP/2 200\r\n\r\n", .answer(200)),
    Case("a status of 300 digits", "HTTP/1.1 \(digits) X\r\n\r\n", .failed(.malformedAnswer)),
    Case("a status of 999", "HTTP/1.1 999 X\r\n\r\n", .failed(.malformedAnswer)),
    Case("a status of 000", "HTTP/1.1 000 X\r\n\r\n", .failed(.malformedAnswer)),
    Case(
      "another protocol", "HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nabc",
      .failed(.malformedAnswer)),
    Case(
      "a flood of interim answers", String(repeating: "HTTP/1.1 102 X\r\n\r\n", count: 1_000),
      .failed(.headTooLong)),
    Case(
      "a flood of fields", ok + String(repeating: "A: b\r\n", count: 10_000),
      .failed(.headTooLong)),
    Case(
      "a long field", "\(ok)A: \(String(repeating: "b", count: 50_000))\r\n\r\n",
      .failed(.headTooLong)),
    Case(
      "a flood of trailers",
      "\(ok)Transfer-Encoding: chunked\r\n\r\n0\r\n" + String(repeating: "A: b\r\n", count: 10_000),
      .answer(200, isComplete: false)),
  ]

  @Test("each answer is an outcome", arguments: cases)
  func answers(_ example: Case) throws {
    let server = ScriptedServer { peer in
      guard peer.readRequest() != nil else { return }
      peer.send(example.answer)
    }
    #expect(try OutgoingFixture().outcome(server.url()) == example.outcome)
    #expect(server.connectionCount == 1)
  }

  @Test("a gigabyte costs 64 KiB, and 1 KiB of it is kept")
  func gigabyte() throws {
    let sentCount = Guarded(0)
    let server = ScriptedServer { peer in
      guard peer.readRequest() != nil else { return }
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
      let piece = String(repeating: "x", count: 1 << 16)
      while peer.send(piece) { sentCount.withLock { $0 += 1 } }
    }
    let outcome = try OutgoingFixture().outcome(server.url())
    #expect(outcome == .answer(200, String(repeating: "x", count: 1_024), isComplete: false))
    // The rest is in the buffers of the two sockets.
    #expect(sentCount.withLock { $0 } < 256)
  }

  @Test("a request may keep 64 KiB of the answer")
  func keptBody() throws {
    let body = String(repeating: "k", count: 64 * 1_024)
    let server = ScriptedServer { peer in
      while peer.readRequest() != nil { peer.answer(200, body: body) }
    }
    let fixture = try OutgoingFixture()
    #expect(
      try fixture.outcome(server.url(), .get, keptBodyBytes: 1 << 20) == .answer(200, body))
    #expect(
      try fixture.outcome(server.url(), .get, keptBodyBytes: 0)
        == .answer(200, isComplete: false))
  }

  @Test("a redirect is not followed")
  func redirect() throws {
    let target = ScriptedServer { peer in peer.answer(200) }
    let location = target.url("/secret")
    let server = ScriptedServer { peer in
      while peer.readRequest() != nil { peer.answer(307, "Location: \(location)\r\n") }
    }
    #expect(try OutgoingFixture().outcome(server.url()) == .answer(307))
    #expect(target.connectionCount == 0)
  }

  @Test(
    "a receiver that stalls, or sends a byte from time to time, is ended by the time-out",
    arguments: [false, true])
  func stalled(drips: Bool) throws {
    let server = ScriptedServer { peer in
      guard peer.readRequest() != nil else { return }
      if drips {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while !peer.waitForInput(milliseconds: 20) { peer.send("x") }
      } else {
        peer.waitForEnd()
      }
    }
    let outcome = try OutgoingFixture().outcome(server.url(), timeoutMilliseconds: 300)
    #expect(outcome == .failed(.timedOut))
  }

  @Test("a request has its method, target, fields and body, and nothing of its environment")
  func request() throws {
    let requests = Guarded<[String]>([])
    let server = ScriptedServer { peer in
      while let request = peer.readRequest() {
        requests.withLock { $0.append(request) }
        peer.answer(200, "Set-Cookie: a=b\r\n")
      }
    }
    let fixture = try OutgoingFixture()
    let fields = [("Content-Type", "application/json"), ("webhook-id", "msg_1"), ("X-Empty", "")]
    for _ in 0..<2 {
      try fixture.start(server.url("/a/../b?c=%20d"), fields: fields, body: "{\"a\":\u{0}1}")
      _ = try fixture.results()
    }
    try fixture.start(server.url(), .get, fields: [], body: "")
    _ = try fixture.results()
    let post = [
      "POST /a/../b?c=%20d HTTP/1.1", "Host: 127.0.0.1:\(server.port)", "User-Agent: carillon",
      "Accept: */*", "Content-Type: application/json", "webhook-id: msg_1", "X-Empty:",
      "Content-Length: 8", "", "{\"a\":\u{0}1}",
    ]
    let get = [
      "GET / HTTP/1.1", "Host: 127.0.0.1:\(server.port)", "User-Agent: carillon", "Accept: */*",
      "", "",
    ]
    #expect(requests.withLock { $0 } == [post, post, get].map { $0.joined(separator: "\r\n") })
    #expect(server.connectionCount == 1)
  }
}
