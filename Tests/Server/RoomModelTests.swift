// Rooms at random against a plain model: each session receives the events of its rooms once and in
// order, and an ended session leaves no state.
//
// The test delivers events to the shards one by one, with any other action of a turn in between, so
// that the model knows the members at each event.

import Glibc
import Notifications
import TestSupport
import Testing

@testable import Server

/// A session and the events that it must receive.
private final class Listener {
  let peer: TestPeer
  let shardIndex: Int
  let user: String
  /// The numbers of the events during which it was a member.
  var due: [Int] = []
  var heard: [String] = []
  /// The rooms that it last asked to be in.
  var wanted: Set<TextKey> = []
  /// Whether the socket was made to fail.
  var isBroken = false

  init(_ peer: TestPeer, shardIndex: Int, user: String) {
    self.peer = peer
    self.shardIndex = shardIndex
    self.user = user
  }
}

private final class RoomModel {
  static let roomNames = ["a", "b", "\u{E9}", "e\u{301}", "e"]
  static let users = ["u", "v", "w", "x"]
  static let sessionsLimit = 14

  let fixture: ShardFixture
  var random: SeededGenerator
  var listeners: [Listener] = []
  var gone: [Listener] = []
  var lastNumber = 0

  init(_ random: SeededGenerator, roomsLimit: Int) throws {
    self.random = random
    fixture = try ShardFixture(shardCount: 2) {
      $0.limits.roomsLimit = roomsLimit
      $0.limits.backlogBytesLimit = 16_384
      // So that the quotas count these sessions at all.
      $0.limits.sessionsPerUserLimit = 1_000
      $0.limits.connectionsPerAddressLimit = 1_000
    }
  }

  private func draw(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }

  private func room() -> String { Self.roomNames.randomElement(using: &random)! }

  private func isOpen(_ listener: Listener) -> Bool {
    listener.peer.connection.state == .session
  }

  /// Whether the session was greeted: it gets no event before.
  private func isGreeted(_ listener: Listener) -> Bool {
    isOpen(listener) && !listener.peer.connection.isHandshakePending
  }

  private func rooms(of listener: Listener) -> Set<TextKey> {
    Set(listener.peer.connection.rooms.map { TextKey($0) })
  }

  private func isIn(_ room: String, _ listener: Listener) -> Bool {
    rooms(of: listener).contains(TextKey(room))
  }

  /// Moves the sessions that have ended to `gone`.
  private func sortOut() {
    gone += listeners.filter { !isOpen($0) }
    listeners.removeAll { !isOpen($0) }
  }

  // MARK: Steps

  func step() throws {
    sortOut()
    switch draw(0..<100) {
    case 0..<55: happen()
    case 55..<60: for shard in fixture.shards { shard.flush() }
    case 60..<70: try fixture.turn()
    case 70..<72: try listen()
    case 72..<73: if !fixture.store.reads.isEmpty { try answerStore() }
    default:
      guard let listener = listeners.randomElement(using: &random) else { return try listen() }
      act(listener)
    }
  }

  private func listen() throws {
    guard listeners.count < Self.sessionsLimit else { return }
    let user = Self.users.randomElement(using: &random)!
    let shardIndex = draw(0..<2)
    let path = draw(0..<3) == 0 ? "/api/v1/ws/notifications" : RoomSessionTests.path
    let since = draw(0..<4) == 0 ? "" : nil
    let peer = try fixture.session(user, path: path, since: since, on: shardIndex)
    listeners.append(Listener(peer, shardIndex: shardIndex, user: user))
  }

  private func answerStore() throws {
    try fixture.store.answer(.position(0, ReplaySessionTests.counts(0)))
  }

  /// One session acts, or something happens to its socket.
  private func act(_ listener: Listener) {
    let (connection, fd) = (listener.peer.connection, listener.peer.serverDescriptor)
    let room = room()
    switch draw(0..<20) {
    case 0..<6:
      connection.join(room)
      listener.wanted.insert(TextKey(room))
    case 6..<9:
      connection.leave(room)
      listener.wanted.remove(TextKey(room))
    case 9: connection.setTyping(draw(0..<2) == 0, in: room)
    case 10: connection.setStatus(PresenceStatus.allCases.randomElement(using: &random)!)
    case 11..<14: fixture.script.room[fd] = draw(0..<2) == 0 ? 0 : draw(0..<6_000)
    case 14..<17: fixture.script.room[fd] = nil
    case 17: fixture.script.sends[fd] = [draw(1..<300), Int(-EAGAIN)]
    case 18 where draw(0..<2) == 0:
      connection.close(code: 1008, reason: "")
    case 18: connection.end()
    default:
      guard draw(0..<2) == 0 else { return }
      listener.isBroken = true
      fixture.script.sends[fd] = [Int(-EPIPE)]
    }
  }

  /// The ring brings an event.
  private func happen() {
    lastNumber += 1
    let text = "#\(lastNumber)#" + String(repeating: "x", count: draw(0..<8) == 0 ? 3_000 : 10)
    let event: Event
    let hears: (Listener) -> Bool
    let user = Self.users.randomElement(using: &random)!
    switch draw(0..<10) {
    case 0..<6:
      let room = room()
      let left = draw(0..<5) == 0 ? user : nil
      event = RoomSessionTests.said(text, in: room, except: left)
      hears = { self.isIn(room, $0) && $0.user != left }
    case 6..<8:
      event = RoomSessionTests.system(text)
      hears = { _ in true }
    default:
      event = RoomSessionTests.own(text, user)
      hears = { $0.user == user }
    }
    for listener in listeners where hears(listener) && isGreeted(listener) {
      listener.due.append(lastNumber)
    }
    for shard in fixture.shards { shard.deliver(event) }
    sortOut()
  }

  // MARK: Checks

  /// Lets all sessions finish, and compares.
  func compare(isUnlimited: Bool) throws {
    for descriptor in fixture.script.room.keys { fixture.script.room[descriptor] = nil }
    // A user's reads follow one after the other, so an answer may begin the next one.
    repeat {
      while !fixture.store.reads.isEmpty { try answerStore() }
      try fixture.turn(8)
    } while !fixture.store.reads.isEmpty
    sortOut()
    var members: [TextKey: Set<String>] = [:]
    for listener in listeners {
      let rooms = rooms(of: listener)
      if isUnlimited { #expect(rooms == listener.wanted) }
      for room in rooms { members[room, default: []].insert(listener.user) }
      #expect(listener.peer.connection.queuedByteCount == 0)
    }
    var rosters: [TextKey: Set<String>] = [:]
    for shard in fixture.shards {
      #expect(!shard.hasPendingRoomBatch)
      for (room, users) in shard.rosters { rosters[room] = users }
    }
    #expect(rosters == members)
    for listener in listeners + gone { try hear(listener) }
    gone.removeAll { $0.peer.connection.hasEnded }
  }

  /// Compares the received events with the due ones.
  private func hear(_ listener: Listener) throws {
    listener.heard += try fixture.frames(of: listener.peer)
    let close = listener.heard.firstIndex { $0.hasPrefix("close") }
    if let close { #expect(close == listener.heard.count - 1, "no frame after the close frame") }
    let numbers = listener.heard.compactMap { frame in
      frame.split(separator: "#", omittingEmptySubsequences: false).dropFirst().first
        .flatMap { Int($0) }
    }
    let name = "\(listener.user) on \(listener.shardIndex)"
    // A client over the backlog limit was cut before it got the events due before its goodbye.
    if isOpen(listener) || listener.heard.last == "close 1008" {
      #expect(numbers == listener.due, "\(name)")
    } else {
      #expect(listener.due.starts(with: numbers), "\(name), gone")
    }
  }

  /// Ends all sessions and checks that no state is left.
  func finish() throws {
    sortOut()
    for listener in listeners { listener.peer.connection.end() }
    try fixture.pass(milliseconds: 12_000)
    for shard in fixture.shards {
      #expect(shard.connectionCount == 0)
      #expect(shard.localRooms.isEmpty && shard.rosters.isEmpty && shard.countedUserCount == 0)
      #expect(shard.presenceEntryCount == 0 && shard.nextPresenceDeadline == nil)
      #expect(shard.typingEntryCount == 0 && shard.refusedEntryCount == 0)
      #expect(shard.typingWindowCount == 0)
      #expect(shard.sessionCount == 0)
      #expect(shard.blockedConnectionCount == 0 && shard.blockedByteCount == 0)
      #expect(shard.unauthenticatedCount == 0 && shard.rejectedCount == 0)
      #expect(shard.fanOutMemberCount == 0)
    }
    let sizes = fixture.core.quotas.sizes(at: .max)
    #expect(sizes == QuotaSizes(addresses: 0, users: 0, buckets: 0))
  }
}

@Suite("Rooms at random")
struct RoomModelTests {
  // Case 99
  @Test(
    "each session receives the events of its rooms in order, and nothing is left",
    arguments: [100_000, 4])
  func agrees(roomsLimit: Int) throws {
    var random = SeededGenerator.announced("rooms, \(roomsLimit)")
    for _ in 0..<6 {
      let model = try RoomModel(
        SeededGenerator(seed: random.next()), roomsLimit: roomsLimit)
      for _ in 0..<12 {
        for _ in 0..<150 { try model.step() }
        try model.compare(isUnlimited: roomsLimit > 4)
      }
      try model.finish()
    }
  }
}
