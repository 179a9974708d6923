// The time zones that a server knows, by their names in the IANA database.
//
// The table is made once, at the start, and does not change: evaluating preferences reads no file.
// A name from input is only ever compared with the names of the table.

internal import Wire

/// The known time zones.
package final class TimeZoneTable: Sendable {
  /// The most zones of a table; the data of 2025 has 598 names.
  package static let countLimit = 2_048
  /// The most bytes of a name; the longest of the data of 2025 has 30.
  package static let nameByteCountLimit = 64

  private let zones: [TextKey: TimeZoneRules]

  /// A table without zones: a server without zone files.
  package static let empty = TimeZoneTable([])

  /// Makes a table of zones with different names.
  package init(_ zones: [(name: String, rules: TimeZoneRules)]) {
    self.zones = Dictionary(uniqueKeysWithValues: zones.map { (TextKey($0.name), $0.rules) })
  }

  package var count: Int { zones.count }

  /// The zone of that name, exactly as the database spells it; nil if it is unknown.
  package subscript(name: String) -> TimeZoneRules? { zones[TextKey(name)] }

  /// Whether a text has the form of a name: letters, digits, `_`, `+`, `-` and inner slashes.
  package static func isName(_ text: String) -> Bool {
    guard 1...nameByteCountLimit ~= text.utf8.count else { return false }
    var previous = UInt8(ascii: "/")
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"),
        UInt8(ascii: "-"):
        break
      case UInt8(ascii: "/") where previous != UInt8(ascii: "/"): break
      default: return false
      }
      previous = byte
    }
    return previous != UInt8(ascii: "/")
  }
}
