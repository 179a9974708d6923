// Identifies the message in a frame and stores its intended send time.
//
// Each published payload holds `"carillon-bench":"RRRRRRRR-SSSSSSSS"`: the run's random name, so
// that another load test against the same server is not counted, and the message's sequence number,
// both in hexadecimal. Publisher and fleet share one process, so the send time stays in a table
// here, and the hot path compares sixteen bytes instead of parsing a timestamp per frame.

internal import Reactor

/// The messages of one run: their marks on the wire and their intended send times.
///
/// Confined to the thread of its load test.
final class MessageLedger {
  /// The number of newest messages with a known send time.
  static let capacity = 65_536

  /// The bytes before the sequence number.
  let prefix: [UInt8]
  /// The last eight bytes of the prefix, little-endian: seven of the run's digits and the dash.
  let runDigits: UInt64
  /// The sequence number of the next message; the first is 1.
  private(set) var next: UInt32 = 1
  private var digits: [UInt64]
  private var intended: [UInt64]

  init(run: [UInt8] = Kernel.real.randomBytes(count: 4)) {
    var prefix = Array("\"carillon-bench\":\"".utf8)
    for byte in run { prefix.append(contentsOf: [Self.digit(byte >> 4), Self.digit(byte & 15)]) }
    prefix.append(UInt8(ascii: "-"))
    self.prefix = prefix
    runDigits = Self.load(prefix.span, at: prefix.count - 8)
    digits = Array(repeating: 0, count: Self.capacity)
    intended = Array(repeating: 0, count: Self.capacity)
  }

  /// Assigns the next sequence number and stores the message's intended send time.
  func issue(at nanoseconds: UInt64) -> UInt32 {
    let sequence = next
    next &+= 1
    let slot = Int(sequence) & (Self.capacity - 1)
    digits[slot] = Self.digits(of: sequence)
    intended[slot] = nanoseconds
    return sequence
  }

  /// Appends the member that marks a message.
  func appendMark(_ sequence: UInt32, into bytes: inout [UInt8]) {
    bytes.append(contentsOf: prefix)
    let digits = Self.digits(of: sequence)
    for index in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: digits >> UInt64(8 * index))) }
    bytes.append(UInt8(ascii: "\""))
  }

  /// The eight digits of a message as one little-endian word.
  @inline(__always)
  func expectedDigits(of sequence: UInt32) -> UInt64 {
    digits[Int(sequence) & (Self.capacity - 1)]
  }

  /// The intended send time of a message; nil when it was never issued or too long ago.
  @inline(__always)
  func intendedTime(of sequence: UInt32) -> UInt64? {
    let age = next &- sequence
    guard age >= 1, age <= UInt32(Self.capacity) else { return nil }
    return intended[Int(sequence) & (Self.capacity - 1)]
  }

  /// The eight bytes at `position` as one little-endian word.
  @inline(__always)
  static func load(_ bytes: borrowing Span<UInt8>, at position: Int) -> UInt64 {
    let eight = bytes.extracting(position..<position + 8)
    var value: UInt64 = 0
    for index in 0..<8 { value |= UInt64(eight[index]) << UInt64(8 * index) }
    return value
  }

  /// Searches for the mark of this run and returns its sequence number and the digits' offset.
  func find(
    in bytes: borrowing Span<UInt8>, _ payload: Range<Int>
  ) -> (sequence: UInt32, offset: Int)? {
    let last = payload.upperBound - prefix.count - 8
    guard last >= payload.lowerBound else { return nil }
    var start = payload.lowerBound
    search: while start <= last {
      for index in prefix.indices where bytes[start + index] != prefix[index] {
        start += 1
        continue search
      }
      let offset = start + prefix.count
      guard let sequence = Self.number(from: Self.load(bytes, at: offset)) else { return nil }
      return (sequence, offset - payload.lowerBound)
    }
    return nil
  }

  static func digits(of sequence: UInt32) -> UInt64 {
    var digits: UInt64 = 0
    for index in 0..<8 {
      let nibble = UInt8(truncatingIfNeeded: sequence >> UInt32(28 - 4 * index)) & 15
      digits |= UInt64(digit(nibble)) << UInt64(8 * index)
    }
    return digits
  }

  private static func number(from digits: UInt64) -> UInt32? {
    var number: UInt32 = 0
    for index in 0..<8 {
      let byte = UInt8(truncatingIfNeeded: digits >> UInt64(8 * index))
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        number = number << 4 | UInt32(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"):
        number = number << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
      default: return nil
      }
    }
    return number
  }

  private static func digit(_ nibble: UInt8) -> UInt8 {
    nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
  }
}
