// The rules of a time zone, read from a TZif file: RFC 8536.
//
//     header │ data of version 1 │ header │ data of version 2 │ \n TZ string \n
//
// The data of version 1 has times of 32 bits and is skipped. The data after it has the instants at
// which the offset changed, and the TZ string the rule for all later ones (`PosixRule`). The files
// come from the operator's machine, and are still read like any other input: each count is checked
// against the length of the file before anything is allocated.

internal import Wire

/// Why a file is no usable time zone.
package struct TimeZoneFileError: Error, Equatable {
  package let reason: String
}

/// The offsets of one time zone from UTC, at any instant.
///
/// Invariant: `instants` rise strictly and have one offset each in `offsets`.
package struct TimeZoneRules: Sendable, Equatable {
  /// The most bytes of a file; the longest of the data of 2025 has 3,544.
  package static let fileByteCountLimit = 65_536
  /// The offsets from UTC that RFC 8536, section 3.2, names as the extremes, in seconds.
  static let offsets = -89_999...93_599

  /// More than the seconds of any time in milliseconds.
  private static let furthestInstant: Int64 = 1 << 54

  /// Seconds since 1970 at which another offset begins.
  private let instants: [Int64]
  /// Seconds east of UTC from the instant with the same index on.
  private let offsets: [Int32]
  /// The offset before the first instant.
  private let first: Int32
  /// The rule after the last instant; nil where its offset stays.
  private let rule: PosixRule?

  /// Reads a file of version 2 or later.
  package init(_ bytes: [UInt8]) throws(TimeZoneFileError) {
    guard bytes.count <= Self.fileByteCountLimit else {
      throw TimeZoneFileError(reason: "longer than \(Self.fileByteCountLimit) bytes")
    }
    var reader = BlockReader(bytes)
    let old = try reader.readHeader()
    guard old.version >= UInt8(ascii: "2") else {
      throw TimeZoneFileError(reason: "version 1 has no times after 2037")
    }
    try reader.skip(old.byteCount(timeWidth: 4))
    let block = try reader.readHeader()
    try reader.require(block.byteCount(timeWidth: 8))
    // Times that count leap seconds are no times of POSIX.
    // guard: zone-without-leap-seconds
    guard block.leapCount == 0 else { throw TimeZoneFileError(reason: "counts leap seconds") }
    guard block.typeCount > 0 else { throw TimeZoneFileError(reason: "no type of local time") }
    let instants = reader.readTimes(block.timeCount)
    // guard: zone-times-rise
    guard zip(instants, instants.dropFirst()).allSatisfy({ $0 < $1 }) else {
      throw TimeZoneFileError(reason: "times that do not rise")
    }
    let indices = reader.readBytes(block.timeCount)
    let types = try reader.readTypes(block.typeCount)
    // guard: zone-type-exists
    guard indices.allSatisfy({ Int($0) < types.count }) else {
      throw TimeZoneFileError(reason: "a type of local time that is missing")
    }
    reader.skipRest(of: block)
    self.instants = instants
    offsets = indices.map { types[Int($0)] }
    first = types[0]
    rule = try reader.readFooter()
  }

  /// Seconds that the zone's clocks are ahead of UTC at an instant, in seconds since 1970.
  package func offset(at instant: Int64) -> Int {
    // Days of the Gregorian calendar are computed without overflow up to here.
    let instant = min(max(instant, -Self.furthestInstant), Self.furthestInstant)
    guard let last = instants.last, instant < last else {
      return rule?.offset(at: instant) ?? Int(offsets.last ?? first)
    }
    var (low, high) = (0, instants.count)
    while low < high {
      let middle = (low + high) / 2
      if instants[middle] <= instant { low = middle + 1 } else { high = middle }
    }
    return Int(low == 0 ? first : offsets[low - 1])
  }
}

/// The counts in a header: RFC 8536, section 3.1.
private struct BlockHeader {
  static let byteCount = 44
  static let magic = Array("TZif".utf8)

  let version: UInt8
  let utcCount: Int
  let standardCount: Int
  let leapCount: Int
  let timeCount: Int
  let typeCount: Int
  let characterCount: Int

  /// The bytes of the data after the header.
  ///
  /// Each count is below 2^32, so the sum does not overflow.
  func byteCount(timeWidth: Int) -> Int {
    timeCount * (timeWidth + 1) + typeCount * 6 + characterCount + leapCount * (timeWidth + 4)
      + standardCount + utcCount
  }
}

/// Reads the parts of a file in their order.
///
/// Invariant: `0 <= position <= bytes.count`. What a function without `throws` reads has been
/// required before.
private struct BlockReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func require(_ count: Int) throws(TimeZoneFileError) {
    // guard: zone-block-within-file
    guard count <= bytes.count - position else { throw TimeZoneFileError(reason: "too short") }
  }

  mutating func skip(_ count: Int) throws(TimeZoneFileError) {
    try require(count)
    position += count
  }

  mutating func readHeader() throws(TimeZoneFileError) -> BlockHeader {
    try require(BlockHeader.byteCount)
    let start = position
    guard bytes[start..<(start + 4)].elementsEqual(BlockHeader.magic) else {
      throw TimeZoneFileError(reason: "no TZif")
    }
    position += 20
    let counts = (0..<6).map { _ in Int(readNumber(4)) }
    return BlockHeader(
      version: bytes[start + 4], utcCount: counts[0], standardCount: counts[1],
      leapCount: counts[2], timeCount: counts[3], typeCount: counts[4], characterCount: counts[5])
  }

  /// Reads a big-endian number of 4 or 8 bytes.
  private mutating func readNumber(_ byteCount: Int) -> UInt64 {
    var value: UInt64 = 0
    for _ in 0..<byteCount {
      value = value << 8 | UInt64(bytes[position])
      position += 1
    }
    return value
  }

  mutating func readTimes(_ count: Int) -> [Int64] {
    (0..<count).map { _ in Int64(bitPattern: readNumber(8)) }
  }

  mutating func readBytes(_ count: Int) -> [UInt8] {
    defer { position += count }
    return Array(bytes[position..<(position + count)])
  }

  /// Reads the offsets of the types of local time; their names and flags are not needed.
  mutating func readTypes(_ count: Int) throws(TimeZoneFileError) -> [Int32] {
    var offsets: [Int32] = []
    for _ in 0..<count {
      let offset = Int32(truncatingIfNeeded: readNumber(4))
      position += 2
      // guard: zone-offset-in-range
      guard TimeZoneRules.offsets ~= Int(offset) else {
        throw TimeZoneFileError(reason: "an offset of more than a day")
      }
      offsets.append(offset)
    }
    return offsets
  }

  /// Skips the names of the types and the indicators, which the block's length includes.
  mutating func skipRest(of block: BlockHeader) {
    position += block.characterCount + block.standardCount + block.utcCount
  }

  /// Reads the TZ string between two line ends; nil when it is empty.
  mutating func readFooter() throws(TimeZoneFileError) -> PosixRule? {
    let line = bytes[position...]
    guard line.first == 0x0A, let end = line.dropFirst().firstIndex(of: 0x0A) else {
      throw TimeZoneFileError(reason: "no TZ string")
    }
    let text = line[(position + 1)..<end]
    guard !text.isEmpty else { return nil }
    guard let rule = PosixRule(text) else {
      throw TimeZoneFileError(reason: "a TZ string that POSIX does not define")
    }
    return rule
  }
}
