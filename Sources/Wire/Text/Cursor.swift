// A client's position in the history: `epoch.incarnation.offset`.
//
// Clients treat it as opaque and return it on any transport, at any later time, possibly corrupt or
// invented. So it has one accepted spelling, and any other text is not a cursor. Cursors of the
// commits before a store's first incarnation have none: `epoch.offset`.

/// A position in one store's history.
///
/// The epoch names the store's life: offsets of another epoch mean nothing here. The incarnation
/// names the run of a server that gave out the offset, or a later one.
package struct Cursor: Equatable, Sendable, CustomStringConvertible {
  /// 1 to 32 of `0-9a-z`.
  package let epoch: String
  /// Up to 10 of `0-9a-z`; none in a cursor from before incarnations.
  package let incarnation: String
  package let offset: UInt64

  /// The most bytes of an epoch and of an incarnation.
  package static let epochLimit = 32
  package static let incarnationLimit = 10

  /// Makes a cursor from a store's own epoch, incarnation and offset.
  package init(epoch: String, incarnation: String = "", offset: UInt64) {
    precondition(
      Cursor.isName(epoch.utf8.span, limit: Cursor.epochLimit) && !epoch.isEmpty, "epoch: \(epoch)")
    precondition(
      Cursor.isName(incarnation.utf8.span, limit: Cursor.incarnationLimit),
      "incarnation: \(incarnation)")
    self.epoch = epoch
    self.incarnation = incarnation
    self.offset = offset
  }

  /// Parses a client's text; nil unless it is exactly a cursor's spelling.
  package init?(_ text: String) {
    let bytes = text.utf8.span
    guard let first = Cursor.firstDot(in: bytes, from: 0), first > 0,
      Cursor.isName(bytes.extracting(first: first), limit: Cursor.epochLimit)
    else { return nil }
    var last = first
    if let second = Cursor.firstDot(in: bytes, from: first + 1) {
      let name = bytes.extracting((first + 1)..<second)
      guard name.count > 0, Cursor.isName(name, limit: Cursor.incarnationLimit) else { return nil }
      last = second
    }
    guard let offset = Cursor.parseOffset(bytes.extracting(droppingFirst: last + 1)) else {
      return nil
    }
    self.epoch = String(text.utf8.prefix(first)) ?? ""
    self.incarnation =
      last == first ? "" : String(text.utf8.prefix(last).dropFirst(first + 1)) ?? ""
    self.offset = offset
  }

  package var description: String {
    incarnation.isEmpty ? "\(epoch).\(offset)" : "\(epoch).\(incarnation).\(offset)"
  }

  private static func firstDot(in bytes: borrowing Span<UInt8>, from start: Int) -> Int? {
    var index = start
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: ".") { return index }
      index += 1
    }
    return nil
  }

  private static func isName(_ bytes: borrowing Span<UInt8>, limit: Int) -> Bool {
    guard bytes.count <= limit else { return false }
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

/// The spelling of the cursors that one run of a server gives out.
///
/// The text before the offset is made once, so that a cursor costs one concatenation.
package struct CursorFormat: Equatable, Sendable {
  package let epoch: String
  /// The incarnation of offsets up to `start`, and that of later ones.
  private let earlier: String
  private let latest: String
  private let start: UInt64
  private let earlierPrefix: String
  private let latestPrefix: String

  package init(epoch: String, earlier: String = "", latest: String = "", start: UInt64 = 0) {
    self.epoch = epoch
    self.earlier = earlier
    self.latest = latest
    self.start = start
    func prefix(_ incarnation: String) -> String {
      String(Cursor(epoch: epoch, incarnation: incarnation, offset: 0).description.dropLast())
    }
    earlierPrefix = prefix(earlier)
    latestPrefix = prefix(latest)
  }

  /// The cursor at `offset`.
  package func cursor(at offset: UInt64) -> Cursor {
    // guard: cursor-names-its-incarnation
    Cursor(epoch: epoch, incarnation: offset > start ? latest : earlier, offset: offset)
  }

  /// The text of the cursor at `offset`.
  package func text(at offset: UInt64) -> String {
    // guard: cursor-text-names-its-incarnation
    (offset > start ? latestPrefix : earlierPrefix) + String(offset)
  }
}
