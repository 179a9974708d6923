// What a shard keeps for one connection, and the slab that holds them.
//
// An idle connection owns no buffer: `partial` and `privateBytes` are empty arrays, which allocate
// nothing, and `task` is nil. What is left is this one struct in the slab, so its size is the
// price of a connection; MemoryTests hold it to its bound.
//
// Order of what a connection still has to be sent, always:
//
//     owned  │ ranges of the outbox │ shared tail: [sharedThrough, end of the group's shared log)
//
// While it speaks HTTP:
//
//     owned  │ lent
//
// Invariant: the ranges of a blocked connection (one whose socket took less than it was given) are
// copied into `privateBytes` before their log comes round to them, so that no log has to wait for it.

internal import Broadcast
internal import Notifications
internal import Reactor

/// Where a connection is in its life.
enum ConnectionState: UInt8 {
  /// The place is free.
  case free
  /// Speaking HTTP.
  case http
  /// An open session: WebSocket in both directions, or an event stream to the client.
  case session
  /// Our close frame is on its way: what the client still sends is ignored.
  case closing
  /// Nothing more is sent: waiting for the peer's end of stream.
  case lingering
}

/// What is true of a connection just now.
struct ConnectionFlags: OptionSet {
  let rawValue: UInt32
  /// It is in this turn's set of connections that have something to send.
  static let dirty = ConnectionFlags(rawValue: 1 << 0)
  /// The socket took less than it was given; writability is awaited.
  static let blocked = ConnectionFlags(rawValue: 1 << 1)
  /// `privateBytes` or `outbox` is not empty.
  static let queued = ConnectionFlags(rawValue: 1 << 2)
  /// Close once everything is sent.
  static let closesWhenSent = ConnectionFlags(rawValue: 1 << 3)
  /// A store's answer is awaited; no further request is read.
  static let awaitsAnswer = ConnectionFlags(rawValue: 1 << 4)
  /// `task` is a `Replay`: the store's missed notifications are sent before live ones.
  static let replaying = ConnectionFlags(rawValue: 1 << 5)
  /// A ping that is a message is unanswered.
  static let pinged = ConnectionFlags(rawValue: 1 << 6)
  /// The user is in the directory under this place.
  static let listed = ConnectionFlags(rawValue: 1 << 7)
  /// A request on this connection has been answered before.
  static let usedBefore = ConnectionFlags(rawValue: 1 << 8)
  /// Reading is paused until what is queued has been sent or answered.
  static let readPaused = ConnectionFlags(rawValue: 1 << 9)
  /// The peer has ended its side and is still owed something: there is nothing more to read.
  static let peerEnded = ConnectionFlags(rawValue: 1 << 10)
  /// Upgraded without a token: nobody yet, and no group's member, until a message brings one.
  static let awaitsToken = ConnectionFlags(rawValue: 1 << 11)
  /// Its address' count includes it.
  static let countedByAddress = ConnectionFlags(rawValue: 1 << 16)
  /// Its user's count of sessions includes it.
  static let countedByUser = ConnectionFlags(rawValue: 1 << 17)
  /// It has not shown who it is, and the shard's count of such includes it.
  static let unauthenticated = ConnectionFlags(rawValue: 1 << 18)
  /// It came too many, and is only being told so.
  static let rejected = ConnectionFlags(rawValue: 1 << 19)
  /// A session that has no socket of its own: what it is sent leaves through polls.
  static let polling = ConnectionFlags(rawValue: 1 << 20)
  /// A further namespace of a session, whose messages leave through the session's own place.
  static let secondaryNamespace = ConnectionFlags(rawValue: 1 << 21)
  /// What began is not told to the client yet, and nothing else may be before it.
  static let handshakePending = ConnectionFlags(rawValue: 1 << 22)
  /// The kernel has been told to take a burst for it.
  static let raisedSendBuffer = ConnectionFlags(rawValue: 1 << 23)
  /// There is no socket to write to.
  static let socketless: ConnectionFlags = [.polling, .secondaryNamespace]
}

/// The body of an answer that many are sent: all hold one copy, and each its own place in it.
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
  /// Tells this connection's events from those of an earlier one in the same place.
  var generation: UInt32 = 0
  var flags: ConnectionFlags = []
  var state = ConnectionState.free
  /// The fan-out group of an open session.
  var group = FanOutGroupID(rawValue: 0)
  /// What epoll watches for.
  var interest: UInt8 = 0
  /// Everything of the group's shared log before this was sent or is in the outbox.
  var groupCursor: UInt64 = 0
  /// Ranges of frame logs to be sent after `privateBytes`.
  var outbox = Outbox()

  /// Bytes of its own to be sent first; those before `privateSentCount` were.
  var privateBytes: [UInt8] = []
  var privateSentCount = 0
  /// What is sent after `privateBytes` and is not its own; nil: nothing.
  var sharedBody: SharedBody?
  /// Bytes of `privateBytes` that the shard's sum of blocked bytes includes.
  var blockedBytes = 0
  /// The unfinished tail of what was received.
  var partial: [UInt8] = []
  /// What is under way: an `Exchange` while a request is, a `MessageAssembly` while a message is in
  /// fragments, a `Replay` while one is resumed, a `Fetch` while a page is read for the client, a
  /// `PendingAuthentication` while a token is awaited.
  ///
  /// Nil when idle.
  var task: AnyObject?
  /// The user of an open session.
  var user: UserID = ""
  /// The rooms of an open session; nil while it is in none and may enter any.
  var membership: Membership?
  /// The session of Engine.IO that the place belongs to; nil for all others.
  var engine: EngineSession?
  /// The wall clock at which the token ends, in seconds; `Int64.max` when it does not.
  var tokenEnd = Int64.max
  /// When a byte last came from the peer.
  var lastReceivedAt: UInt64 = 0
  /// When the present state's time is up: of a request, of a close.
  var deadline: UInt64 = .max
  /// When a blocked connection last took a byte.
  var progressAt: UInt64 = 0
  var peer = PeerAddress()
  /// What the client's program calls itself, shared with others of the same name.
  var userAgent = ""
  /// The wall clock at which the user's session or poll was listed, in milliseconds.
  var connectedAt: Int64 = 0
  /// Its share of messages.
  var messages = TokenBucket()

  /// Bytes queued for this connection alone.
  var queuedByteCount: Int {
    privateBytes.count - privateSentCount + outbox.byteCount
      + (sharedBody.map { $0.bytes.count - $0.sent } ?? 0)
  }
}

/// The connections of one shard, each in a place of its own.
///
/// Places are handed out lowest first, so connections lie in the order in which they came, which
/// is the order in which a broadcast walks them. Chunks of places are allocated as they are needed
/// and given back when the last connection in them has gone.
///
/// Invariant: bit `slot` of `taken` is set exactly if the place's state is not `.free`.
@safe final class ConnectionTable {
  /// Places to a chunk.
  static let slotsPerChunk = 512

  private var chunks: [UnsafeMutablePointer<Connection>?] = unsafe []
  private var taken = SlotSet()
  private var lastGeneration: UInt32 = 0
  /// Connections in the table.
  private(set) var count = 0

  deinit {
    for index in unsafe chunks.indices {
      guard let chunk = unsafe chunks[index] else { continue }
      unsafe chunk.deinitialize(count: ConnectionTable.slotsPerChunk)
      unsafe chunk.deallocate()
    }
  }

  /// Takes the lowest free place for `fd`; nil when `limit` connections are there already.
  ///
  /// A place without a socket has -1.
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
    count += 1
    self[slot].fd = fd
    self[slot].generation = lastGeneration
    return slot
  }

  /// Gives the place back; its generation never comes again in 2^32 connections.
  func remove(_ slot: UInt32) {
    // guard: slot-cleared
    self[slot] = Connection()
    taken.remove(slot)
    count -= 1
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

  /// Whether the connection is here still.
  func holds(_ id: ConnectionID) -> Bool {
    taken.contains(id.slot) && self[id.slot].generation == id.generation
  }

  /// The id of the connection in `slot`, which must be taken.
  func id(of slot: UInt32) -> ConnectionID {
    ConnectionID(slot: slot, generation: self[slot].generation)
  }

  /// Whether a connection has `slot`.
  func contains(_ slot: UInt32) -> Bool { taken.contains(slot) }

  /// Calls `body` with each taken place, lowest first.
  ///
  /// `body` may remove places; one that is gone when its turn comes is passed over.
  func forEachSlot(_ body: (UInt32) -> Void) {
    // A copy, so that `body` may change the set that is walked.
    let slots = taken
    slots.forEach { slot in
      if taken.contains(slot) { body(slot) }
    }
  }

  /// The connection at `slot`, which must be taken.
  subscript(slot: UInt32) -> Connection {
    // Addressors, not `_read` and `_modify`: those copy into a frame of their own, which in an
    // unoptimised build ended before a part of the copy was used, as the address sanitizer showed.
    unsafeAddress { unsafe UnsafePointer(pointer(to: slot)) }
    unsafeMutableAddress { unsafe pointer(to: slot) }
  }

  /// The address of a taken place's connection: valid until the place is removed.
  func pointer(to slot: UInt32) -> UnsafeMutablePointer<Connection> {
    let index = Int(slot)
    // SAFETY: the chunk of a taken place is there, and the offset lies inside it. A place that is
    // not taken may have no chunk, and then this traps.
    return unsafe chunks[index / ConnectionTable.slotsPerChunk]!
      + index % ConnectionTable.slotsPerChunk
  }
}

/// A set of places as one bit each, walked lowest first.
struct SlotSet {
  private var words: [UInt64] = []
  /// Words before this one are all ones.
  private var firstFree = 0
  /// Places in the set.
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  func contains(_ slot: UInt32) -> Bool {
    let word = Int(slot >> 6)
    return word < words.count && words[word] & (1 << UInt64(slot & 63)) != 0
  }

  /// Puts `slot` in; false when it was in already.
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

  /// Puts the lowest place in that is not in.
  mutating func insertLowestFree() -> UInt32 {
    while firstFree < words.count, words[firstFree] == .max { firstFree += 1 }
    if firstFree == words.count { words.append(0) }
    let bit = (~words[firstFree]).trailingZeroBitCount
    words[firstFree] |= 1 << UInt64(bit)
    count += 1
    return UInt32(firstFree << 6 + bit)
  }

  /// Whether none of the places [first, first + count) is in; both are multiples of 64.
  func isEmpty(from first: UInt32, count: Int) -> Bool {
    let start = Int(first) >> 6
    guard start < words.count else { return true }
    return words[start..<min(words.count, start + count >> 6)].allSatisfy { $0 == 0 }
  }

  /// Calls `body` with each place, lowest first.
  ///
  /// Places that `body` adds or removes in a mutable copy elsewhere do not matter: this walks what
  /// was there when it began.
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
