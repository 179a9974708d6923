// The state that all shards of a server share: immutable after start, or safe from every thread.
//
// A shard reaches another shard only through here: by the ring, where every shard reads every
// event, or by the other shard's mailbox.

internal import Broadcast
internal import Channels
internal import Delivery
internal import Notifications
internal import Reactor
internal import Tokens
internal import Wire

/// A message to one shard.
enum ShardMessage: Sendable {
  /// The store's reply to a command of that connection; `count` is the number of notifications
  /// that the command publishes.
  case outcome(ConnectionID, StoreOutcome, count: Int)
  /// The store's reply to the read of that number.
  case read(UInt64, StoreAnswer)
  /// The status that a check of the store found.
  case storeChecked(StoreStatus)
  /// The store has removed expired notifications.
  case swept(StoreOutcome)
  /// A user's first connection on some shard began, or its last one there ended. Sent to the user's
  /// owner shard, the only one that knows how many shards the user is connected to.
  case userShardCounts(UserID, arrived: Bool)
  /// A connection's request for a room that the shard owns.
  case room(RoomQuestion, RoomName, UserID, ShardConnectionID)
  /// The owner shard's reply to that connection.
  case roomAnswer(ConnectionID, RoomAnswer, RoomName)
  /// A presence update for the members of a room that the shard owns.
  case roomPresence(PresenceUpdate, RoomName, isReturn: Bool)
  /// A presence message about a user that the shard owns.
  case presence(PresenceNote, UserID)
  /// A query about the shard's own connections, and the end of the ring when it was sent; the
  /// answer goes to the querying shard.
  case shardQuery(
    ShardQueryRequest, ringEnd: UInt64, reply: @Sendable (ShardQueryAnswer) -> Void)
  /// One shard's answer to the shard query of that number.
  case shardQueryAnswer(UInt64, ShardQueryAnswer)
  /// Start a shard query for a caller outside the shards' threads.
  case outsideQuery(ShardQueryRequest, done: @Sendable (ShardQueryResult) -> Void)
  /// The store's reply to a publish without a waiting connection, with the number of its
  /// notifications and the bytes of its body.
  case relayed(StoreOutcome, count: Int, byteCount: Int)
  /// The store's reply to a command that a Socket.IO event started.
  case marked(ConnectionID, SocketIOMarking, StoreOutcome)
  /// The rooms of earlier connections are written: a recovering Socket.IO client's can be read.
  case roomsWritten(ConnectionID, RecoveryID)
  /// A Socket.IO client recovered its session on that connection, opened at that time; every
  /// earlier connection with the same recovery id is stale.
  case recovered(RecoveryID, UserID, openedAt: UInt64, at: ShardConnectionID)
  /// A connection that migrates in, because the session that it requests is on the shard.
  case handedOver(HandedConnection)
  /// Another shard needs files, or places of strangers, and has no idle connection to end.
  case makeRoom(IdleKind)
  /// From now on a webhook wants events of these types.
  case webhookTypes(WebhookTypes)
  /// The store has not recorded so many events.
  case eventsLost(Int)
  /// That session is its user's oldest and is evicted for a newer one.
  case replaced(ConnectionID)
  /// The API keys have changed; `taken` is called once the shard has the new ones.
  case apiKeys(KeyRing, taken: @Sendable () -> Void)
  /// A key was used in that minute; sent to the first shard.
  case keyUsed(APIKeyID, at: Int64)
  /// The set of fetched keys has changed.
  case keysChanged
  /// The set of keys could not be fetched.
  case keysNotFetched
  /// Begin the drain.
  case drain
  /// The drain is over and the store is closed: end the thread.
  case stop
}

/// The shared parts of a running server.
final class ServerCore: Sendable {
  let configuration: Configuration
  let kernel: Kernel
  /// The keys of the newest fetched set; each shard copies them when it gets `keysChanged`.
  let fetchedKeys = Guarded<[VerificationKey]>([])
  /// Wakes the thread that fetches keys; nil without a source of keys.
  let unknownKeyReporter = Guarded<(@Sendable () -> Void)?>(nil)
  let origins: OriginPolicy
  let proxies: TrustedProxies
  /// The same on any shard.
  let hasWarnedOfForwarding = Guarded(false)
  let ring: BroadcastRing<Event>
  let parkers: [Parker]
  let mailboxes: [Mailbox<ShardMessage>]
  let metrics: [ShardMetrics]
  /// Written once a second by the first shard, and read when a console connects.
  let metricsHistory = Guarded(MetricsHistory())
  let store: any Store
  /// Nil where nothing is sent: in tests of one shard.
  let webhooks: WebhookSender?
  let log: Log
  /// Limits the lines about lost commits, on all shards together.
  let lossGate = RateGate(perSecondLimit: 1)
  let quotas: Quotas
  let fileBudget: FileBudget
  /// Callers of this process that wait for the store.
  let waitingCallers = WaitingCallers()
  /// The files served to browsers.
  let files: ClientFiles
  /// The time zones that users may name in their preferences.
  let timeZones: TimeZoneTable
  let startedAt: UInt64
  /// The store's newest offset at the start; later events come through the ring.
  let firstOffset: UInt64
  /// The API keys at the start; later ones come by mailbox.
  let firstKeys: KeyRing

  init(
    configuration: Configuration, kernel: Kernel, ring: BroadcastRing<Event>, parkers: [Parker],
    mailboxes: [Mailbox<ShardMessage>], store: any Store, webhooks: WebhookSender? = nil, log: Log,
    files: ClientFiles = .embedded, otherFileCount: Int = 0, timeZones: TimeZoneTable = .empty
  ) {
    self.configuration = configuration
    self.kernel = kernel
    self.ring = ring
    self.parkers = parkers
    self.mailboxes = mailboxes
    self.store = store
    self.webhooks = webhooks
    self.files = files
    self.timeZones = timeZones
    firstOffset = store.lastOffset
    firstKeys = KeyRing(store.apiKeys)
    self.log = log
    quotas = Quotas(configuration.limits)
    fileBudget = FileBudget(
      configuration.limits, limit: kernel.openFilesLimit, otherCount: otherFileCount)
    proxies = configuration.trustedProxies
    origins = OriginPolicy(allowed: configuration.allowedOrigins)
    metrics = mailboxes.map { _ in ShardMetrics() }
    startedAt = kernel.monotonicMilliseconds
  }

  /// Puts an event that belongs to a commit into the ring, when there is room for it.
  ///
  /// For the store's thread only: the shards never wait for that thread, so the ring always drains.
  func publishCommitted(_ event: Event) {
    while !ring.offer(event) { kernel.pause() }
  }

  /// The owner shard of the user or room with that name.
  func ownerShard(of name: String) -> Int {
    // FNV-1a is the same on every shard and in every process; Swift's hash has a seed per process.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(hash % UInt64(mailboxes.count))
  }
}
