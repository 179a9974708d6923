// A strict reader of chunked bodies, written from RFC 9112, section 7.1, alone.

import Testing

/// The chunks of a chunked body whose bytes arrive in pieces.
struct ChunkedText {
  /// The content of each chunk, the last chunk excluded.
  private(set) var chunks: [String] = []
  /// Whether the last chunk has come.
  private(set) var isComplete = false

  var text: String { chunks.joined() }

  /// Takes all chunks from the bytes, which must be whole chunks and nothing else.
  static func take(_ bytes: inout [UInt8]) throws -> ChunkedText {
    var body = ChunkedText()
    var rest = bytes[...]
    while !rest.isEmpty {
      try #require(!body.isComplete, "bytes after the last chunk: \(Array(rest).text)")
      let digits = rest.prefix { $0 != 0x0D }
      let size = try #require(Int(Array(digits).text, radix: 16), "\(Array(rest).text)")
      rest = rest.dropFirst(digits.count)
      try #require(rest.starts(with: [0x0D, 0x0A]), "\(Array(rest).text)")
      rest = rest.dropFirst(2)
      try #require(rest.dropFirst(size).starts(with: [0x0D, 0x0A]), "\(Array(rest).text)")
      if size == 0 {
        body.isComplete = true
      } else {
        body.chunks.append(Array(rest.prefix(size)).text)
      }
      rest = rest.dropFirst(size + 2)
    }
    bytes = []
    return body
  }
}
