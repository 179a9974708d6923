// The scanner's fast path must agree with the full parser.

import TestSupport
import Testing
import Wire

@testable import LoadClient

@Suite("Scanning a server's frames")
struct FrameScannerTests {
  /// The result of `Wire` for the same bytes.
  private func reference(_ bytes: [UInt8]) throws(ProtocolViolation) -> ScannedFrame? {
    guard let header = try FrameHeader.parse(bytes.span, from: .server),
      header.payloadLength <= bytes.count - header.byteCount
    else { return nil }
    return ScannedFrame(
      opcode: header.opcode, isFinal: header.isFinal,
      payload: header.byteCount..<header.byteCount + header.payloadLength)
  }

  private func outcome(
    _ scan: () throws(ProtocolViolation) -> ScannedFrame?
  ) -> Result<ScannedFrame?, ProtocolViolation> {
    do throws(ProtocolViolation) { return .success(try scan()) } catch { return .failure(error) }
  }

  @Test(
    "frames of every size class are found, and every proper prefix is incomplete",
    arguments: [0, 1, 125, 126, 127, 300])
  func sizes(payloadByteCount: Int) throws {
    var bytes: [UInt8] = [0xAA, 0xAA]
    WebSocketFrame.append(
      .text, payload: [UInt8](repeating: 0x61, count: payloadByteCount), into: &bytes)
    let frame = try #require(try FrameScanner.next(bytes.span, from: 2))
    #expect(frame.payload == bytes.count - payloadByteCount..<bytes.count)
    for end in 2..<bytes.count {
      #expect(try FrameScanner.next(bytes.span.extracting(0..<end), from: 2) == nil)
    }
  }

  @Test("frames around 64 KiB are found", arguments: [65_535, 65_536])
  func large(payloadByteCount: Int) throws {
    var bytes: [UInt8] = []
    WebSocketFrame.append(
      .text, payload: [UInt8](repeating: 0x61, count: payloadByteCount), into: &bytes)
    #expect(
      try FrameScanner.next(bytes.span, from: 0)?.payload
        == bytes.count - payloadByteCount..<bytes.count)
    #expect(try FrameScanner.next(bytes.span.extracting(0..<bytes.count - 1), from: 0) == nil)
  }

  @Test("a length of 2^63 - 1 is incomplete, not a trap")  // Case 33
  func hugeLength() throws {
    let bytes: [UInt8] = [0x81, 127, 0x7F] + Array(repeating: 0xFF, count: 7) + [0]
    #expect(try FrameScanner.next(bytes.span, from: 0) == nil)
  }

  @Test func `the pieces of a frame are added to its tail without a copy of the earlier ones`() {
    var frame: [UInt8] = []
    WebSocketFrame.append(.text, payload: [UInt8](repeating: 0x61, count: 50_000), into: &frame)
    var tail = FrameTail()
    tail.keep(0..<10, of: frame)
    var capacities: Set<Int> = []
    for start in stride(from: 10, to: frame.count - 10, by: 10) {
      let isExtended = tail.extend(with: start..<start + 10, of: frame)
      #expect(isExtended)
      capacities.insert(tail.bytes.capacity)
    }
    #expect(tail.bytes == frame.dropLast(tail.missingCount))
    #expect(capacities.count <= 20, "moved \(capacities.count) times")
    // The last piece is scanned with all bytes before it.
    let isExtended = tail.extend(with: frame.count - tail.missingCount..<frame.count, of: frame)
    #expect(!isExtended)
  }

  @Test("the fast path and the full parser agree on valid, mutated and random bytes")
  func agreement() {
    var generator = SeededGenerator.announced()
    var frame: [UInt8] = []
    WebSocketFrame.append(.text, payload: Array(repeating: 0x20, count: 130), into: &frame)
    var inputs = mutants(of: frame, count: 2_000, using: &generator)
    for first in UInt8.min...UInt8.max {
      for second: UInt8 in [0, 1, 125, 126, 127, 128, 255] {
        inputs.append(
          [first, second]
            + (0..<130).map { _ in
              UInt8.random(in: 0...1, using: &generator)
            })
      }
    }
    for bytes in inputs {
      #expect(
        outcome { () throws(ProtocolViolation) in try FrameScanner.next(bytes.span, from: 0) }
          == outcome { () throws(ProtocolViolation) in try reference(bytes) },
        "\(bytes.prefix(12))")
    }
  }
}
