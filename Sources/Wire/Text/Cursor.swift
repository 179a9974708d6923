// A client's position in the history: `epoch.offset`.
//
// Clients treat it as opaque and return it on any transport, at any later time, possibly corrupt or
// invented. So it has one accepted spelling, and any other text is not a cursor.

/// A position in one store's history.
///
/// The epoch names the store's life: offsets of another epoch mean nothing here.
package struct Cursor: Equatable, Sendable, CustomStringConvertible {
  /// 1 to 32 of `0-9a-z`.
  package let epoch: String
  package let offset: UInt64

  /// Makes a cursor from a store's own epoch and offset.
  package init(epoch: String, offset: UInt64) {
    precondition(Cursor.isValidEpoch(epoch.utf8.span), "epoch: \(epoch)")
    self.epoch = epoch
    self.offset = offset
  }

  /// Parses a client's text; nil unless it is exactly a cursor's spelling.
  package init?(_ text: String) {
    let bytes = text.utf8.span
    var dot = 0
    while dot < bytes.count, bytes[dot] != UInt8(ascii: ".") { dot += 1 }
    guard dot < bytes.count, Cursor.isValidEpoch(bytes.extracting(first: dot)),
      let offset = Cursor.parseOffset(bytes.extracting(droppingFirst: dot + 1))
    else { return nil }
    self.epoch = String(text.utf8.prefix(dot)) ?? ""
    self.offset = offset
  }

  package var description: String { "\(epoch).\(offset)" }

  private static func isValidEpoch(_ bytes: borrowing Span<UInt8>) -> Bool {
    guard 1...32 ~= bytes.count else { return false }
    for index in 0..<bytes.count {
      switch bytes[index] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"): continue
      default: return false
      }
    }
    return true
  }

  // guard: numeric-readers-are-listed
  private static func parseOffset(_ digits: borrowing Span<UInt8>) -> UInt64? {
    guard digits.count > 0 else { return nil }
    guard digits[0] != UInt8(ascii: "0") || digits.count == 1 else { return nil }
    var value: UInt64 = 0
    for index in 0..<digits.count {
      guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= digits[index] else { return nil }
      // guard: cursor-offset-overflow
      let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
      guard !overflow else { return nil }
      let digit = UInt64(digits[index] - UInt8(ascii: "0"))
      let (sum, carry) = shifted.addingReportingOverflow(digit)
      guard !carry else { return nil }
      value = sum
    }
    return value
  }
}
