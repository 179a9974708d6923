// A load test must report lost, repeated and rejected messages and lost connections.

import Testing
import Wire

@testable import LoadClient

/// The faults of a broadcasting server.
struct Faults: Sendable {
  /// Number (from 1) of the message that the first connection does not receive.
  var lost: Int?
  /// Number of the message that the first connection receives twice.
  var doubled: Int?
  /// Number of the message that is answered with 503 and not delivered.
  var refused: Int?
  /// Number of the message at which the first connection is closed instead.
  var closesAt: Int?
  /// Whether publishes from the fourth on are rejected until every connection has sent its pong.
  ///
  /// By the fourth publish the pongs have arrived, because they were sent before the first.
  var demandsPongs = false
  /// Whether upgrades are not answered.
  var isMute = false
  /// Whether upgrades are answered with 401.
  var refusesUpgrade = false
}

/// Broadcasts each POST's body to all upgraded peers.
private final class BroadcastHandler: LoopbackHandler {
  private let faults: Faults
  private var listeners: [LoopbackPeer] = []
  private var count = 0
  private var pongs = 0

  init(_ faults: Faults) { self.faults = faults }

  func receive(_ bytes: [UInt8], from peer: LoopbackPeer) {
    if listeners.contains(where: { $0 === peer }) {
      if bytes.first == 0x8A, let header = try? FrameHeader.parse(bytes.span, from: .client) {
        var payload = Array(bytes[header.byteCount...])
        WebSocketFrame.applyMask(header.maskingKey, to: &payload)
        if payload == [1, 2, 3] { pongs += 1 }
      }
      peer.consume(bytes.count)
      return
    }
    while let headEnd = peer.received.headEnd {
      let head = String(decoding: peer.received[..<headEnd], as: UTF8.self)
      if head.hasPrefix("GET ") {
        peer.consume(headEnd)
        return upgrade(peer)
      }
      let length = head.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
      let bodyCount = length.flatMap { Int($0.dropFirst(16)) } ?? 0
      guard peer.received.count >= headEnd + bodyCount else { return }
      publish(Array(peer.received[headEnd..<headEnd + bodyCount]), answering: peer)
      peer.consume(headEnd + bodyCount)
    }
  }

  private func upgrade(_ peer: LoopbackPeer) {
    if faults.isMute { return }
    guard !faults.refusesUpgrade else {
      peer.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
      return
    }
    var greeting = Array(switchingProtocols.utf8)
    WebSocketFrame.append(.text, payload: Array("{}".utf8), into: &greeting)
    WebSocketFrame.append(.ping, payload: [1, 2, 3], into: &greeting)
    peer.send(greeting)
    listeners.append(peer)
  }

  private func publish(_ body: [UInt8], answering publisher: LoopbackPeer) {
    count += 1
    let lacksPongs = faults.demandsPongs && count > 3 && pongs < listeners.count
    guard count != faults.refused, !lacksPongs else {
      publisher.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
      return
    }
    var frame: [UInt8] = []
    WebSocketFrame.append(.text, payload: body, into: &frame)
    for (index, listener) in listeners.enumerated() {
      if index == 0, count == faults.closesAt {
        listener.close()
      } else if index > 0 || count != faults.lost {
        listener.send(index == 0 && count == faults.doubled ? frame + frame : frame)
      }
    }
    publisher.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
  }
}

@Suite("Load tests against a faulty server", .serialized)
struct LoadSessionTests {
  private func run(
    _ faults: Faults, _ pace: LoadPace = .window(4), stallMilliseconds: Int = 5_000
  ) throws -> LoadReport {
    let server = LoopbackServer { BroadcastHandler(faults) }
    var configuration = configuration(for: server)
    configuration.pace = pace
    configuration.stallMilliseconds = stallMilliseconds
    let report = try LoadTest.run(configuration)
    withExtendedLifetime(server) {}
    return report
  }

  private func configuration(for server: LoopbackServer) -> LoadConfiguration {
    var configuration = LoadConfiguration(
      server: server.url, credentials: [.apiKey("key")], token: { "token-\($0)" })
    configuration.connections = 5
    configuration.durationMilliseconds = 50
    return configuration
  }

  @Test(
    "every published message is delivered and timed",
    arguments: [LoadPace.window(1), .window(7), .rate(400)])
  func faultless(pace: LoadPace) throws {
    let report = try run(Faults(), pace)
    #expect(report.established == 5)
    #expect(report.accepted > 0 && report.accepted == report.published)
    #expect(report.tally.delivered == UInt64(report.accepted) * 5)
    #expect(report.tally.latency.count == report.tally.delivered)
    #expect(report.missing + report.tally.repeated + report.tally.skipped == 0)
    #expect(!report.hasStalled && report.endings.isEmpty && report.refused.isEmpty)
    #expect(report.tally.frameByteCount > 60)
    if case .window(let count) = pace { #expect(report.accepted % count == 0) }
    if case .rate = pace { #expect(report.accepted == 20) }
  }

  @Test("a message that is lost on one connection stalls the window and counts as missing")
  func loss() throws {
    let report = try run(Faults(lost: 2), stallMilliseconds: 200)
    #expect(report.hasStalled)
    #expect(report.missing == 1)
    #expect(report.tally.skipped == 1)
  }

  @Test("a message that arrives twice counts once as delivered and once as repeated")
  func doubling() throws {
    let report = try run(Faults(doubled: 3))
    #expect(report.tally.repeated == 1)
    #expect(report.missing == 0 && !report.hasStalled)
    #expect(report.tally.delivered == UInt64(report.accepted) * 5)
  }

  @Test("pings are answered with their payload")
  func pongs() throws {
    let server = LoopbackServer { BroadcastHandler(Faults(demandsPongs: true)) }
    let session = try LoadSession(configuration(for: server))
    try session.connect()
    for _ in 1...6 {
      let report = try session.measure(.window(1), milliseconds: 0)
      #expect(report.accepted == 1 && report.refused.isEmpty)
    }
    session.close()
  }

  @Test("deliveries of a rejected publish do not count as missing")
  func refusal() throws {
    let report = try run(Faults(refused: 2))
    #expect(report.refused == [503: 1])
    #expect(report.accepted == report.published - 1)
    #expect(report.missing == 0 && !report.hasStalled)
  }

  @Test("an ended connection is counted, and the others continue")
  func disconnection() throws {
    let report = try run(Faults(closesAt: 3))
    #expect(report.tally.disconnected == 1)
    #expect(report.endings.values.reduce(0, +) == 1)
    #expect(!report.hasStalled)
    #expect(report.accepted > 3)
  }

  @Test(
    "an interruption ends publishing, and the report counts what was sent until then",
    arguments: [LoadPace.window(4), .rate(400)])
  func interruption(pace: LoadPace) throws {
    let server = LoopbackServer { BroadcastHandler(Faults()) }
    var configuration = configuration(for: server)
    configuration.pace = pace
    configuration.durationMilliseconds = 3_600_000
    var isMeasuring = false
    let report = try LoadTest.run(configuration, isInterrupted: { isMeasuring }) {
      isMeasuring = $0.accepted > 0
    }
    #expect(report.wasInterrupted && !report.hasStalled)
    #expect(report.accepted > 0 && report.missing == 0)
    #expect(report.tally.delivered == UInt64(report.accepted) * 5)
    #expect(report.json.contains("\"interrupted\":true"))
    withExtendedLifetime(server) {}
  }

  @Test("a second interruption does not wait for lost messages")
  func repeatedInterruption() throws {
    let server = LoopbackServer { BroadcastHandler(Faults(lost: 2)) }
    var configuration = configuration(for: server)
    configuration.durationMilliseconds = 3_600_000
    configuration.stallMilliseconds = 3_600_000
    var isMeasuring = false
    let report = try LoadTest.run(configuration, isInterrupted: { isMeasuring }) {
      isMeasuring = $0.accepted > 1
    }
    #expect(report.wasInterrupted && !report.hasStalled)
    #expect(report.missing == 1)
    withExtendedLifetime(server) {}
  }

  @Test("an interruption while connecting is an error that says how far it came")
  func earlyInterruption() {
    let server = LoopbackServer { BroadcastHandler(Faults(isMute: true)) }
    #expect(throws: ClientError.interrupted("connecting, 0 of 5 were established")) {
      try LoadTest.run(configuration(for: server), isInterrupted: { true })
    }
    withExtendedLifetime(server) {}
  }

  @Test("when every connection is rejected, the error contains the status")
  func unauthorized() {
    #expect {
      try run(Faults(refusesUpgrade: true))
    } throws: { error in
      "\(error)".contains("401")
    }
  }

  @Test("the report is valid JSON with all figures")
  func json() throws {
    let report = try run(Faults(refused: 2))
    var reader = JSONReader(Array(report.json.utf8))
    var names: Set<String> = []
    try reader.readObject { reader, name throws(JSONViolation) in
      names.insert(name)
      _ = try reader.skipValue()
    }
    try reader.finish()
    #expect(
      names.isSuperset(of: [
        "accepted", "delivered", "missing", "latency", "refused", "deliveries_per_second",
      ]))
  }
}
