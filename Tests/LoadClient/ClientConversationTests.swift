// The command's HTTP and WebSocket clients against a server that sends unusual answers.

import Testing
import Wire

@testable import LoadClient

/// Answers each request head with the next scripted text, and not at all when they are used up.
private final class ScriptHandler: LoopbackHandler {
  private var answers: [[UInt8]]
  private let echoesFrames: Bool
  private var isUpgraded = false

  init(_ answers: [[UInt8]], echoesFrames: Bool = false) {
    self.answers = answers
    self.echoesFrames = echoesFrames
  }

  func receive(_ bytes: [UInt8], from peer: LoopbackPeer) {
    if isUpgraded {
      if echoesFrames { echo(peer) }
      return
    }
    while let headEnd = peer.received.headEnd {
      isUpgraded = peer.received.contains("Upgrade: websocket")
      peer.consume(headEnd)
      if !answers.isEmpty { peer.send(answers.removeFirst()) }
    }
  }

  /// Sends the client a text with the opcode and the unmasked payload of its frame.
  private func echo(_ peer: LoopbackPeer) {
    guard let header = try? FrameHeader.parse(peer.received.span, from: .client),
      peer.received.count >= header.byteCount + header.payloadLength
    else { return }
    let end = header.byteCount + header.payloadLength
    var payload = Array(peer.received[header.byteCount..<end])
    WebSocketFrame.applyMask(header.maskingKey, to: &payload)
    peer.consume(end)
    var answer: [UInt8] = []
    if header.opcode == .close {
      WebSocketFrame.append(.close, payload: payload, into: &answer)
    } else {
      let text = "\(header.opcode) \(payload)"
      WebSocketFrame.append(.text, payload: Array(text.utf8), into: &answer)
    }
    peer.send(answer)
  }
}

@Suite("The command's clients")
struct ClientConversationTests {
  private func server(_ answers: String...) -> LoopbackServer {
    let bytes = answers.map { Array($0.utf8) }
    return LoopbackServer { ScriptHandler(bytes) }
  }

  private func webSocketServer(_ frames: [UInt8], echoesFrames: Bool = false) -> LoopbackServer {
    let answer = Array(switchingProtocols.utf8) + frames
    return LoopbackServer { ScriptHandler([answer], echoesFrames: echoesFrames) }
  }

  private func frame(
    _ opcode: WebSocketOpcode, _ text: String, isFinal: Bool = true
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    WebSocketFrame.append(opcode, payload: Array(text.utf8), isFinal: isFinal, into: &bytes)
    return bytes
  }

  @Test("pipelined requests are answered in order over one connection")
  func pipelining() throws {
    let server = server(
      "HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\na",
      "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nb")
    let connection = try HTTPConnection(to: server.url)
    try connection.send(HTTPRequest("GET", "/1"))
    try connection.send(HTTPRequest("GET", "/2"))
    let answers = [try connection.receive(), try connection.receive()]
    #expect(answers.map(\.status) == [201, 404])
    #expect(answers.map(\.body) == [[0x61], [0x62]])
  }

  @Test("waiting for an answer ends after the timeout")
  func silence() throws {
    let server = server()
    let connection = try HTTPConnection(to: server.url, timeoutMilliseconds: 50)
    #expect(throws: ClientError.timedOut("waiting for an answer")) {
      try connection.perform(HTTPRequest("GET", "/"))
    }
  }

  @Test("a port without a listener is an error with its address")
  func noListener() throws {
    let url = ServerURL(numericHost: "127.0.0.1", port: 1)
    #expect {
      try HTTPConnection(to: url)
    } throws: { error in
      "\(error)" == "cannot connect to 127.0.0.1:1: Connection refused"
    }
  }

  @Test("a fragmented message is returned whole, and a ping between its fragments is answered")
  func fragments() throws {
    let server = webSocketServer(
      frame(.text, "Hel", isFinal: false) + frame(.ping, "!")
        + frame(.continuation, "lo") + frame(.binary, "\u{1}"),
      echoesFrames: true)
    let client = try WebSocketClient(to: server.url, target: "/")
    #expect(try client.receive(timeoutMilliseconds: 5_000) == .text("Hello"))
    #expect(try client.receive(timeoutMilliseconds: 5_000) == .binary([1]))
    #expect(try client.receive(timeoutMilliseconds: 5_000) == .text("pong [33]"))
    try client.sendText("hi")
    #expect(try client.receive(timeoutMilliseconds: 5_000) == .text("text [104, 105]"))
    client.close()
  }

  @Test("a close is returned with its code and reason")
  func closing() throws {
    var bytes: [UInt8] = []
    WebSocketFrame.appendClose(code: 4002, reason: "token expired", into: &bytes)
    let server = webSocketServer(bytes)
    let client = try WebSocketClient(to: server.url, target: "/")
    #expect(
      try client.receive(timeoutMilliseconds: 5_000)
        == .closed(code: 4002, reason: "token expired"))
    #expect(throws: ClientError.closedByServer) { try client.receive(timeoutMilliseconds: 0) }
  }

  @Test("a timeout without a message returns nil, not an error")
  func patience() throws {
    let server = webSocketServer([])
    let client = try WebSocketClient(to: server.url, target: "/")
    #expect(try client.receive(timeoutMilliseconds: 10) == nil)
    client.close(timeoutMilliseconds: 10)
  }

  @Test(
    "invalid frames from a server are an error",
    arguments: [
      [0x81, 0x80, 0, 0, 0, 0],  // masked
      [0x80, 0x00],  // a continuation without a first fragment
      [0x81, 0x02, 0xC3, 0x28],  // text with invalid UTF-8
      [0x82, 0x7F, 0, 0, 0, 0, 0xFF, 0, 0, 0],  // a payload of 4 GB
      [0x88, 0x02, 0x03, 0xED],  // close code 1005
    ] as [[UInt8]])
  func violations(bytes: [UInt8]) throws {
    let server = webSocketServer(bytes)
    let client = try WebSocketClient(to: server.url, target: "/")
    #expect {
      try client.receive(timeoutMilliseconds: 2_000)
    } throws: { error in
      guard case .malformed? = error as? ClientError else { return false }
      return true
    }
  }

  @Test("the error of a rejected upgrade contains the status")
  func refusal() {
    let server = server("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    #expect(throws: ClientError.upgradeRefused(status: 403)) {
      try WebSocketClient(to: server.url, target: "/")
    }
  }
}
