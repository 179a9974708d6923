// The time for which an answer may be used again.

/// The field Cache-Control: RFC 9111, section 5.2.2.1.
enum CacheControl {
  /// The longest time that is read; a longer one is as long.
  private static let longestSeconds: Int64 = 1_000_000_000

  /// `max-age` in a line of a head; nil if the line has none.
  static func maxAgeSeconds(inLine line: [UInt8]) -> Int64? {
    let text = String(decoding: line, as: UTF8.self).lowercased()
    guard text.hasPrefix("cache-control:") else { return nil }
    for directive in text.dropFirst("cache-control:".count).split(separator: ",") {
      let word = directive.filter { $0 != " " && $0 != "\t" && !$0.isNewline }
      guard word.hasPrefix("max-age=") else { continue }
      let digits = Array(word.utf8.dropFirst("max-age=".utf8.count))
      guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
      return digits.reduce(0) { min(longestSeconds, $0 * 10 + Int64($1 - 0x30)) }
    }
    return nil
  }
}
