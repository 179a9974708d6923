// The bounds of sending. The server derives them from its configuration.

/// Bounds of one shard's frame logs, private buffers and blocked connections.
package struct DeliveryLimits: Sendable {
  /// Bytes of each frame log, a power of two.
  package let frameLogCapacity: Int
  /// Unsent bytes of one session, beyond which it is too slow.
  package let backlogBytesLimit: Int
  /// Bytes of a page of missed notifications, which may wait beside the backlog.
  package let pageBytesLimit: Int
  /// Time in which a blocked connection must take a byte.
  package let progressTimeoutMilliseconds: UInt64
  /// Time for which a peer's window must be zero for its send buffer not to be raised.
  package let zeroWindowMilliseconds: UInt32
  /// Unsent bytes that the kernel holds for a connection, at first and once raised.
  package let unsentBytesLimit: UInt32
  package let raisedUnsentBytesLimit: UInt32

  package init(
    frameLogCapacity: Int, backlogBytesLimit: Int, pageBytesLimit: Int,
    progressTimeoutMilliseconds: UInt64, zeroWindowMilliseconds: UInt32, unsentBytesLimit: UInt32,
    raisedUnsentBytesLimit: UInt32
  ) {
    self.frameLogCapacity = frameLogCapacity
    self.backlogBytesLimit = backlogBytesLimit
    self.pageBytesLimit = pageBytesLimit
    self.progressTimeoutMilliseconds = progressTimeoutMilliseconds
    self.zeroWindowMilliseconds = zeroWindowMilliseconds
    self.unsentBytesLimit = unsentBytesLimit
    self.raisedUnsentBytesLimit = raisedUnsentBytesLimit
  }
}
