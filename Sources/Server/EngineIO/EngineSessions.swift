// The Engine.IO sessions of a shard, and the protocol on top of them.
//
//     EngineRequests.swift     the requests that open a session, poll it, post to it or upgrade it
//     EngineTransport.swift    packets in and out, the heartbeat, the end
//     EngineUpgrade.swift      from polls to a WebSocket

internal import Algorithms
internal import Cryptography
internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

/// The protocol that messages of Engine.IO carry: Socket.IO.
///
/// It stands above Engine.IO, so it takes the messages by itself: see `EngineSessions.receive`.
protocol EngineUser: AnyObject {
  /// Handles deadlines that have passed.
  func timerFired(_ session: EngineSession)
  /// Sends its own sign of life with a ping.
  func pinged(_ session: EngineSession)
  /// Releases everything that belongs to the session, which has ended.
  func ended(_ session: EngineSession)
}

/// Opens, polls, upgrades and ends the Engine.IO sessions of a shard.
///
/// Invariant: `slots` has exactly the sessions that have not ended, each at its own slot. A slot
/// has the flag `polling` exactly while it is a session's own slot and has no socket, and
/// `secondaryNamespace` exactly while it is the slot of a further namespace, which sends through
/// the session's own slot. Neither kind of slot is ever read from or written to.
final class EngineSessions: ShardComponent {
  let context: ShardContext
  let connections: Connections
  let receiver: Receiver
  let admission: AdmissionControl
  let authenticator: Authenticator
  let migration: Migration
  let rooms: Rooms
  let http: HTTPConnections
  let life: SessionLife
  let reads: SessionReads
  let log: ConnectionLog
  let drain: Drain
  /// Set once, by the shard that owns both.
  unowned var user: (any EngineUser)!
  private var slots = HashIndex()
  /// Connection that took over the socket being parsed (WebSocket upgrade).
  private var upgradeSuccessor: ConnectionID?

  init(
    _ context: ShardContext, _ connections: Connections, _ receiver: Receiver,
    _ admission: AdmissionControl, _ authenticator: Authenticator, _ migration: Migration,
    _ rooms: Rooms, _ http: HTTPConnections, _ life: SessionLife, _ reads: SessionReads,
    _ log: ConnectionLog, _ drain: Drain
  ) {
    self.context = context
    self.connections = connections
    self.receiver = receiver
    self.admission = admission
    self.authenticator = authenticator
    self.migration = migration
    self.rooms = rooms
    self.http = http
    self.life = life
    self.reads = reads
    self.log = log
    self.drain = drain
  }

  /// Traps in a debug build when `slots` has other sessions than those that are open.
  func checkInvariants() {
    slots.checkInvariants()
    slots.forEach { slot in
      let session = table[slot].engineLink.session
      assert(
        table.isOpen(slot) && session?.slot == slot && session?.hasEnded == false
          && session === session.flatMap { self.session($0.id) },
        "\(slot) is not the slot of its session")
    }
  }

  /// The session of that id, if this shard has it.
  func session(_ id: EngineID) -> EngineSession? {
    let slot = slots.number(hash: id.hashValue) { table[$0].engineLink.session?.id == id }
    return slot.flatMap { table[$0].engineLink.session }
  }

  /// The upgrade of the session that is in progress; nil if there is none.
  ///
  /// An upgrade whose WebSocket ends is abandoned, and the session goes on polling.
  func probe(of session: EngineSession) -> EngineProbe? {
    guard let id = session.probe, table.holds(id) else { return nil }
    return table[id.slot].activity.probe
  }

  /// The bytes that a message to the session or probe at `slot` may have, its type digit included.
  ///
  /// Nil for other connections.
  func messageLimit(at slot: UInt32) -> Int? {
    let probe = table[slot].activity.probe.flatMap { session($0.id) }
    guard let session = table[slot].engineLink.session ?? probe else { return nil }
    return 1 + core.configuration.engines[session.path].settings.messageBytesLimit
  }

  /// Lists a session that was opened.
  func register(_ session: EngineSession) {
    slots.insert(session.slot, hash: session.id.hashValue)
  }

  /// Unlists a session that has ended.
  func unregister(_ session: EngineSession) {
    slots.remove(session.slot, hash: session.id.hashValue)
  }

  /// Notes that the connection took over the socket that is being parsed.
  func setUpgradeSuccessor(_ id: ConnectionID) { upgradeSuccessor = id }

  /// Returns the connection that took over the socket that was being parsed, once.
  func takeUpgradeSuccessor() -> ConnectionID? {
    defer { upgradeSuccessor = nil }
    return upgradeSuccessor
  }

  // MARK: Asked by tests only

  /// The number of sessions.
  var count: Int { slots.count }
}
