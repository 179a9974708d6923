// The state of one connection, and the slab that holds the connections of a shard.
//
// An idle connection owns no buffer: `partial` and `privateBytes` are empty arrays, which allocate
// nothing, and `activity` is idle. Only this one struct in the slab remains, so its size is the
// memory cost of a connection; ConnectionTableTests holds it to its bound.
//
// Unsent bytes of a session, always in this order:
//
//     private bytes │ ranges of the outbox │ shared tail: [groupCursor, end of the group's log)
//
// Unsent bytes of an HTTP connection:
//
//     private bytes │ shared body
//
// Invariant: the ranges of a blocked connection (its socket took less than it was offered) are
// copied into `privateBytes` before their log overwrites them, so no log waits for a connection.

internal import Broadcast
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
  let rawValue: UInt32
  /// The client asked to resume, so it is also sent heartbeats that its program can see.
  static let visibleHeartbeats = ConnectionFlags(rawValue: 1 << 0)
  /// The socket took less than it was offered; the connection waits for writability.
  static let blocked = ConnectionFlags(rawValue: 1 << 1)
  /// `privateBytes` or `outbox` is not empty.
  static let queued = ConnectionFlags(rawValue: 1 << 2)
  /// The connection closes once everything is sent.
  static let closesWhenSent = ConnectionFlags(rawValue: 1 << 3)
  /// The request waits for an answer, for example from the store; no further request is read.
  static let awaitsAnswer = ConnectionFlags(rawValue: 1 << 4)
  /// A ping sent as a message is unanswered; in an event stream, the last ping was a comment.
  static let pinged = ConnectionFlags(rawValue: 1 << 6)
  /// The directory lists this slot for the user.
  static let listed = ConnectionFlags(rawValue: 1 << 7)
  /// A request on this connection has been answered before.
  static let usedBefore = ConnectionFlags(rawValue: 1 << 8)
  /// Reading is paused until the queued bytes are sent and the request is answered.
  static let readPaused = ConnectionFlags(rawValue: 1 << 9)
  /// The peer has shut down its sending side but still awaits bytes; no input follows.
  static let peerEnded = ConnectionFlags(rawValue: 1 << 10)
  /// The connection count of its address includes it.
  static let countedByAddress = ConnectionFlags(rawValue: 1 << 16)
  /// The session count of its user includes it.
  static let countedByUser = ConnectionFlags(rawValue: 1 << 17)
  /// It has not authenticated, and the shard's count of such connections includes it.
  static let unauthenticated = ConnectionFlags(rawValue: 1 << 18)
  /// Rejected by admission control: it only receives the refusal, and the shard counts it.
  static let rejected = ConnectionFlags(rawValue: 1 << 19)
  /// A session without a socket: its messages leave through polls.
  static let polling = ConnectionFlags(rawValue: 1 << 20)
  /// A secondary namespace of a session: its messages leave through the session's main slot.
  static let secondaryNamespace = ConnectionFlags(rawValue: 1 << 21)
  /// The session is not greeted yet, and no other frame may precede the greeting.
  static let handshakePending = ConnectionFlags(rawValue: 1 << 22)
  /// The kernel's limit of unsent bytes was raised for this connection.
  static let raisedSendBuffer = ConnectionFlags(rawValue: 1 << 23)
  /// The peer is a trusted proxy; its connection counts from the first request on.
  static let trustedProxy = ConnectionFlags(rawValue: 1 << 24)
  /// A request had a forwarding header, so the connection is none of this machine's own.
  static let forwarded = ConnectionFlags(rawValue: 1 << 25)
  /// The connection of a proxy is counted for the client of its latest request.
  static let clientCounted = ConnectionFlags(rawValue: 1 << 26)
  /// Its socket or its timer failed; `settle` drops the connection.
  static let failed = ConnectionFlags(rawValue: 1 << 27)
  /// Its backlog is over the limit; `settle` closes the session.
  static let tooSlow = ConnectionFlags(rawValue: 1 << 28)
  /// Nothing more is queued for it or sent to it until `settle` has ended it.
  static let givenUp: ConnectionFlags = [.failed, .tooSlow]
  /// The slot has no socket to write to.
  static let socketless: ConnectionFlags = [.polling, .secondaryNamespace]
}

/// The Engine.IO session that a slot belongs to, by the protocol that it carries.
///
/// Eight bytes, like a reference, but it needs no cast to find the kind of the session.
enum EngineLink {
  case none
  case messages(EngineSession)
  case socketIO(SocketIOSession)
}

/// The body of an answer that many connections send.
///
/// They share one copy of `bytes`; each has its own `sent`.
final class SharedBody {
  let bytes: [UInt8]
  var sent = 0

  init(bytes: [UInt8]) { self.bytes = bytes }
}

/// One connection.
///
/// The fields that a broadcast touches come first and share a cache line.
struct Connection {
  var fd: Int32 = -1
  /// Distinguishes this connection's events from those of an earlier one in the same slot.
  var generation: UInt32 = 0
  var flags: ConnectionFlags = []
  var state = ConnectionState.free
  /// The fan-out group of an open session.
  var group = FanOutGroupID(rawValue: 0)
  /// The events that epoll watches for.
  var interest: UInt8 = 0
  /// Position in the group's shared log; all bytes before it were sent or are in the outbox.
  var groupCursor: UInt64 = 0
  /// Ranges of frame logs to be sent after `privateBytes`.
  var outbox = Outbox()

  /// The private send buffer, sent first; the bytes before `privateSentCount` are already sent.
  var privateBytes: [UInt8] = []
  var privateSentCount = 0
  /// A shared body to send after `privateBytes`, if there is one.
  var sharedBody: SharedBody?
  /// Bytes of `privateBytes` that the shard's sum of blocked bytes includes.
  var blockedBytes = 0
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
  /// When a blocked connection last took a byte.
  var progressAt: UInt64 = 0
  /// The client's address: the peer's, or behind a trusted proxy the one in its header.
  var peer = PeerAddress()
  /// The client's User-Agent, one copy for all connections with the same text.
  var userAgent = ""
  /// Wall-clock time in milliseconds at which the user's session or poll was listed.
  var connectedAt: Int64 = 0
  /// The bucket of the inbound message rate.
  var messages = TokenBucket()

  /// The Engine.IO session that the slot belongs to; nil for all other connections.
  var engine: EngineSession? {
    switch engineLink {
    case .none: nil
    case .messages(let session): session
    case .socketIO(let session): session
    }
  }

  /// The session, if it carries Socket.IO.
  var socketIO: SocketIOSession? {
    if case .socketIO(let session) = engineLink { session } else { nil }
  }

  /// Bytes queued for this connection alone.
  var queuedByteCount: Int {
    privateBytes.count - privateSentCount + outbox.byteCount
      + (sharedBody.map { $0.bytes.count - $0.sent } ?? 0)
  }

  /// Whether the connection has ended and nothing was changed since.
  ///
  /// A debug build checks it of each slot that it frees. The flags, times and counters that a
  /// function may still write after an end hold no resource.
  fileprivate var isBlank: Bool {
    state == .ended && fd == -1 && generation == 0 && activity.isIdle && engine == nil
      && membership == nil && user.isEmpty && queuedByteCount == 0 && partial.isEmpty
      && blockedBytes == 0
      && flags.isDisjoint(with: [
        .listed, .blocked, .countedByAddress, .countedByUser, .unauthenticated, .rejected,
      ])
  }
}

/// The connections of one shard, each in its own slot.
///
/// The lowest free slot is taken first, so connections lie in the order in which they arrived,
/// which is the order in which a broadcast walks them. Chunks of slots are allocated on demand and
/// freed when their last connection ends.
///
/// A connection ends at once, but its slot is freed by `reap` at the end of the turn. So a function
/// may go on with a slot after a call that has ended its connection: it finds a blank connection
/// without a descriptor, to which nothing can be sent. The slot and its address stay valid for the
/// whole turn, and no other connection gets the slot in it.
///
/// Invariant: bit `slot` of `taken` is set exactly if the slot's state is not `.free`. An ended
/// slot is listed once in `ended` and has the descriptor -1 and the generation 0, which no
/// connection has.
@safe final class ConnectionTable {
  /// Slots in one chunk.
  static let slotsPerChunk = 512

  private var chunks: [UnsafeMutablePointer<Connection>?] = unsafe []
  private var taken = SlotSet()
  /// Slots of the connections that have ended since the last `reap`.
  private var ended: [UInt32] = []
  private var lastGeneration: UInt32 = 0
  /// Open connections in the table.
  private(set) var count = 0

  deinit {
    for index in unsafe chunks.indices {
      guard let chunk = unsafe chunks[index] else { continue }
      unsafe chunk.deinitialize(count: ConnectionTable.slotsPerChunk)
      unsafe chunk.deallocate()
    }
  }

  /// Takes the lowest free slot for `fd`; nil when the table already has `limit` connections.
  ///
  /// A slot without a socket has the descriptor -1.
  func insert(fd: Int32, limit: Int) -> UInt32? {
    guard count < limit else { return nil }
    let slot = taken.insertLowestFree()
    let chunk = Int(slot) / ConnectionTable.slotsPerChunk
    while unsafe chunks.count <= chunk { unsafe chunks.append(nil) }
    if unsafe chunks[chunk] == nil {
      let made = UnsafeMutablePointer<Connection>.allocate(
        capacity: ConnectionTable.slotsPerChunk)
      unsafe made.initialize(repeating: Connection(), count: ConnectionTable.slotsPerChunk)
      unsafe chunks[chunk] = made
    }
    // guard: generation-increments
    lastGeneration &+= 1
    if lastGeneration == 0 { lastGeneration = 1 }
    count += 1
    self[slot].fd = fd
    self[slot].generation = lastGeneration
    return slot
  }

  /// Ends the connection at `slot`, which must be open: releases all that its fields hold.
  ///
  /// Its generation is not reused for 2^32 connections.
  func end(_ slot: UInt32) {
    assert(isOpen(slot), "\(slot) has no connection")
    // guard: slot-cleared
    self[slot] = Connection()
    self[slot].state = .ended
    // guard: slot-kept-for-turn
    ended.append(slot)
    count -= 1
  }

  /// Frees the slots of the connections that have ended; call it where no function uses a slot.
  func reap() {
    guard !ended.isEmpty else { return }
    for slot in ended {
      assert(self[slot].isBlank, "\(slot) was changed after its connection had ended")
      free(slot)
    }
    ended.removeAll(keepingCapacity: ended.count <= ConnectionTable.slotsPerChunk)
  }

  private func free(_ slot: UInt32) {
    self[slot] = Connection()
    taken.remove(slot)
    let chunk = Int(slot) / ConnectionTable.slotsPerChunk
    let first = UInt32(chunk * ConnectionTable.slotsPerChunk)
    if taken.isEmpty(from: first, count: ConnectionTable.slotsPerChunk),
      let empty = unsafe chunks[chunk]
    {
      unsafe empty.deinitialize(count: ConnectionTable.slotsPerChunk)
      unsafe empty.deallocate()
      unsafe chunks[chunk] = nil
    }
  }

  /// Whether the connection is open.
  func holds(_ id: ConnectionID) -> Bool {
    isOpen(id.slot) && self[id.slot].generation == id.generation
  }

  /// The id of the connection in `slot`, which must be taken; one that no connection has if the
  /// connection has ended.
  func id(of slot: UInt32) -> ConnectionID {
    ConnectionID(slot: slot, generation: self[slot].generation)
  }

  /// Whether an open connection has `slot`.
  func isOpen(_ slot: UInt32) -> Bool { taken.contains(slot) && self[slot].state != .ended }

  /// Calls `body` with the slot of each open connection, lowest first.
  ///
  /// `body` may end connections; one that has ended before its turn is skipped.
  func forEachSlot(_ body: (UInt32) -> Void) {
    // A copy, so that `body` may change the set that is walked.
    let slots = taken
    slots.forEach { slot in
      if isOpen(slot) { body(slot) }
    }
  }

  /// The connection at `slot`, which must be taken.
  subscript(slot: UInt32) -> Connection {
    // Addressors, not `_read` and `_modify`: those copy into a frame of their own, which in an
    // unoptimised build ended before a part of the copy was used, as the address sanitizer showed.
    unsafeAddress { unsafe UnsafePointer(pointer(to: slot)) }
    unsafeMutableAddress { unsafe pointer(to: slot) }
  }

  /// The address of the connection in a taken slot, valid until the end of the turn.
  func pointer(to slot: UInt32) -> UnsafeMutablePointer<Connection> {
    let index = Int(slot)
    // SAFETY: the chunk of a taken slot is allocated, and the offset lies inside it. A free slot
    // may have no chunk, and then this traps.
    return unsafe chunks[index / ConnectionTable.slotsPerChunk]!
      + index % ConnectionTable.slotsPerChunk
  }
}

/// A set of slots as one bit each, walked lowest first.
struct SlotSet {
  private var words: [UInt64] = []
  /// Words before this one are all ones.
  private var firstFree = 0
  /// Number of slots in the set.
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  func contains(_ slot: UInt32) -> Bool {
    let word = Int(slot >> 6)
    return word < words.count && words[word] & (1 << UInt64(slot & 63)) != 0
  }

  /// Inserts `slot`; false when the set already has it.
  @discardableResult
  mutating func insert(_ slot: UInt32) -> Bool {
    let word = Int(slot >> 6)
    while words.count <= word { words.append(0) }
    let bit: UInt64 = 1 << UInt64(slot & 63)
    guard words[word] & bit == 0 else { return false }
    words[word] |= bit
    count += 1
    return true
  }

  @discardableResult
  mutating func remove(_ slot: UInt32) -> Bool {
    let word = Int(slot >> 6)
    guard word < words.count else { return false }
    let bit: UInt64 = 1 << UInt64(slot & 63)
    guard words[word] & bit != 0 else { return false }
    words[word] &= ~bit
    count -= 1
    firstFree = min(firstFree, word)
    return true
  }

  /// Inserts the lowest slot that is not in the set, and returns it.
  mutating func insertLowestFree() -> UInt32 {
    while firstFree < words.count, words[firstFree] == .max { firstFree += 1 }
    if firstFree == words.count { words.append(0) }
    let bit = (~words[firstFree]).trailingZeroBitCount
    words[firstFree] |= 1 << UInt64(bit)
    count += 1
    return UInt32(firstFree << 6 + bit)
  }

  /// Whether the set has none of the slots [first, first + count); both are multiples of 64.
  func isEmpty(from first: UInt32, count: Int) -> Bool {
    let start = Int(first) >> 6
    guard start < words.count else { return true }
    return words[start..<min(words.count, start + count >> 6)].allSatisfy { $0 == 0 }
  }

  /// Calls `body` with each slot, lowest first.
  ///
  /// It walks the set as it was at the start: changes that `body` makes to another copy of the set
  /// have no effect.
  func forEach(_ body: (UInt32) -> Void) {
    for (index, word) in words.enumerated() where word != 0 {
      var rest = word
      while rest != 0 {
        let bit = rest.trailingZeroBitCount
        rest &= rest - 1
        body(UInt32(index << 6 + bit))
      }
    }
  }

  /// Empties the set and keeps its memory.
  mutating func removeAll() {
    for index in words.indices { words[index] = 0 }
    count = 0
    firstFree = 0
  }
}
