// Readability, writability and hang-up as a set of bits, the same for a question and its answer.

internal import CReactor

/// Which readiness a descriptor is watched for, or has.
///
/// Not an `OptionSet`: from another target, that protocol's operations are calls through a witness
/// table.
package struct Interest: Equatable, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// A hang-up alone, which is always watched for.
  package static let none = Interest(rawValue: 0)
  /// Bytes or a connection to be had, or the peer has closed its side.
  package static let readable = Interest(rawValue: UInt32(CL_READABLE))
  /// Room to send.
  package static let writable = Interest(rawValue: UInt32(CL_WRITABLE))
  /// The connection is gone in both directions, or has an error pending.
  package static let hangup = Interest(rawValue: UInt32(CL_HANGUP))

  /// Whether all of `other` is in.
  package func contains(_ other: Interest) -> Bool { rawValue & other.rawValue == other.rawValue }

  /// Those of either.
  package func union(_ other: Interest) -> Interest {
    Interest(rawValue: rawValue | other.rawValue)
  }

  /// Adds `other`.
  package mutating func insert(_ other: Interest) { self = union(other) }
}
