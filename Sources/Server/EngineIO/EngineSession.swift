// What a shard keeps for one session of Engine.IO, beside the connection that every session is.
//
// A session has a place in the slab like any other, with an outbox, rooms and a timer. Over
// WebSocket the place has the socket. While it is polled the place has none: what it is sent leaves
// through whichever request waits, and a session without a waiting request is one whose socket
// takes nothing. Its requests may come on any connection to any shard; the session's name says
// which shard it lives on, and a connection that asks for it is handed over to that one.

internal import Notifications
internal import Reactor
internal import Wire

/// What a session is known by: 128 random bits, and the shard that it lives on.
struct EngineID: Hashable, Sendable {
  private let key: RecoveryID
  /// The shard's number as the server counts them, if the id is one of its own.
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

  /// Reads what a client sent; nil unless it is exactly an id's spelling.
  init?(_ text: String) {
    guard let bytes = Base64.decodeURL(text.utf8.span), let last = bytes.last,
      let key = RecoveryID(bytes: Array(bytes.dropLast()))
    else { return nil }
    self.init(key: key, shardByte: last)
  }

  /// 23 letters, digits, `-` and `_`.
  var text: String { Base64.encodeURL(key.bytes + [shardByte]) }
}

/// One session.
///
/// A class for what is spoken over it may derive from this one, so that a session is one object.
class EngineSession {
  let id: EngineID
  private let pathNumber: Int32
  private let messageLimit: Int32
  /// Which of the server's paths it was opened at.
  var path: Int { Int(pathNumber) }
  /// Bytes of one message, as it was told: here, because each packet of a body is held to it.
  var messageBytesLimit: Int { Int(messageLimit) }
  /// Its place in the slab.
  let slot: UInt32
  /// Whether it is over: its place may be another's by now.
  var hasEnded = false
  /// The request that waits for what the session is sent.
  var poll: ConnectionID?
  /// Whether a body is being received for it.
  var isPosting = false
  /// The WebSocket that is to take the session over, and whether it has been shown to work.
  var probe: ConnectionID?
  var isProbed = false
  /// Whether the client wants binary data as text over a WebSocket, too.
  let usesBase64: Bool
  /// Who the request that opened it came from, if that showed a good token.
  let opener: Caller?
  /// When it is ended unless what is spoken over it has begun.
  var beginsBy: UInt64
  /// Monotonic nanoseconds, by a look at the clock of its own: a client that opens one, hears its
  /// answer and then opens another has the later with the later time, whichever shards they are on.
  let openedAt: UInt64

  init(
    id: EngineID, path: Int, messageBytesLimit: Int, slot: UInt32, usesBase64: Bool,
    opener: Caller?, beginsBy: UInt64, openedAt: UInt64
  ) {
    self.id = id
    pathNumber = Int32(clamping: path)
    messageLimit = Int32(clamping: messageBytesLimit)
    self.slot = slot
    self.usesBase64 = usesBase64
    self.opener = opener
    self.beginsBy = beginsBy
    self.openedAt = openedAt
  }
}

/// A WebSocket that is to take a session over: what its connection is busy with until then.
final class EngineProbe: HoldsAssembly {
  let id: EngineID
  var assembly: MessageAssembly?

  init(id: EngineID) { self.id = id }
}

/// What a request of a session's is for.
enum EngineRequestKind {
  case poll, post
}
