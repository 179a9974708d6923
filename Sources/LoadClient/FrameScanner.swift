// Cutting what a server sends into frames, many frames a read.
//
// `Wire` parses a header whole, with every check, through a call that stays a call. Where a client
// counts ten million frames a second, nearly all of them are final, unmasked text frames of less
// than 64 KiB: those are recognised here by two bytes, and everything else goes to `Wire`.

internal import Wire

/// One whole frame inside the bytes that were scanned.
struct ScannedFrame: Equatable {
  let opcode: WebSocketOpcode
  let isFinal: Bool
  /// Where the payload lies; the next frame begins at its end.
  let payload: Range<Int>
}

enum FrameScanner {
  /// The frame that begins at `position`; nil when the bytes end before it does.
  @inline(__always)
  static func next(
    _ bytes: borrowing Span<UInt8>, from position: Int
  ) throws(ProtocolViolation) -> ScannedFrame? {
    let available = bytes.count - position
    guard available >= 2 else { return try nextRare(bytes, from: position) }
    guard bytes[position] == 0x81 else { return try nextRare(bytes, from: position) }
    let length = Int(bytes[position + 1])
    let start: Int
    let end: Int
    if length < 126 {
      start = position + 2
      end = start + length
    } else if length == 126, available >= 4 {
      let long = Int(bytes[position + 2]) << 8 | Int(bytes[position + 3])
      // A length that should have been written short is a violation; `Wire` says so.
      guard long > 125 else { return try nextRare(bytes, from: position) }
      start = position + 4
      end = start + long
    } else {
      return try nextRare(bytes, from: position)
    }
    guard end <= bytes.count else { return nil }
    return ScannedFrame(opcode: .text, isFinal: true, payload: start..<end)
  }

  @inline(never)
  private static func nextRare(
    _ bytes: borrowing Span<UInt8>, from position: Int
  ) throws(ProtocolViolation) -> ScannedFrame? {
    let rest = bytes.extracting(position..<bytes.count)
    guard let header = try FrameHeader.parse(rest, from: .server) else { return nil }
    // A length up to 2^63 - 1 comes from outside: compared by what is left, never added.
    guard header.payloadLength <= rest.count - header.byteCount else { return nil }
    let start = position + header.byteCount
    return ScannedFrame(
      opcode: header.opcode, isFinal: header.isFinal,
      payload: start..<start + header.payloadLength)
  }
}

/// The unfinished frame at the end of what one connection has received.
///
/// Reads of all connections land in one scratch buffer; what is kept between two reads of a
/// connection is this alone, nearly always empty, so an idle connection owns no memory.
struct FrameTail {
  private(set) var bytes: [UInt8] = []

  /// Puts the tail at the front of the scratch buffer, where the next read goes on behind it.
  ///
  /// Returns its size. False room (a frame as large as the buffer) is the caller's to notice.
  func restore(to scratch: inout [UInt8]) -> Int {
    for index in bytes.indices { scratch[index] = bytes[index] }
    return bytes.count
  }

  /// Keeps the part of the scratch buffer that was not yet a whole frame.
  mutating func keep(_ range: Range<Int>, of scratch: [UInt8]) {
    if range.isEmpty {
      if !bytes.isEmpty { bytes = [] }
    } else {
      bytes = Array(scratch[range])
    }
  }
}
