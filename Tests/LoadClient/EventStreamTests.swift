// Reading event streams: WHATWG HTML, section 9.2.6, and a server that closes the connection.

import Testing
import Wire

@testable import LoadClient

@Suite("WHATWG HTML, 9.2.6: reading an event stream")
struct EventStreamParserTests {
  private static let cases: [(stream: String, events: [String])] = [
    ("data: a\n\n", ["a"]), ("data:a\n\ndata:  b\n\n", ["a", " b"]),
    ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["a", "b", "c"]),
    ("data: a\ndata\ndata: b\n\n", ["a\n\nb"]), ("data\n\n", [""]),
    ("data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
    ("id: 7\nevent: x\nretry: 5000\n\n: comment\n\n", []),
    ("id: 7\ndata: a\nevent: x\n\n", ["a"]), ("dat: a\n\ndata : b\n\n data: c\n\n", []),
    ("data: not ended\n", []), ("\n\n\ndata: a\n\n\n\n", ["a"]),
    ("data: é\u{2028}\n\n", ["é\u{2028}"]),
  ]

  private func events(of pieces: [ArraySlice<UInt8>]) -> [String] {
    var parser = EventStreamParser()
    var events: [String] = []
    for piece in pieces {
      let fits = parser.append(piece)
      #expect(fits)
      while let event = parser.next() { events.append(event.data) }
    }
    return events
  }

  @Test("the events are the same whole, byte by byte and split at each point", arguments: cases)
  func splits(stream: String, expected: [String]) {
    let bytes = Array(stream.utf8)
    #expect(events(of: [bytes[...]]) == expected)
    #expect(events(of: bytes.indices.map { bytes[$0...$0] }) == expected)
    for point in bytes.indices {
      #expect(events(of: [bytes[..<point], bytes[point...]]) == expected, "split at \(point)")
    }
  }

  private static let positions: [(stream: String, ids: [String?], last: String?, retry: Int?)] = [
    ("data: a\n\n", [nil], nil, nil),
    ("id: 7\ndata: a\n\ndata: b\n\n", ["7", nil], "7", nil),
    ("data: a\nid:8\nid: 9\n\n", ["9"], "9", nil), ("id: 7\n\n", [], "7", nil),
    ("id: 7\ndata: a\n\nid\ndata: b\n\n", ["7", ""], "", nil),
    ("id: 7\ndata: a\n\nid: 8\ndata: not ended\n", ["7"], "7", nil),
    ("id: 7\n\nid: a\u{0}b\ndata: c\n\n", [nil], "7", nil),
    ("retry: 5000\nid: 7\ndata: a\n\n", ["7"], "7", 5_000),
    ("retry: 1\nretry: +2\nretry: -3\nretry: 4s\nretry:\n", [], nil, 1),
    ("retry: 1\nretry: 99999999999999999999\n", [], nil, 1),
  ]

  @Test("each event has its id, and the last id and the delay are kept", arguments: positions)
  func position(stream: String, ids: [String?], last: String?, retry: Int?) {
    var parser = EventStreamParser()
    for byte in stream.utf8 {
      let fits = parser.append([byte])
      #expect(fits)
    }
    var found: [String?] = []
    while let event = parser.next() { found.append(event.id) }
    #expect(found == ids)
    #expect(parser.lastID == last)
    #expect(parser.retryMilliseconds == retry)
  }

  @Test("an event may be as long as the limit and no longer, on one line or several")
  func limit() {
    for stream in ["data: 123456\n\n", "data: 12\ndata: 3456\n\n"] {
      for (limit, expected) in [(12, true), (11, false)] {
        var parser = EventStreamParser(eventBytesLimit: limit)
        let fits = parser.append(stream.utf8)
        #expect(fits == expected, "\(limit) bytes")
      }
    }
  }

  @Test("earlier events do not count towards the limit of an event")
  func limitOfEach() {
    var parser = EventStreamParser(eventBytesLimit: 12)
    for _ in 0..<10 {
      let fits = parser.append("data: 123456\n\n".utf8)
      #expect(fits)
    }
  }
}

/// Answers the first request with a scripted text, and then closes the connection if `closes`.
private final class StreamHandler: LoopbackHandler {
  private let answer: String
  private let closes: Bool

  init(_ answer: String, closes: Bool) {
    self.answer = answer
    self.closes = closes
  }

  func receive(_ bytes: [UInt8], from peer: LoopbackPeer) {
    guard let headEnd = peer.received.headEnd else { return }
    let isAsked = peer.received.contains("Accept: text/event-stream")
    peer.consume(headEnd)
    peer.send(isAsked ? answer : "HTTP/1.1 406 Not Acceptable\r\nContent-Length: 0\r\n\r\n")
    if closes { peer.close() }
  }
}

@Suite("The command's client of event streams")
struct EventStreamClientTests {
  private static let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"

  private func client(_ answer: String, closes: Bool = false) throws -> (
    EventStreamClient, LoopbackServer
  ) {
    let server = LoopbackServer { StreamHandler(answer, closes: closes) }
    return (try EventStreamClient(to: server.url, target: "/events"), server)
  }

  @Test(
    "events are returned, with or without chunked encoding, and then the end of the stream",
    arguments: [
      head + "\r\nretry: 1\n\ndata: a\n\ndata: b\n\n",
      head + "Transfer-Encoding: chunked\r\n\r\n7\r\ndata: a\r\n4\r\n\n\nda\r\n8\r\nta: b\n\n:\r\n"
        + "0\r\n\r\n",
    ])
  func events(answer: String) throws {
    let (client, server) = try client(answer, closes: true)
    #expect(try client.receive(timeoutMilliseconds: 5_000)?.data == "a")
    #expect(try client.receive(timeoutMilliseconds: 5_000)?.data == "b")
    #expect(throws: ClientError.closedByServer) { try client.receive(timeoutMilliseconds: 5_000) }
    withExtendedLifetime(server) {}
  }

  @Test("a timeout without an event returns nil, not an error")
  func patience() throws {
    let (client, server) = try client(Self.head + "\r\ndata: unfinished\n")
    #expect(try client.receive(timeoutMilliseconds: 10) == nil)
    withExtendedLifetime(server) {}
  }

  @Test("the error of a rejected stream contains the status")
  func refusal() {
    #expect(throws: ClientError.refused(status: 401)) {
      try client("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    }
  }

  @Test("an answer that is not an event stream is an error")
  func somethingElse() {
    #expect(throws: ClientError.malformed("an answer that is not an event stream")) {
      try client("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n")
    }
  }
}
