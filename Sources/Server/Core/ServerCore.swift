// What all shards of a server share: immutable after start, or safe from every thread.
//
// A shard reaches another shard only through here: by the ring, which every shard sees whole, or
// by the other's mailbox.

internal import Broadcast
internal import Notifications
internal import Reactor
internal import Tokens
internal import Wire

/// A message to one shard.
enum ShardMessage: Sendable {
  /// The store's answer to a command of the connection at that place, with how many notifications
  /// the command was to publish.
  case outcome(ConnectionID, StoreOutcome, count: Int)
  /// The store's answer to a query of the connection at that place.
  case answer(ConnectionID, StoreAnswer)
  /// The store's answer to one that reads what is for everyone.
  case caughtUp(ConnectionID, StoreAnswer)
  /// The store has taken out what had expired.
  case swept(StoreOutcome)
  /// A user's first connection on some shard came, or its last one there went. Sent to the user's
  /// home shard, which alone knows how many users are connected.
  case userShardCounts(UserID, arrived: Bool)
  /// A connection's question to a room whose home the shard is.
  case room(RoomQuestion, RoomName, UserID, ShardConnectionID)
  /// What a room's home answers to the connection at that place.
  case roomAnswer(ConnectionID, RoomAnswer, RoomName)
  /// How a user is to be seen from now on by those in a room whose home the shard is.
  case roomPresence(PresenceUpdate, RoomName)
  /// What a user whose home the shard is did.
  case presence(PresenceNote, UserID)
  /// A question about the shard's own connections; the answer goes to whoever asks all shards.
  case shardQuery(ShardQueryRequest, reply: @Sendable (ShardQueryAnswer) -> Void)
  /// One shard's answer to the survey of that number.
  case shardQueryAnswer(UInt64, ShardQueryAnswer)
  /// Ask all shards, for somebody who is on none of them.
  case outsideQuery(ShardQueryRequest, done: @Sendable (ShardQueryResult) -> Void)
  /// The store's answer to a publish that nobody waits for, with how many notifications it was to
  /// publish and the bytes of its body.
  case relayed(StoreOutcome, count: Int, byteCount: Int)
  /// The store's answer to what an event of Socket.IO asked of it.
  case marked(ConnectionID, SocketIOMarking, StoreOutcome)
  /// The rooms that a client of Socket.IO which came back was in.
  case keptRooms(ConnectionID, [RoomName])
  /// A client of Socket.IO that came back has that id on the connection at that place of a shard,
  /// which it opened then, and on none that it opened earlier.
  case recovered(RecoveryID, UserID, openedAt: UInt64, at: ShardConnectionID)
  /// A connection that asks for a session which lives on the shard.
  case handedOver(HandedConnection)
  /// The session at that place is its user's oldest and has to give way to a newer one.
  case replaced(ConnectionID)
  /// Begin to send everybody away.
  case drain
  /// Everybody has gone and the store is closed: end.
  case stop
}

/// The shared parts of a running server.
final class ServerCore: Sendable {
  let configuration: Configuration
  let kernel: Kernel
  let verifier: TokenVerifier
  let origins: OriginPolicy
  let ring: BroadcastRing<Event>
  let parkers: [Parker]
  let mailboxes: [Mailbox<ShardMessage>]
  let metrics: [ShardMetrics]
  let store: any Store
  let log: Log
  let quotas: Quotas
  /// What browsers are given.
  let files: ClientFiles
  let startedAt: UInt64
  /// The store's newest offset when this began: later ones come through the ring.
  let firstOffset: UInt64

  init(
    configuration: Configuration, kernel: Kernel, ring: BroadcastRing<Event>, parkers: [Parker],
    mailboxes: [Mailbox<ShardMessage>], store: any Store, log: Log,
    files: ClientFiles = .embedded
  ) {
    self.configuration = configuration
    self.kernel = kernel
    self.ring = ring
    self.parkers = parkers
    self.mailboxes = mailboxes
    self.store = store
    self.files = files
    firstOffset = store.metrics.lastOffset
    self.log = log
    verifier = TokenVerifier(policy: configuration.tokenPolicy)
    quotas = Quotas(configuration.limits)
    origins = OriginPolicy(allowed: configuration.allowedOrigins)
    metrics = mailboxes.map { _ in ShardMetrics() }
    startedAt = kernel.monotonicMilliseconds
  }

  /// The shard that keeps count of the user, or of the members of the room, with that name.
  func ownerShard(of name: String) -> Int {
    // FNV-1a: the same on every shard, unlike Swift's own seeded hash is in another process.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(hash % UInt64(mailboxes.count))
  }
}
