// Cuts standard input, which arrives in pieces, into numbered lines.

internal import Server

/// One line of the input.
struct InputLine {
  /// Counted from 1, blank lines included.
  let number: Int
  /// Without the line feed; empty when the line is over the limit.
  let bytes: [UInt8]
  let isTooLong: Bool

  /// Whether it holds nothing but white space.
  var isBlank: Bool { !isTooLong && bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }
}

/// Collects bytes and returns the complete lines.
///
/// Invariant: `unfinished` holds no line feed and at most `byteCountLimit` bytes.
struct InputLines {
  /// The most bytes of a line: half of the largest batch that a server takes.
  static let byteCountLimit = Limits().batchBytesLimit / 2

  private var lines: [InputLine] = []
  private var unfinished: [UInt8] = []
  private var isTooLong = false
  private var count = 0

  mutating func append(_ bytes: [UInt8]) {
    for (index, piece) in bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
      .enumerated()
    {
      if index > 0 { endLine() }
      if unfinished.count + piece.count > Self.byteCountLimit {
        isTooLong = true
        unfinished = []
      } else if !isTooLong {
        unfinished.append(contentsOf: piece)
      }
    }
  }

  /// Ends the input: the last line may lack its line feed.
  mutating func end() {
    if !unfinished.isEmpty || isTooLong { endLine() }
  }

  /// The complete lines since the last call.
  mutating func take() -> [InputLine] {
    defer { lines = [] }
    return lines
  }

  private mutating func endLine() {
    count += 1
    lines.append(InputLine(number: count, bytes: unfinished, isTooLong: isTooLong))
    unfinished = []
    isTooLong = false
  }
}
