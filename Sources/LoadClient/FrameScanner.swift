// Cuts a server's bytes into frames, many frames per read.
//
// `Wire` parses a whole header with every check, and the call is not inlined. A client that counts
// ten million frames a second receives almost only final, unmasked text frames of less than 64 KiB:
// this file recognises those by two bytes and passes everything else to `Wire`.

internal import Wire

/// One whole frame inside the scanned bytes.
struct ScannedFrame: Equatable {
  let opcode: WebSocketOpcode
  let isFinal: Bool
  /// The range of the payload; the next frame begins at its end.
  let payload: Range<Int>
}

enum FrameScanner {
  /// The frame that begins at `position`; nil when it is incomplete.
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
      // A two-byte length below 126 is a violation; `Wire` throws it.
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
    // The peer chooses a length of up to 2^63 - 1: compare it with the remaining bytes, because an
    // addition could overflow.
    guard header.payloadLength <= rest.count - header.byteCount else { return nil }
    let start = position + header.byteCount
    return ScannedFrame(
      opcode: header.opcode, isFinal: header.isFinal,
      payload: start..<start + header.payloadLength)
  }
}

/// The unfinished frame at the end of one connection's received bytes.
///
/// Reads of all connections use one scratch buffer. Only this tail, nearly always empty, is kept
/// between two reads of a connection, so an idle connection owns no memory.
struct FrameTail {
  private(set) var bytes: [UInt8] = []
  /// Bytes that the frame still needs; 0 while its header is incomplete.
  private(set) var missingCount = 0

  /// Copies the tail to the front of the scratch buffer, before the bytes that were read after it.
  func restore(to scratch: inout [UInt8]) {
    scratch.replaceSubrange(..<bytes.count, with: bytes)
  }

  /// Appends the part of the scratch buffer that was read after the tail; false if that completes
  /// the frame, or may complete its header, so that the frame has to be scanned.
  ///
  /// So a frame that arrives in many pieces is copied once, and not once for each piece.
  mutating func extend(with range: Range<Int>, of scratch: [UInt8]) -> Bool {
    guard range.count < missingCount else { return false }
    bytes.append(contentsOf: scratch[range])
    missingCount -= range.count
    return true
  }

  /// Keeps the part of the scratch buffer after the last whole frame.
  ///
  /// `isFrame` is whether it begins with a frame.
  mutating func keep(_ range: Range<Int>, of scratch: [UInt8], isFrame: Bool = true) {
    missingCount = 0
    guard !range.isEmpty else {
      if !bytes.isEmpty { bytes = [] }
      return
    }
    bytes = Array(scratch[range])
    guard isFrame, let header = try? FrameHeader.parse(bytes.span, from: .server) else {
      // The scan of the next bytes finds a violation again and throws it.
      return
    }
    missingCount = header.payloadLength - (bytes.count - header.byteCount)
  }
}
