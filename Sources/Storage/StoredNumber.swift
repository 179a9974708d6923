// Numbers in the file, checked when they are read.
//
// SQLite checks a column's type when it writes a row, not when it reads one: in a damaged file a
// column may have a value of any type. So whatever is calculated with, or given to a client, is
// converted here, to a number within the range that the store writes.

/// The ranges of the numbers in the store.
enum StoredNumber {
  /// Sums of a few such numbers do not overflow.
  static let countLimit: Int64 = 1 << 40
  /// A delivery has at most as many as a retry schedule.
  static let attempts: ClosedRange<Int64> = 0...1_000
  static let offsets: ClosedRange<Int64> = 0...(1 << 62)
  /// The years 0 to 9999, in milliseconds since 1970.
  static let times: ClosedRange<Int64> = -62_167_219_200_000...253_402_300_799_999
}

extension Statement {
  /// The number in a column; nil if it is damaged: no integer, or outside `range`.
  func number(_ column: Int32, in range: ClosedRange<Int64>) -> Int64? {
    guard isInteger(column) else { return nil }
    let number = integer(column)
    // guard: stored-numbers-in-range
    guard range.contains(number) else { return nil }
    return number
  }

  /// The offset in a column; nil if it is damaged.
  func offset(_ column: Int32) -> UInt64? {
    number(column, in: StoredNumber.offsets).map { UInt64($0) }
  }

  /// The time in a column that may be null.
  ///
  /// A damaged one is `substitute`, because it is known that there was a time.
  func optionalTime(_ column: Int32, or substitute: Int64) -> Int64? {
    isNull(column) ? nil : number(column, in: StoredNumber.times) ?? substitute
  }
}
