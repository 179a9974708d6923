// Readability, writability and hang-up as a set of bits, for interests and for events alike.

internal import CReactor

/// The readiness that a descriptor is watched for, or that an event reports.
///
/// Not an `OptionSet`: from another target, that protocol's operations are calls through a witness
/// table.
package struct Interest: Equatable, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Hang-up only, which is always watched.
  package static let none = Interest(rawValue: 0)
  /// Bytes or a connection are available, or the peer has closed its side.
  package static let readable = Interest(rawValue: UInt32(CL_READABLE))
  /// The send buffer has room.
  package static let writable = Interest(rawValue: UInt32(CL_WRITABLE))
  /// The connection is closed in both directions, or has an error pending.
  package static let hangup = Interest(rawValue: UInt32(CL_HANGUP))

  /// Whether it includes all of `other`.
  package func contains(_ other: Interest) -> Bool { rawValue & other.rawValue == other.rawValue }

  /// The union of both sets.
  package func union(_ other: Interest) -> Interest {
    Interest(rawValue: rawValue | other.rawValue)
  }

  /// Adds `other`.
  package mutating func insert(_ other: Interest) { self = union(other) }
}
