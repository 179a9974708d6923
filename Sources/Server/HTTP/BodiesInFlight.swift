// Bytes of request bodies in memory on one shard, and the limit on them.

internal import Wire

/// Counts the bytes of bodies that are being received, or that the store still holds.
///
/// Invariant: `requestByteCount` is the sum of `countedBytes` over all requests in progress.
struct BodiesInFlight {
  private let byteLimit: Int
  /// Bytes of the requests in progress.
  private(set) var requestByteCount = 0
  /// Bytes of publishes that were answered before the store was done with them.
  private var relayedByteCount = 0

  init(byteLimit: Int) { self.byteLimit = byteLimit }

  /// All bytes of bodies in flight.
  var byteCount: Int { requestByteCount + relayedByteCount }

  /// Whether more bytes are in flight than the limit allows.
  ///
  /// `hasRoom` checks each head alone and reserves nothing, since a head may announce a body that
  /// never arrives. So several admitted bodies can exceed the limit together.
  var isOverLimit: Bool { byteCount > byteLimit }

  /// Whether the body that `head` announces, of at most `bodyLimit` bytes, fits into the limit.
  func hasRoom(for head: HTTPRequestHead, bodyLimit: Int) -> Bool {
    let claimed = head.contentLength ?? (head.isChunked ? bodyLimit : 0)
    return byteCount + claimed <= byteLimit
  }

  /// Updates the count of a request to its present bytes.
  mutating func count(_ exchange: Exchange) {
    let count = exchange.body.count + exchange.heldBytes
    requestByteCount += count - exchange.countedBytes
    exchange.countedBytes = count
  }

  /// Counts the body of a publish that was answered early, until the store is done with it.
  mutating func beginRelay(byteCount: Int) { relayedByteCount += byteCount }

  /// Uncounts the body of a publish that was answered early.
  mutating func endRelay(byteCount: Int) {
    relayedByteCount -= byteCount
    assert(relayedByteCount >= 0, "\(relayedByteCount) relayed bytes")
  }
}
