// What clients' programs call themselves, kept once for all connections that say the same.
//
// Thousands of browsers send a handful of names. A name longer than 15 bytes is memory of its own,
// so a connection takes the text that an earlier one brought. A client that makes names up gains
// nothing: the table is bounded, and a name is cut where it is longer than its limit.

internal import Notifications
internal import Wire

/// The names that a shard shares among its connections.
///
/// Invariant: at most `countLimit` names of at most `byteCountLimit` bytes.
struct UserAgents {
  /// Bytes of a name that are kept.
  static let byteCountLimit = 256

  private let countLimit: Int
  private var known: Set<TextKey> = []

  init(countLimit: Int) { self.countLimit = countLimit }

  /// Names that are shared at present.
  var count: Int { known.count }

  /// The text of an earlier connection that is the same, or this one.
  mutating func shared(_ text: String) -> String {
    guard !text.isEmpty else { return "" }
    // Those that have it keep it; who comes later shares what is gathered from here on.
    // guard: user-agent-count
    if known.count >= countLimit, !known.contains(TextKey(text)) { known.removeAll() }
    return known.insert(TextKey(text)).memberAfterInsert.text
  }

  /// The beginning of `text` that is kept, which ends with a whole character.
  static func bounded(_ text: String) -> String {
    let bytes = text.utf8
    guard bytes.count > byteCountLimit else { return text }
    var end = bytes.index(bytes.startIndex, offsetBy: byteCountLimit)
    while end.samePosition(in: text.unicodeScalars) == nil { end = bytes.index(before: end) }
    return String(text.unicodeScalars[..<end])
  }
}

extension Shard {
  /// What the client of a request calls itself, as far as it is kept; empty when it does not.
  func userAgent(of head: HTTPRequestHead) -> String {
    head.value(of: "user-agent").map(UserAgents.bounded) ?? ""
  }
}
