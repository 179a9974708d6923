// The questions that tests ask a shard, its connections and its Engine.IO sessions, and the few
// actions that they perform on them.
//
// Only this file reaches into the shard: the shard itself is `fileprivate` here, so the compiler
// keeps every test to these questions, and a change of the shard's parts changes this file alone.
// Each group below is named after the component that answers it.

import Notifications
import Reactor
import Testing
import Wire

@testable import Delivery
@testable import Server

/// One shard, as tests see it.
struct ShardView {
  let shard: Shard

  init(index: Int, core: ServerCore, sockets: ShardSockets) {
    shard = Shard(index: index, core: core, sockets: sockets)
  }
}

/// A shard within a turn: the reports of sending are not handled yet.
struct UnsettledShard {
  fileprivate let shard: Shard

  func deliver(_ event: Event) { shard.deliver(event) }
  func flush() { shard.delivery.flush() }

  /// Reports the connection's socket as writable.
  func becomeWritable(_ connection: ConnectionView) {
    shard.handle(.writable, at: connection.slot)
  }

  /// Closes the connection with a close frame after its queued bytes.
  func close(_ connection: ConnectionView, code: UInt16, reason: String) {
    shard.life.close(connection.slot, code: code, reason: reason)
  }
}

// MARK: Shard

extension ShardView {
  /// The milliseconds for which the next turn may sleep.
  var sleepLimitMilliseconds: Int32 { shard.waitLimit() }
  /// The wall clock that the latest turn has read, in milliseconds.
  var wallMilliseconds: Int64 { shard.wall }
  var recorder: EventRecorder { shard.recorder }

  /// Runs one turn.
  func turn() throws { try shard.turn() }

  /// Runs turns until the shard is stopped, and ends it.
  func run() throws { try shard.run() }

  /// Delivers an event as though the ring had just brought it, and handles the reports of sending.
  func deliver(_ event: Event) {
    shard.deliver(event)
    shard.settle()
  }

  /// Calls `body`, and handles the reports of sending only after it, as a turn does.
  func unsettled(_ body: (UnsettledShard) -> Void) {
    body(UnsettledShard(shard: shard))
    shard.settle()
  }

  func beginDrain() { shard.drain.begin() }

  /// Calls `take` with each event that the shard offers to observers.
  func observe(_ take: @escaping @Sendable (ObservedEvent) -> Void) {
    _ = shard.observers.add(1) { event in
      take(event)
      return true
    }
  }

  /// Ends all connections and stops accepting.
  func tearDown() {
    shard.table.forEachSlot { shard.connections.drop($0) }
    shard.table.reap()
    shard.connections.stopListening()
  }
}

// MARK: Delivery

extension ShardView {
  /// Bytes of frames after which a turn flushes.
  static let flushBytes = Delivery.flushBytes
  /// The largest frame that a flush must leave room for.
  static let largestFrameBytes = Delivery.largestFrameBytes

  var blockedConnectionCount: Int { shard.delivery.blockedCount }
  /// Bytes in the private send buffers of the blocked connections.
  var blockedByteCount: Int { shard.delivery.blockedBytes }

  /// Whether a blocked connection pins a range of any log.
  var hasPinnedRanges: Bool {
    !shard.delivery.pinned.isEmpty || shard.delivery.pinnedFrom.contains { $0 != nil }
  }

  /// The members of all fan-out groups together.
  var fanOutMemberCount: Int { shard.delivery.groups.reduce(0) { $0 + $1.members.count } }
  /// The positions between which the log of frames for single connections holds bytes.
  var directLogStart: UInt64 { shard.delivery.direct.start }
  var directLogEnd: UInt64 { shard.delivery.direct.end }

  /// Appends to the direct log until only `byteCount` bytes fit before the turn flushes.
  func fillDirectLog(leaving byteCount: UInt64) {
    let room = Delivery.flushBytes - (shard.delivery.direct.end - shard.delivery.directFlushed)
    shard.delivery.direct.append([UInt8](repeating: 0, count: Int(room - byteCount)).span)
  }

  /// Appends bytes to the logs that every open notification session reads.
  func appendToSessionLogs(_ bytes: [UInt8]) {
    for encoder in shard.fanOutGroups.all
    where encoder.kind == .withoutCursors || encoder.kind == .withCursors {
      shard.delivery.groups[encoder.id.index].log.append(bytes.span)
    }
  }

  /// Sends the queued frames of each connection, and handles the reports of the sending.
  func flush() {
    shard.delivery.flush()
    shard.settle()
  }
}

// MARK: Connections

/// A use of the slot of a connection that has ended in the same turn.
enum StaleUse: CaseIterable {
  case frame, privateBytes, range, event, answer, close, queue, timer, continuation
}

extension ShardView {
  /// Ends a connection, accepts the waiting ones, and uses the slot of the ended one, in one turn.
  func use(_ use: StaleUse, slotOf connection: ConnectionView) {
    let slot = connection.slot
    let bytes: [UInt8] = [0x81, 1, 0x78]
    shard.connections.drop(slot)
    shard.connections.accept(at: 0, makeRoom: {}, { shard.begin($0) })
    switch use {
    case .frame: shard.delivery.send(bytes, to: slot)
    case .privateBytes: shard.delivery.appendPrivateBytes(bytes, to: slot)
    case .range:
      shard.delivery.queue(log: .direct, shard.delivery.appendDirect(bytes), at: slot)
    case .event: shard.fanOut.deliver(RoomSessionTests.system("x"), to: [slot])
    case .answer: shard.http.respond(.failure(404, "not_found", "nothing"), at: slot)
    case .close: shard.life.close(slot, code: 1008, reason: "late")
    case .queue: shard.delivery.markQueued(slot)
    case .timer:
      shard.connections.scheduleTimer(slot)
      shard.timerFired(at: slot)
    case .continuation:
      shard.sentAll(slot)
      shard.connections.closeWhenSent(slot)
    }
    shard.delivery.flush()
    shard.settle()
    shard.table.reap()
  }

  /// The slot that the first listener's events carry.
  static let listenerSlot = Connections.listenerSlot
  /// Bytes that one read of a socket takes.
  static let readBytes = Receiver.readBytes
  static let readBytesPerTurn = Receiver.readBytesPerTurn

  var connectionCount: Int { shard.table.count }

  /// The connection that was accepted last, of those that are open.
  var newestConnection: ConnectionView? {
    var newest: ConnectionID?
    shard.table.forEachSlot { slot in
      let id = shard.table.id(of: slot)
      if id.generation > newest?.generation ?? 0 { newest = id }
    }
    return newest.map { ConnectionView(shard, at: $0.slot) }
  }

  /// The connection of the socket that the server has under that descriptor.
  func connection(onDescriptor descriptor: Int32) -> ConnectionView? {
    var found: UInt32?
    shard.table.forEachSlot { slot in
      if shard.delivery[slot].fd == descriptor { found = slot }
    }
    return found.map { ConnectionView(shard, at: $0) }
  }

  /// Milliseconds until the shard gives free memory back to the system; nil when it will not.
  var heapTrimDelayMilliseconds: UInt64? {
    shard.connections.heapTrim.dueAt.map { $0 - shard.now }
  }
}

// MARK: Admission

extension ShardView {
  var unauthenticatedCount: Int { shard.admission.unauthenticatedCount }
  /// Connections that are still open only to receive their rejection.
  var rejectedCount: Int { shard.admission.rejectedCount }

  /// Nanoseconds as the seconds of a Retry-After field.
  static func wholeSeconds(_ nanoseconds: UInt64) -> UInt64 { Answer.wholeSeconds(nanoseconds) }
}

// MARK: HTTP and WebSocket

extension ShardView {
  /// Frames that a turn reads from one connection.
  static let framesPerTurn = Receiver.framesPerTurn

  /// Bytes of request bodies that are being received or that the store still holds.
  var bodyBytesInFlight: Int { shard.http.bodies.byteCount }
}

// MARK: Sessions

extension ShardView {
  /// Bytes that a replay may send ahead of live events.
  static let missedBytesLimit = SessionReads.missedBytesLimit

  /// Sessions and waiting polls of users.
  var sessionCount: Int { shard.users.connectionCount }
  /// Reads of missed notifications that the store has not answered.
  var catchUpReadCount: Int { shard.reads.readCount }
  /// The offset up to which the ring has brought every event of the store.
  var appliedOffset: UInt64 { shard.reads.appliedOffset }

  func isConnected(_ user: UserID) -> Bool { shard.users.isConnected(user) }

  /// Proceeds as though the ring had brought every event up to `offset`.
  func advanceAppliedOffset(to offset: UInt64) {
    shard.reads.noteApplied(through: offset)
  }
}

// MARK: Rooms

extension ShardView {
  /// The rooms that connections of this shard are in.
  var localRooms: [RoomName] { memberCounts.keys.map(\.text).sorted() }

  /// The users of each room that this shard owns.
  var rosters: [TextKey: Set<UserID>] { shard.rooms.members.mapValues { Set($0) } }

  /// Whether a message to a room is not in its members' outboxes yet.
  var hasPendingRoomBatch: Bool { shard.delivery.pendingBatch != nil }
  var typingEntryCount: Int { shard.rooms.typingEntryCount }
  var typingWindowCount: Int { shard.rooms.typingWindowCount }
  var refusedEntryCount: Int { shard.rooms.refusedEntryCount }
  /// Users that this shard owns and counts the shards of.
  var countedUserCount: Int { shard.users.ownedCount }
  var presenceEntryCount: Int { shard.users.presenceCount }
  /// The time at which the next absent user counts as offline; nil when none is awaited.
  var nextPresenceDeadline: UInt64? { shard.users.nextDeadline }

  /// The connections of this shard that are in a room.
  func localMemberCount(of room: RoomName) -> Int { memberCounts[TextKey(room)] ?? 0 }

  /// For each room, the connections of this shard that are in it.
  private var memberCounts: [TextKey: Int] {
    var counts: [TextKey: Int] = [:]
    shard.table.forEachSlot { slot in
      for name in shard.rooms.names(at: slot) { counts[TextKey(name), default: 0] += 1 }
    }
    return counts
  }
}

// MARK: EngineIO

extension ShardView {
  var engineSessionCount: Int { shard.engine.count }

  /// The session of that id, if this shard has it.
  func engineSession(_ sid: String) -> EngineSessionView? {
    EngineID(sid).flatMap { shard.engine.session($0) }
      .map { EngineSessionView(session: $0, shard: shard) }
  }
}

// MARK: Operators

extension ShardView {
  /// Queries to all shards that started here and are not complete.
  var pendingQueryCount: Int { shard.shardQueries.count }
  /// Whether the shard prepares events for streams of metrics.
  var isFeedingMetrics: Bool { shard.metricsStreams.nextAt != nil }
  var metricsStreamCount: Int { shard.metricsStreams.watcherCount }
}

/// One connection that a shard has accepted, also after it has ended.
///
/// A question about an ended connection is answered as for one without any state, also when the
/// slot has another connection by then; an action on it fails the test.
struct ConnectionView {
  /// Where a connection is in its life.
  enum State {
    case http, session, closing, lingering, ended
  }

  fileprivate weak var shard: Shard?
  let id: ConnectionID

  /// A connection that no shard has accepted.
  init() { id = ConnectionID(slot: 0, generation: 0) }

  fileprivate init(_ shard: Shard, at slot: UInt32) {
    self.shard = shard
    id = shard.table.id(of: slot)
  }

  /// The shard, if it still has the connection.
  var holder: Shard? {
    shard.flatMap { $0.table.holds(id) ? $0 : nil }
  }

  var slot: UInt32 { id.slot }

  private var record: Connection? { holder?.table[slot] }
  private var sending: SendState? { holder?.delivery[slot] }

  /// Whether sending has all of these flags for the connection.
  private func has(_ flags: SendFlags) -> Bool { sending?.flags.contains(flags) ?? false }

  /// Acts on the connection, and fails the test if it has ended.
  private func perform(_ location: SourceLocation, _ action: (Shard) -> Void) {
    guard let holder else {
      Issue.record("the connection has ended", sourceLocation: location)
      return
    }
    action(holder)
    holder.settle()
  }
}

// MARK: Connections

extension ConnectionView {
  var hasEnded: Bool { holder == nil }
  /// Whether the connection has ended and left no ranges of logs in its slot.
  var hasEmptySlot: Bool { hasEnded && shard?.delivery[slot].outbox.isEmpty == true }

  var state: State {
    switch record?.state {
    case nil, .free, .ended: .ended
    case .http: .http
    case .session: .session
    case .closing: .closing
    case .lingering: .lingering
    }
  }

  /// The server's descriptor of the socket; -1 where there is none.
  var descriptor: Int32 { sending?.fd ?? -1 }
  /// Whether the peer has ended its side.
  var isPeerEnded: Bool { has(.peerEnded) }
  /// When a byte last came from the peer, in milliseconds.
  var lastReceivedAt: UInt64 { record?.lastReceivedAt ?? 0 }
  /// Whether the beginning of a request or of a frame waits for its rest.
  var hasUnparsedBytes: Bool { record.map { !$0.partial.isEmpty } ?? false }

  /// Bytes that the kept beginning of a request or of a frame has, and has room for.
  var unparsedBuffer: (count: Int, capacity: Int) {
    record.map { ($0.partial.count, $0.partial.capacity) } ?? (0, 0)
  }

  /// Ends the connection at once and frees its slot; one that has ended stays so.
  func end() {
    guard let holder else { return }
    holder.connections.drop(slot)
    holder.table.reap()
  }

  /// Closes the connection with a close frame after its queued bytes.
  func close(code: UInt16, reason: String, _ location: SourceLocation = #_sourceLocation) {
    perform(location) { $0.life.close(slot, code: code, reason: reason) }
  }
}

// MARK: Delivery

extension ConnectionView {
  /// Whether the socket took less than it was given.
  var isBlocked: Bool { has(.blocked) }
  /// Bytes queued for this connection alone.
  var queuedByteCount: Int { sending?.queuedByteCount ?? 0 }

  /// Bytes queued for this connection, and those of its group's log that it has not been sent.
  var unsentByteCount: Int { holder?.delivery.queuedByteCount(of: slot) ?? 0 }

  /// Bytes that the private send buffer holds and could hold.
  var privateBuffer: (count: Int, capacity: Int) {
    sending.map { ($0.privateBytes.count, $0.privateBytes.capacity) } ?? (0, 0)
  }

  /// Ranges of logs that are to be sent.
  var rangeCount: Int { sending?.outbox.rangeCount ?? 0 }

  /// Where the shared body that is being sent lies in memory; nil when none is.
  var sharedBodyAddress: Int? {
    sending?.sharedBody?.bytes.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
  }

  /// Whether the log of the connection's group still holds all that the connection has to get.
  var isGroupCursorInLog: Bool {
    guard let holder, let sending else { return false }
    return sending.groupCursor >= holder.delivery.group(of: slot).log.start
  }

  /// Sends frames to this connection at the next flush.
  func send(_ frames: [UInt8], _ location: SourceLocation = #_sourceLocation) {
    perform(location) { $0.delivery.send(frames, to: slot) }
  }

  /// Has `transport` carry the bytes that the connection is sent.
  func attach(_ transport: any Transport, _ location: SourceLocation = #_sourceLocation) {
    perform(location) { $0.delivery.attach(transport, to: slot) }
  }

  /// Copies its ranges of the logs to the private send buffer, as before a log overwrites them.
  func copyOutRanges(_ location: SourceLocation = #_sourceLocation) {
    perform(location) { $0.delivery.copyOutOutbox(at: slot) }
  }
}

// MARK: Sessions

extension ConnectionView {
  /// Whether missed notifications are still sent before live ones.
  var isReplaying: Bool { record?.activity.isReplay ?? false }
  /// Whether the client has not been sent its greeting.
  var isHandshakePending: Bool { has(.handshakePending) }
  /// Whether no request, message, replay or fetch is under way.
  var isIdle: Bool { record?.activity.isIdle ?? true }
  /// The size of the page that is read after the present one; nil when no other was asked for.
  var nextFetchLimit: Int? { record?.activity.fetch?.next?.limit }
}

// MARK: Rooms

extension ConnectionView {
  var rooms: [RoomName] { holder?.rooms.names(at: slot) ?? [] }
  /// Whether anything is kept about the rooms of this connection.
  var hasMembership: Bool { record?.membership != nil }

  func join(_ room: RoomName, _ location: SourceLocation = #_sourceLocation) {
    perform(location) { $0.rooms.join(room, at: slot) }
  }

  func leave(_ room: RoomName, _ location: SourceLocation = #_sourceLocation) {
    perform(location) { $0.rooms.leave(room, at: slot) }
  }

  func setTyping(
    _ isTyping: Bool, in room: RoomName, _ location: SourceLocation = #_sourceLocation
  ) {
    perform(location) { $0.rooms.type(isTyping, in: room, at: slot) }
  }

  func setStatus(_ status: PresenceStatus, _ location: SourceLocation = #_sourceLocation) {
    perform(location) { $0.rooms.setStatus(status, at: slot) }
  }
}

// MARK: EngineIO

extension ConnectionView {
  /// Whether this is the slot of a session that is polled, which has no socket.
  var isPolled: Bool { has(.polling) }
}

/// One session of Engine.IO, as tests see it.
struct EngineSessionView {
  fileprivate let session: EngineSession
  fileprivate let shard: Shard

  /// The session's own slot.
  var connection: ConnectionView { ConnectionView(shard, at: session.slot) }
  var isPollWaiting: Bool { session.poll != nil }
  /// Whether the body of a POST is being received.
  var isPosting: Bool { session.isPosting }
  /// Whether a WebSocket is about to take the session over.
  var isUpgradePending: Bool { shard.engine.probe(of: session) != nil }
  /// The namespaces that the client is in, in its order of entry; nil without Socket.IO.
  var namespaces: [Int]? { socketIO?.sockets.map(\.namespace) }
  /// The `since` that the session keeps from its first request.
  var since: String? { socketIO?.since }
  /// When the attachments of the present message must be complete; nil when none are awaited.
  var attachmentsDeadline: UInt64? { socketIO?.assembly?.endsAt }
  /// Events that the client has still to acknowledge; nil when none were ever sent to it.
  var pendingAcknowledgementCount: Int? { socketIO?.acknowledgements?.entries.count }

  private var socketIO: SocketIOSession? { session as? SocketIOSession }
}
