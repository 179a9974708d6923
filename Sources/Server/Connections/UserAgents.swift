// User agents of clients, stored once for all connections with the same text.
//
// Thousands of browsers send a handful of different names. A name longer than 15 bytes takes an
// allocation, so a connection shares the text of an earlier one. A client that invents names cannot
// use up memory: the table is bounded, and longer names are truncated to their limit.

internal import Notifications

/// The `User-Agent` of clients, one object for all connections with the same text.
final class UserAgent {
  let text: String

  init(_ text: String) { self.text = text }
}

/// The names that a shard shares among its connections.
///
/// Invariant: at most `countLimit` names of at most `byteCountLimit` bytes.
struct UserAgents {
  /// Bytes of a name that are stored; the rest is cut off.
  static let byteCountLimit = 256

  private let countLimit: Int
  private var known: [TextKey: UserAgent] = [:]

  init(countLimit: Int) { self.countLimit = countLimit }

  /// Number of names in the table.
  var count: Int { known.count }

  /// Returns the name of an earlier connection with this text, or one that it adds to the table.
  ///
  /// Nil for an empty text.
  mutating func shared(_ text: String) -> UserAgent? {
    guard !text.isEmpty else { return nil }
    if let earlier = known[TextKey(text)] { return earlier }
    // Connections keep the names that they have; later ones share those added from here on.
    // guard: user-agent-count
    if known.count >= countLimit { known.removeAll() }
    let added = UserAgent(text)
    known[TextKey(text)] = added
    return added
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
