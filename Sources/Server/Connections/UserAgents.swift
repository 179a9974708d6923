// User agents of clients, stored once for all connections with the same text.
//
// Thousands of browsers send a handful of different names. A name longer than 15 bytes takes an
// allocation, so a connection shares the text of an earlier one. A client that invents names cannot
// use up memory: the table is bounded, and longer names are truncated to their limit.

internal import Notifications

/// The names that a shard shares among its connections.
///
/// Invariant: at most `countLimit` names of at most `byteCountLimit` bytes.
struct UserAgents {
  /// Bytes of a name that are stored; the rest is cut off.
  static let byteCountLimit = 256

  private let countLimit: Int
  private var known: Set<TextKey> = []

  init(countLimit: Int) { self.countLimit = countLimit }

  /// Number of names in the table.
  var count: Int { known.count }

  /// Returns the equal text of an earlier connection, or `text` after adding it to the table.
  mutating func shared(_ text: String) -> String {
    guard !text.isEmpty else { return "" }
    // Connections keep the texts that they have; later ones share the texts added from here on.
    // guard: user-agent-count
    if known.count >= countLimit, !known.contains(TextKey(text)) { known.removeAll() }
    return known.insert(TextKey(text)).memberAfterInsert.text
  }

  /// Truncates `text` to `byteCountLimit` bytes at a character boundary.
  static func bounded(_ text: String) -> String {
    let bytes = text.utf8
    guard bytes.count > byteCountLimit else { return text }
    var end = bytes.index(bytes.startIndex, offsetBy: byteCountLimit)
    while end.samePosition(in: text.unicodeScalars) == nil { end = bytes.index(before: end) }
    return String(text.unicodeScalars[..<end])
  }
}
