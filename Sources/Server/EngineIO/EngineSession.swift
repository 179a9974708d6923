// The state that a shard keeps for one Engine.IO session, in addition to its connection slot.
//
// A session has a slot in the slab like any other, with an outbox, rooms and a timer. Over
// WebSocket the slot has the socket. While the session polls, the slot has no socket: packets leave
// through a waiting poll, and a session without one is treated as blocked. Its requests may arrive
// on any connection of any shard. The session's id names its shard, and a connection with a request
// for it migrates there.

internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

/// A session's id: 128 random bits and the index of its shard.
struct EngineID: Hashable, Sendable {
  private let key: RecoveryID
  /// The index of the shard; any byte if a client made the id up.
  private let shardByte: UInt8

  var shard: Int { Int(shardByte) }

  /// Makes an id that cannot be guessed.
  static func random(on shard: Int, from kernel: Kernel) -> EngineID {
    EngineID(key: .random(from: kernel), shardByte: UInt8(truncatingIfNeeded: shard))
  }

  private init(key: RecoveryID, shardByte: UInt8) {
    self.key = key
    self.shardByte = shardByte
  }

  /// Parses a client's text; nil unless it is exactly an id's spelling.
  init?(_ text: String) {
    guard let bytes = Base64.decodeURL(text.utf8.span), let last = bytes.last,
      let key = RecoveryID(bytes: Array(bytes.dropLast()))
    else { return nil }
    self.init(key: key, shardByte: last)
  }

  /// 23 letters, digits, `-` and `_`.
  var text: String { Base64.encodeURL(key.bytes + [shardByte]) }
}

/// What a session is opened with.
struct EngineOpening {
  let id: EngineID
  /// Index of the server's path.
  let path: Int
  let messageBytesLimit: Int
  let slot: UInt32
  let usesBase64: Bool
  let opener: Result<Caller, AuthenticationFailure>
  /// Monotonic nanoseconds.
  let openedAt: UInt64
}

/// One session.
///
/// A protocol on top may derive a class from this one, so that a session is one object.
class EngineSession {
  let id: EngineID
  private let pathNumber: Int32
  private let messageLimit: Int32
  /// Index of the server's path at which it was opened.
  var path: Int { Int(pathNumber) }
  /// Bytes of one message, as the handshake said: here, because every packet of a body is checked.
  var messageBytesLimit: Int { Int(messageLimit) }
  /// Its own slot in the slab.
  let slot: UInt32
  /// The caller of the request that opened it, if it had a valid token.
  let opener: Result<Caller, AuthenticationFailure>
  /// Deadline for the client to connect to a namespace; `.max` if there is none.
  private(set) var beginsBy: UInt64
  /// When it was opened, in monotonic nanoseconds by a clock reading of its own.
  ///
  /// If a client opens one session, gets the answer and then opens another, the later session has
  /// the later time, whichever shards they are on.
  let openedAt: UInt64
  /// Whether it has ended; its slot may belong to another connection by now.
  var hasEnded = false
  /// The request that waits for the session's next packets.
  var poll: ConnectionID?
  /// Whether a body is being received for it.
  var isPosting = false
  /// The WebSocket of the latest upgrade, which may have ended since: see `EngineSessions.probe`.
  var probe: ConnectionID?
  /// Whether the client wants binary data as base64 text over a WebSocket, too.
  let usesBase64: Bool

  init(_ opening: EngineOpening, beginsBy: UInt64 = .max) {
    id = opening.id
    pathNumber = Int32(clamping: opening.path)
    messageLimit = Int32(clamping: opening.messageBytesLimit)
    slot = opening.slot
    usesBase64 = opening.usesBase64
    opener = opening.opener
    self.beginsBy = beginsBy
    openedAt = opening.openedAt
  }

  /// Whether the client has connected to a namespace, or does not have to.
  var hasBegun: Bool { beginsBy == .max }

  /// Gives the client until `deadline` to connect to a namespace.
  func awaitBeginning(until deadline: UInt64) { beginsBy = deadline }

  /// Lifts that deadline, because the client has connected.
  func noteBeginning() { beginsBy = .max }

  /// The deadline of one of its slots apart from the end of its token.
  ///
  /// `deadline` is that of the slot itself.
  func deadline(of slot: UInt32, _ deadline: UInt64) -> UInt64 {
    guard slot == self.slot else { return .max }
    return min(deadline, beginsBy, nextDeadline)
  }

  // MARK: The protocol on top

  /// The slots of the session besides its own.
  var furtherSlots: [UInt32] { [] }

  /// When `EngineUser.timerFired` has something to do; `.max` if never.
  var nextDeadline: UInt64 { .max }

  /// Forgets one of the further slots, which has ended.
  func forget(_ slot: UInt32) {}
}

/// An upgrade in progress: the activity of its WebSocket's connection.
///
/// It ends with this activity, so the session needs no report of the WebSocket's end.
final class EngineProbe {
  /// The session's id.
  let id: EngineID
  /// Whether the client's probe was answered.
  var isAnswered = false
  var assembly: MessageAssembly?

  init(id: EngineID) { self.id = id }
}

/// The purpose of a session's request.
enum EngineRequestKind {
  case poll, post
}
