// Several packets in one HTTP body: Engine.IO protocol version 4, "HTTP long-polling".
//
// Packets are separated by U+001E, which no JSON text contains unescaped. A body of a megabyte may
// hold half a million packets, so they are returned one by one: nothing is allocated for them, and
// the whole body costs two reads of each byte.

/// Reads the packets of a body, one by one.
///
/// Invariant: `position <= end + 1`, and it is `end + 1` when there are no more packets.
package struct EngineIOPayload {
  package static let separator: UInt8 = 0x1E

  /// The caller's array, which contains the body: the packets' ranges index it.
  package let bytes: [UInt8]
  private let end: Int
  /// Where the next packet begins.
  private var position: Int

  /// Makes a reader of all of `bytes`, or of the part in `range`.
  package init(_ bytes: [UInt8], in range: Range<Int>? = nil) {
    let range = range ?? 0..<bytes.count
    precondition(0 <= range.lowerBound, "range: \(range)")
    precondition(range.upperBound <= bytes.count, "range: \(range) of \(bytes.count)")
    self.bytes = bytes
    self.end = range.upperBound
    self.position = range.lowerBound
  }

  /// Takes the next packet; nil after the last.
  ///
  /// An empty body, or an empty packet before or after a separator, is a violation, and so is text
  /// that is not UTF-8. After a violation there are no more packets, as in the reference.
  package mutating func next() throws(ProtocolViolation) -> EngineIOPacket? {
    guard position <= end else { return nil }
    let start = position
    // guard: engineio-violation-ends-payload
    position = end + 1
    var index = start
    var union: UInt8 = 0
    while index < end, bytes[index] != EngineIOPayload.separator {
      union |= bytes[index]
      index += 1
    }
    // Most packets are ASCII; for them the union of all bytes' bits is check enough.
    // guard: engineio-text-is-utf8
    guard union < 0x80 || isUTF8(start..<index) else { throw .invalidUTF8 }
    let packet = try EngineIOPacket.decode(text: bytes, in: start..<index)
    position = index + 1
    return packet
  }

  private func isUTF8(_ range: Range<Int>) -> Bool {
    do {
      _ = try UTF8Span(validating: bytes.span.extracting(range))
      return true
    } catch {
      return false
    }
  }
}
