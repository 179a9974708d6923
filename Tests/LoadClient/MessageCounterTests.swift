// Counting messages, however their bytes are split.

import TestSupport
import Testing
import Wire

@testable import LoadClient

/// The bytes sent to one connection of a run, composed by the test.
struct ServedStream {
  private(set) var bytes: [UInt8] = []
  private let ledger: MessageLedger

  init(_ ledger: MessageLedger) {
    self.ledger = ledger
    text("{\"event\":\"connection:established\",\"data\":{}}")
  }

  mutating func text(_ payload: String) {
    WebSocketFrame.append(.text, payload: Array(payload.utf8), into: &bytes)
  }

  mutating func control(_ opcode: WebSocketOpcode, _ payload: [UInt8] = []) {
    WebSocketFrame.append(opcode, payload: payload, into: &bytes)
  }

  /// A message of the run, as the `event` dialect wraps it.
  mutating func message(_ sequence: UInt32, padding: Int = 0) {
    var payload = Array("{\"event\":\"live:update\",\"data\":{\"payload\":{".utf8)
    ledger.appendMark(sequence, into: &payload)
    payload.append(contentsOf: "}\(String(repeating: " ", count: padding))}}".utf8)
    WebSocketFrame.append(.text, payload: payload, into: &bytes)
  }
}

/// The receiving side of one connection, without a socket.
struct Receiver {
  let counter: MessageCounter
  var subscription = Subscription(greetingCount: 1)
  var tail = FrameTail()
  var scratch = [UInt8](repeating: 0, count: 200_000)
  var controls: [WebSocketOpcode] = []

  init(_ ledger: MessageLedger) { counter = MessageCounter(ledger: ledger) }

  mutating func receive(_ piece: ArraySlice<UInt8>, now: UInt64) throws {
    let held = tail.bytes.count
    for (offset, byte) in piece.enumerated() { scratch[held + offset] = byte }
    let end = held + piece.count
    if tail.extend(with: held..<end, of: scratch) { return }
    tail.restore(to: &scratch)
    let bytes = scratch
    var seen: [WebSocketOpcode] = []
    let scanned = try counter.scan(
      bytes.span.extracting(0..<end), from: 0, for: &subscription, now: now
    ) { frame in seen.append(frame.opcode) }
    controls += seen
    tail.keep(scanned..<end, of: bytes)
  }
}

@Suite("Counting the messages of a run")
struct MessageCounterTests {
  /// A ledger that has issued this many messages, message n at n microseconds.
  private func ledger(issued count: Int) -> MessageLedger {
    let ledger = MessageLedger(run: [0xDE, 0xAD, 0xBE, 0xEF])
    for number in 1...count { _ = ledger.issue(at: UInt64(number) * 1_000) }
    return ledger
  }

  @Test("every message is counted once, whole, byte by byte and split at each point")
  func splits() throws {
    let ledger = MessageLedger(run: [1, 2, 3, 4])
    var stream = ServedStream(ledger)
    for sequence in UInt32(1)...4 { stream.message(sequence, padding: Int(sequence) * 40) }
    stream.control(.ping, [7])
    stream.text("{\"event\":\"stats:updated\",\"data\":{}}")
    stream.message(5)
    stream.control(.pong)
    for feed in ByteFeed.all(stream.bytes) {
      let ledger = MessageLedger(run: [1, 2, 3, 4])
      var receiver = Receiver(ledger)
      for piece in feed.pieces {
        try receiver.receive(piece, now: 10_000)
        // The greeting arrives before the first publish.
        if receiver.subscription.isGreeted, ledger.next == 1 {
          for number in 1...5 { _ = ledger.issue(at: UInt64(number) * 1_000) }
        }
      }
      let tally = receiver.counter.tally
      // When the greeting and the messages arrive in one piece, the numbers are not issued yet: the
      // marks still identify the messages, only the send times are unknown.
      #expect(tally.delivered == 5, "\(feed)")
      #expect(tally.skipped == 0 && tally.repeated == 0, "\(feed)")
      #expect(tally.otherFrames == 1, "\(feed)")
      #expect(receiver.controls == [.ping, .pong], "\(feed)")
      #expect(receiver.tail.bytes.isEmpty, "\(feed)")
    }
  }

  @Test("random splits change neither the counts nor the latencies")
  func randomCuts() throws {
    var generator = SeededGenerator.announced()
    for _ in 0..<10 {
      let ledger = MessageLedger()
      var receiver = Receiver(ledger)
      let greeting = ServedStream(ledger).bytes
      try receiver.receive(greeting[...], now: 0)
      var stream: [UInt8] = []
      let count = Int.random(in: 1...300, using: &generator)
      for number in 1...count {
        var one = ServedStream(ledger)
        one.message(
          ledger.issue(at: UInt64(number / 16)), padding: number % 64 == 0 ? 70_000 : number % 150)
        stream += one.bytes[greeting.count...]
      }
      for piece in ByteFeed.random(stream, using: &generator).pieces.chunked(by: 4_000) {
        try receiver.receive(piece, now: 1_000)
      }
      let tally = receiver.counter.tally
      #expect(tally.delivered == UInt64(count))
      #expect(tally.skipped + tally.repeated + tally.otherFrames == 0)
      #expect(tally.latency.count == UInt64(count))
      #expect(tally.latency.maximum == 1_000)
      #expect(tally.latency.minimum == UInt64(1_000 - count / 16))
    }
  }

  @Test("latency is measured from the intended time of each message, also within one read")
  func latency() throws {
    let ledger = MessageLedger()
    var receiver = Receiver(ledger)
    var stream = ServedStream(ledger)
    try receiver.receive(stream.bytes[...], now: 0)
    let greetingByteCount = stream.bytes.count
    for sequence in UInt32(1)...3 { stream.message(sequence) }
    for time: UInt64 in [100, 200, 200] { _ = ledger.issue(at: time) }
    try receiver.receive(stream.bytes[greetingByteCount...], now: 1_000)
    let latency = receiver.counter.tally.latency
    #expect(latency.count == 3)
    #expect(latency.minimum == 800)
    #expect(latency.maximum == 900)
    #expect(latency.mean == (900 + 800 + 800) / 3.0)
  }

  @Test("skipped and repeated messages are counted separately")
  func disorder() throws {
    let ledger = ledger(issued: 9)
    var receiver = Receiver(MessageLedger(run: [0xDE, 0xAD, 0xBE, 0xEF]))
    var stream = ServedStream(ledger)
    for sequence: UInt32 in [1, 2, 5, 6, 6, 4, 7] { stream.message(sequence) }
    try receiver.receive(stream.bytes[...], now: 0)
    let tally = receiver.counter.tally
    #expect(tally.delivered == 5)
    #expect(tally.skipped == 2)
    #expect(tally.repeated == 2)
  }

  @Test("another run's messages are not counted")
  func otherRuns() throws {
    let ours = ledger(issued: 3)
    let theirs = MessageLedger(run: [0xDE, 0xAD, 0xBE, 0xEE])
    var receiver = Receiver(ours)
    var greeting = ServedStream(ours)
    greeting.message(4)
    try receiver.receive(greeting.bytes[...], now: 0)
    for time in UInt64(4)...8 { _ = ours.issue(at: time) }
    var stream = ServedStream(theirs)
    for sequence in UInt32(4)...8 { stream.message(sequence) }
    try receiver.receive(stream.bytes[...], now: 0)
    #expect(receiver.counter.tally.delivered == 1)
    // The other run's greeting is one more foreign frame.
    #expect(receiver.counter.tally.otherFrames == 6)
  }

  @Test(
    "a server's violation is an error, not a count",
    arguments: [[0x81, 0x80], [0x83, 0], [0xF1]] as [[UInt8]])
  func violations(bytes: [UInt8]) {
    var receiver = Receiver(MessageLedger())
    #expect(throws: ClientError.self) { try receiver.receive(bytes[...], now: 0) }
  }

  @Test("a mark is found again with its sequence number and offset")
  func digits() {
    let ledger = MessageLedger(run: [0, 0, 0, 0])
    for sequence: UInt32 in [0, 1, 9, 10, 0xABCD_EF01, .max] {
      var bytes: [UInt8] = []
      ledger.appendMark(sequence, into: &bytes)
      let found = ledger.find(in: bytes.span, 0..<bytes.count)
      #expect(found?.sequence == sequence)
      let offset = bytes.count - 9
      #expect(found?.offset == offset)
      #expect(MessageLedger.load(bytes.span, at: offset) == MessageLedger.digits(of: sequence))
      for end in bytes.indices.dropLast(1) {
        #expect(ledger.find(in: bytes.span, 0..<end) == nil, "of \(end) bytes")
      }
    }
  }
}

extension [ArraySlice<UInt8>] {
  /// Joins neighbours until each piece except the last has at least this many bytes.
  fileprivate func chunked(by byteCount: Int) -> [ArraySlice<UInt8>] {
    var joined: [ArraySlice<UInt8>] = []
    for piece in self {
      if let last = joined.last, last.count < byteCount {
        joined[joined.count - 1] += piece
      } else {
        joined.append(piece)
      }
    }
    return joined
  }
}
