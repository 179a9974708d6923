// The part of a connection that sending does not use, and the slab that holds the connections of a
// shard. Delivery has the other part, at the same slot: `SendState`.
//
// An idle connection owns no buffer: `partial` is an empty array, which allocates nothing, and
// `activity` is idle. Only the structs in the two slabs remain, so their size is the memory cost of
// a connection; ConnectionTableTests holds them to their bound.

internal import Delivery
internal import Notifications
internal import Reactor

/// The phase of a connection's life.
enum ConnectionState: UInt8 {
  /// The slot is free.
  case free
  /// Speaking HTTP.
  case http
  /// An open session: WebSocket in both directions, or an event stream to the client.
  case session
  /// The last bytes, a close frame or a final answer, are queued; further input is ignored.
  case closing
  /// All bytes are sent; waiting for the peer's end of stream.
  case lingering
  /// Over: no descriptor, no bytes, in no set. The slot is freed at the end of the turn.
  case ended
}

/// The current flags of a connection.
struct ConnectionFlags: OptionSet {
  let rawValue: UInt16
  /// The client asked to resume, so it is also sent heartbeats that its program can see.
  static let visibleHeartbeats = ConnectionFlags(rawValue: 1 << 0)
  /// The connection closes once everything is sent.
  static let closesWhenSent = ConnectionFlags(rawValue: 1 << 1)
  /// The request waits for an answer, for example from the store; no further request is read.
  static let awaitsAnswer = ConnectionFlags(rawValue: 1 << 2)
  /// A ping sent as a message is unanswered; in an event stream, the last ping was a comment.
  static let pinged = ConnectionFlags(rawValue: 1 << 3)
  /// The directory lists this slot for the user.
  static let listed = ConnectionFlags(rawValue: 1 << 4)
  /// A request on this connection has been answered before.
  static let usedBefore = ConnectionFlags(rawValue: 1 << 5)
  /// The connection count of its address includes it.
  static let countedByAddress = ConnectionFlags(rawValue: 1 << 6)
  /// The session count of its user includes it.
  static let countedByUser = ConnectionFlags(rawValue: 1 << 7)
  /// It has not authenticated, and the shard's count of such connections includes it.
  static let unauthenticated = ConnectionFlags(rawValue: 1 << 8)
  /// Rejected by admission control: it only receives the refusal, and the shard counts it.
  static let rejected = ConnectionFlags(rawValue: 1 << 9)
  /// The peer is a trusted proxy; its connection counts from the first request on.
  static let trustedProxy = ConnectionFlags(rawValue: 1 << 10)
  /// A request had a forwarding header, so the connection is none of this machine's own.
  static let forwarded = ConnectionFlags(rawValue: 1 << 11)
  /// The connection of a proxy is counted for the client of its latest request.
  static let clientCounted = ConnectionFlags(rawValue: 1 << 12)
  /// The latest request that was answered had a valid token or key.
  static let latestAuthenticated = ConnectionFlags(rawValue: 1 << 13)
}

/// The Engine.IO session that a slot belongs to, by the protocol that it carries.
///
/// Eight bytes, like a reference, but it needs no cast to find the kind of the session.
enum EngineLink {
  case none
  case messages(EngineSession)
  case socketIO(SocketIOSession)

  var isNone: Bool { if case .none = self { true } else { false } }

  /// The session; nil if there is none.
  var session: EngineSession? {
    switch self {
    case .none: nil
    case .messages(let session): session
    case .socketIO(let session): session
    }
  }

  /// The session, if it carries Socket.IO.
  var socketIO: SocketIOSession? {
    if case .socketIO(let session) = self { session } else { nil }
  }
}

/// The part of one connection that sending does not use.
///
/// Properties that are read for each frame are stored: a computed one takes a copy of the whole
/// struct, which retains and releases each of its references.
struct Connection {
  var flags: ConnectionFlags = []
  var state = ConnectionState.free
  /// The client's address: the peer's, or behind a trusted proxy the one in its header.
  ///
  /// Its 20 bytes fill the word that the flags begin.
  var peer = PeerAddress()
  /// The received bytes that do not form a whole request or frame yet.
  var partial: [UInt8] = []
  var activity = Activity.idle
  /// The user of an open session.
  var user: UserID = ""
  /// The rooms of an open session; nil while it is in none and may enter any.
  var membership: Membership?
  var engineLink = EngineLink.none
  /// Wall-clock time in seconds at which the token expires; `Int64.max`: never.
  var tokenEnd = Int64.max
  /// When the peer last sent a byte.
  var lastReceivedAt: UInt64 = 0
  /// Deadline of the current state, for example of a request or of a close.
  var deadline: UInt64 = .max
  /// The client's User-Agent; nil if it sent none.
  var userAgent: UserAgent?
  /// Wall-clock time in milliseconds at which the user's session or poll was listed.
  var connectedAt: Int64 = 0
  /// The bucket of the inbound message rate.
  var messages = TokenBucket()

  /// Whether no request has begun on the HTTP connection since its last answer.
  var isBetweenRequests: Bool {
    state == .http && flags.contains(.usedBefore) && activity.exchange?.head == nil
  }

  /// Whether the connection has ended and nothing was changed since.
  ///
  /// A debug build checks it of each slot that it frees. The flags, times and counters that a
  /// function may still write after an end hold no resource.
  fileprivate var isBlank: Bool {
    state == .ended && activity.isIdle && engineLink.session == nil && membership == nil
      && user.isEmpty
      && partial.isEmpty
      && flags.isDisjoint(with: [
        .listed, .countedByAddress, .countedByUser, .unauthenticated, .rejected,
      ])
  }
}

/// The connections of one shard, each at the slot that `SendTable` gives it.
///
/// `SendTable` describes the life of a slot.
///
/// Invariant: a chunk is allocated exactly if a slot in it is taken in `slots`; an ended slot has
/// the state `.ended`, and a free one `.free`.
@safe final class ConnectionTable {
  private let slots: SendTable
  /// Unchecked: `insert` and `reap` alone change it, and neither calls anything that does.
  @exclusivity(unchecked) private var chunks: [UnsafeMutablePointer<Connection>?] = unsafe []

  init(_ slots: SendTable) { self.slots = slots }

  deinit {
    for index in unsafe chunks.indices {
      guard let chunk = unsafe chunks[index] else { continue }
      unsafe chunk.deinitialize(count: SendTable.slotsPerChunk)
      unsafe chunk.deallocate()
    }
  }

  /// Open connections in the table.
  var count: Int { slots.count }

  /// Takes the lowest free slot for `fd`; see `SendTable`.
  func insert(fd: Int32, _ flags: SendFlags = [], limit: Int) -> UInt32? {
    guard let slot = slots.insert(fd: fd, flags, limit: limit) else { return nil }
    let chunk = Int(slot) / SendTable.slotsPerChunk
    while unsafe chunks.count <= chunk { unsafe chunks.append(nil) }
    if unsafe chunks[chunk] == nil {
      let made = UnsafeMutablePointer<Connection>.allocate(capacity: SendTable.slotsPerChunk)
      unsafe made.initialize(repeating: Connection(), count: SendTable.slotsPerChunk)
      unsafe chunks[chunk] = made
    }
    return slot
  }

  /// Ends the connection at `slot`, which must be open: releases all that its fields hold.
  func end(_ slot: UInt32) {
    slots.end(slot)
    // guard: slot-cleared
    self[slot] = Connection()
    self[slot].state = .ended
  }

  /// Frees the slots of the connections that have ended; call it where no function uses a slot.
  func reap() {
    slots.reap { slot, emptyChunk in
      assert(self[slot].isBlank, "\(slot) was changed after its connection had ended")
      self[slot] = Connection()
      guard let emptyChunk, let empty = unsafe chunks[emptyChunk] else { return }
      unsafe empty.deinitialize(count: SendTable.slotsPerChunk)
      unsafe empty.deallocate()
      unsafe chunks[emptyChunk] = nil
    }
  }

  /// Whether the connection is open.
  func holds(_ id: ConnectionID) -> Bool { slots.holds(id) }

  /// The id of the connection in `slot`; see `SendTable`.
  func id(of slot: UInt32) -> ConnectionID { slots.id(of: slot) }

  /// Whether an open connection has `slot`.
  func isOpen(_ slot: UInt32) -> Bool { slots.isOpen(slot) }

  /// Calls `body` with the slot of each open connection, lowest first; see `SendTable`.
  func forEachSlot(_ body: (UInt32) -> Void) { slots.forEachSlot(body) }

  /// The connection at `slot`, which must be taken.
  subscript(slot: UInt32) -> Connection {
    // Addressors, for the reason that `SendTable` gives.
    unsafeAddress { unsafe UnsafePointer(pointer(to: slot)) }
    unsafeMutableAddress { unsafe pointer(to: slot) }
  }

  @inline(__always)
  private func pointer(to slot: UInt32) -> UnsafeMutablePointer<Connection> {
    let index = Int(slot)
    // SAFETY: the chunk of a taken slot is allocated, and the offset lies inside it. A free slot
    // may have no chunk, and then this traps.
    return unsafe chunks[index / SendTable.slotsPerChunk]! + index % SendTable.slotsPerChunk
  }
}
