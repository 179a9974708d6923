// The chunked transfer coding, written: RFC 9112, section 7.1. ChunkedBodyDecoder.swift reads it.

/// Writes a body of unknown length, chunk by chunk.
package enum ChunkedBody {
  /// Makes the bytes of `output` from `start` on one chunk.
  ///
  /// No bytes make no chunk: a chunk of size 0 would end the body.
  package static func frame(from start: Int, in output: inout [UInt8]) {
    // guard: empty-chunk-not-written
    guard output.count > start else { return }
    output.insert(contentsOf: sizeLine(of: output.count - start), at: start)
    output.append(0x0D)
    output.append(0x0A)
  }

  /// The hexadecimal size of a chunk, without leading zeros, and the line end.
  private static func sizeLine(of count: Int) -> [UInt8] {
    let digitCount = max(1, (Int.bitWidth - count.leadingZeroBitCount + 3) / 4)
    var line: [UInt8] = []
    line.reserveCapacity(digitCount + 2)
    for index in (0..<digitCount).reversed() {
      let digit = UInt8(count >> (4 * index) & 0xF)
      line.append(digit < 10 ? 0x30 + digit : 0x61 + digit - 10)
    }
    line.append(0x0D)
    line.append(0x0A)
    return line
  }

  /// Appends the last chunk, without trailers.
  package static func appendEnd(into output: inout [UInt8]) {
    output.appendText("0\r\n\r\n")
  }
}
