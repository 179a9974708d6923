// The name of a frame log inside its shard, as small as it can be: an outbox keeps one in padding.

/// Names one frame log of a shard.
///
/// One byte. The server decides which log has which id; here it only tells two logs apart.
package struct LogID: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  package let rawValue: UInt8

  package init(rawValue: UInt8) { self.rawValue = rawValue }
}
