// Bytes of request bodies in memory on one shard, and the shares of callers in them.
//
// Each class of callers has a budget of its own, so bodies that callers without a token hold cannot
// refuse a publish. Within a class a user, and an address without a token, has at most a part.

internal import Notifications
internal import Reactor
internal import Wire

/// The caller that a body is counted for.
///
/// It is known before the first byte of the body is read: from the token or key in the head, or
/// from the session that the request addresses.
enum BodyHolder: Hashable {
  case publishers
  case user(TextKey)
  /// A caller without a token, by its address.
  case stranger(AddressKey)

  /// The holder of a body from `caller` at `peer`.
  init(_ caller: Caller, at peer: PeerAddress) {
    if caller.isPublisher {
      self = .publishers
    } else if case .anyone = caller.identity {
      self = .stranger(AddressKey(peer))
    } else {
      self = .user(TextKey(caller.scope))
    }
  }
}

/// Counts the bytes of bodies that are being received, or that the store still holds.
///
/// Invariant: each count is the sum of `countedBytes` over its requests in progress; the count of
/// publishers includes relayed publishes. A holder without bytes has no entry.
struct BodiesInFlight {
  /// The part of its class that one user, or one address without a token, may hold: one of so many.
  static let holderShareFactor = 8

  private let limits: Limits
  private var publisherByteCount = 0
  private var userByteCount = 0
  private var strangerByteCount = 0
  /// The bytes of each user and of each address without a token.
  private var byteCounts: [BodyHolder: Int] = [:]
  /// Bytes of publishes that were answered before the store was done with them.
  private var relayedByteCount = 0

  init(_ limits: Limits) { self.limits = limits }

  /// All bytes of bodies in flight.
  var byteCount: Int { publisherByteCount + userByteCount + strangerByteCount }

  /// Bytes of the requests in progress.
  var requestByteCount: Int { byteCount - relayedByteCount }

  /// Whether more bytes are in flight than the share of the request's caller allows.
  ///
  /// `hasRoom` checks each head alone and reserves nothing, since a head may announce a body that
  /// never arrives. So several admitted bodies can exceed a share together.
  func isOverLimit(_ exchange: Exchange) -> Bool {
    !allows(exchange.bodyHolder, exchange.countedBytes, besides: exchange.countedBytes)
  }

  /// Whether the body that `head` announces, of at most `bodyLimit` bytes, fits into the share of
  /// `holder`.
  func hasRoom(for head: HTTPRequestHead, bodyLimit: Int, of holder: BodyHolder) -> Bool {
    allows(holder, head.contentLength ?? (head.isChunked ? bodyLimit : 0), besides: 0)
  }

  /// Whether `holder` may hold `count` bytes, in addition to its others; `counted` of them are
  /// counted already.
  private func allows(_ holder: BodyHolder, _ count: Int, besides counted: Int) -> Bool {
    let (all, limit) =
      switch holder {
      // guard: publishers-have-their-own-body-share
      case .publishers: (publisherByteCount, limits.publisherBodiesBytesLimit)
      case .user: (userByteCount, limits.userBodiesBytesLimit)
      case .stranger: (strangerByteCount, limits.strangerBodiesBytesLimit)
      }
    guard all - counted + count <= limit else { return false }
    // A single body may have all of the share, however large a configured body is.
    // guard: body-share-of-holder
    let others = (byteCounts[holder] ?? 0) - counted
    return others <= 0 || others + count <= limit / BodiesInFlight.holderShareFactor
  }

  /// Updates the count of a request to its present bytes.
  mutating func count(_ exchange: Exchange) {
    let count = exchange.body.count + exchange.heldBytes
    let change = count - exchange.countedBytes
    guard change != 0 else { return }
    exchange.countedBytes = count
    add(change, to: exchange.bodyHolder)
  }

  private mutating func add(_ change: Int, to holder: BodyHolder) {
    switch holder {
    case .publishers:
      publisherByteCount += change
      assert(publisherByteCount >= 0, "\(publisherByteCount) bytes of publishers")
      return
    case .user: userByteCount += change
    case .stranger: strangerByteCount += change
    }
    let left = (byteCounts[holder] ?? 0) + change
    assert(left >= 0, "\(left) bytes of a holder")
    byteCounts[holder] = left > 0 ? left : nil
  }

  /// Counts the body of a publish that was answered early, until the store is done with it.
  mutating func beginRelay(byteCount: Int) {
    relayedByteCount += byteCount
    add(byteCount, to: .publishers)
  }

  /// Uncounts the body of a publish that was answered early.
  mutating func endRelay(byteCount: Int) {
    relayedByteCount -= byteCount
    assert(relayedByteCount >= 0, "\(relayedByteCount) relayed bytes")
    add(-byteCount, to: .publishers)
  }

  /// The bytes of all users and strangers, added up from their holders, for an invariant.
  var heldByteCount: Int { byteCounts.values.reduce(0, +) }
}
