// Rosters, the presence book and room patterns: each against a plain model, or step by step.

import Notifications
import TestSupport
import Testing

@Suite("Roster")
struct RosterTests {
  @Test func `a user with two connections is one member until both have left`() {
    var roster = Roster()
    let entering = [roster.enter("a"), roster.enter("a")]
    #expect(entering == [true, false])
    #expect(roster.count == 1)
    let isGone = roster.exit("a")
    #expect(!isGone)
    #expect(roster.contains("a"))
    let exiting = [roster.exit("a"), roster.exit("a")]
    #expect(exiting == [true, false])
    #expect(roster.isEmpty)
  }

  @Test func `members are listed in order of arrival`() {
    var roster = Roster()
    for user in ["c", "a", "b"] { roster.enter(user) }
    #expect(roster.entries(limit: 10).map(\.user) == ["c", "a", "b"])
    roster.exit("a")
    roster.enter("a")
    roster.enter("d")
    #expect(roster.entries(limit: 10).map(\.user) == ["c", "b", "a", "d"])
    #expect(roster.entries(limit: 2).map(\.user) == ["c", "b"])
  }

  @Test func `members have a status, and it is dropped when they leave`() {
    var roster = Roster()
    roster.set(.away, of: "a")
    #expect(roster.isEmpty)
    roster.enter("a")
    roster.set(.away, of: "a")
    #expect(roster.entries(limit: 1) == [Roster.Entry(user: "a", status: .away)])
    roster.exit("a")
    roster.enter("a")
    #expect(roster.entries(limit: 1) == [Roster.Entry(user: "a", status: .online)])
  }

  @Test func `a member whose departure is known returns with the status that it had`() {
    var roster = Roster()
    for user in ["a", "b"] { roster.enter(user) }
    roster.noteAnnounced("a")
    roster.set(.away, of: "a")
    let departure = roster.departure(of: "a")
    roster.exit("a")
    roster.enter("a", departure: departure)
    #expect(roster.entries(limit: 2).last == Roster.Entry(user: "a", status: .away))
  }

  @Test func `a start or stop of typing is reported once`() {
    var roster = Roster()
    let stranger = roster.setTyping("a", until: 1)
    #expect(!stranger)
    roster.enter("a")
    let typing = [roster.setTyping("a", until: 1), roster.setTyping("a", until: 2)]
    #expect(typing == [true, false])
    #expect(roster.typingEnd(of: "a") == 2)
    let stopping = [roster.setTyping("a", until: nil), roster.setTyping("a", until: nil)]
    #expect(stopping == [true, false])
  }

  @Test func `random arrivals and departures agree with a plain list`() {
    var random = SeededGenerator.announced()
    var roster = Roster()
    var model: [(user: String, connections: Int)] = []
    for _ in 0..<20_000 {
      let user = "u\(Int.random(in: 0..<40, using: &random))"
      let index = model.firstIndex { $0.user == user }
      if Bool.random(using: &random) {
        let isFirst = roster.enter(user)
        #expect(isFirst == (index == nil))
        if let index { model[index].connections += 1 } else { model.append((user, 1)) }
      } else {
        let isLast = index.map { model[$0].connections == 1 } ?? false
        let isGone = roster.exit(user)
        #expect(isGone == isLast)
        if let index {
          model[index].connections -= 1
          if isLast { model.remove(at: index) }
        }
      }
      #expect(roster.count == model.count)
    }
    #expect(roster.entries(limit: .max).map(\.user) == model.map(\.user))
  }

  @Test func `a user that returns has newcomers if another connection entered meanwhile`() {
    var roster = Roster()
    for user in ["a", "b"] { roster.enter(user) }
    roster.noteAnnounced("a")
    let first = roster.departure(of: "a")
    roster.exit("a")
    #expect(!roster.hasNewcomers(since: "a"), "it is away, and returns later if at all")
    roster.enter("a", departure: first)
    #expect(!roster.hasNewcomers(since: "a"))
    let second = roster.departure(of: "a")
    roster.exit("a")
    roster.enter("b")
    roster.enter("a", departure: second)
    #expect(roster.hasNewcomers(since: "a"))
    // They remain newcomers if it leaves again before they are sent its return.
    #expect(roster.departure(of: "a")?.entryCount == .max)
    // After an unknown departure, the entries since are unknown, too.
    roster.enter("c")
    #expect(roster.hasNewcomers(since: "c"))
  }
}

@Suite("Presence book")
struct PresenceTrackerTests {
  static func told(_ notice: PresenceTracker.Notice?) -> String? {
    notice.map { notice in
      "\(notice.update.user) \(notice.update.status.name) in \(notice.rooms)"
        + (notice.isReturn ? " again" : "")
    }
  }

  @Test func `a room's owner gets the status of a user that enters invisibly`() {
    var book = PresenceTracker(graceMilliseconds: 3_000)
    book.arrived("a")
    #expect(Self.told(book.set(.offline, of: "a", at: 0)) == nil)
    #expect(Self.told(book.entered("r", "a", at: 0)) == #"a offline in ["r"] again"#)
    #expect(Self.told(book.entered("r", "a", at: 0)) == nil, "by its second connection")
    #expect(Self.told(book.entered("s", "a", at: 0)) == #"a offline in ["s"] again"#)
    #expect(Self.told(book.set(.online, of: "a", at: 1_000)) == #"a online in ["r", "s"]"#)
  }

  @Test func `a room gets one online update, and an offline update after three seconds`() {
    var book = PresenceTracker(graceMilliseconds: 3_000)
    book.arrived("a")
    let first = book.entered("r", "a", at: 0)
    #expect(Self.told(first) == #"a online in ["r"]"#)
    let again = book.entered("r", "a", at: 0)
    #expect(again == nil)
    book.exited("r", "a", isEnding: true, at: 0)
    book.exited("r", "a", isEnding: true, at: 0)
    book.left("a", at: 0)
    #expect(book.isInGrace("a"))
    let early = book.expire(at: 2_999)
    #expect(early == nil)
    var last: [String] = []
    while let notice = book.expire(at: 3_000) {
      if !notice.rooms.isEmpty { last.append(Self.told(notice) ?? "") }
    }
    #expect(last == [#"a offline in ["r"]"#])
    #expect(book.count == 0)
    #expect(!book.isInGrace("a"))
  }

  @Test func `a page reload causes an update only for members that entered meanwhile`() {
    var book = PresenceTracker(graceMilliseconds: 3_000)
    book.arrived("a")
    #expect(book.entered("r", "a", at: 0) != nil)
    book.left("a", at: 1_000)
    book.exited("r", "a", isEnding: true, at: 1_000)
    book.arrived("a")
    let back = book.entered("r", "a", at: 1_000)
    #expect(Self.told(back) == #"a online in ["r"] again"#)
    while let notice = book.expire(at: 10_000) { #expect(notice.rooms == []) }
    let busy = book.set(.busy, of: "a", at: 10_000)
    #expect(Self.told(busy) == #"a busy in ["r"]"#)
  }

  @Test func `a later departure restarts the grace period`() {
    var book = PresenceTracker(graceMilliseconds: 3_000)
    _ = book.entered("r", "a", at: 0)
    book.exited("r", "a", isEnding: true, at: 0)
    book.left("a", at: 0)
    book.arrived("a")
    _ = book.entered("r", "a", at: 1_500)
    book.exited("r", "a", isEnding: true, at: 2_000)
    book.left("a", at: 2_000)
    while let notice = book.expire(at: 4_999) { #expect(notice.rooms == []) }
    #expect(book.isInGrace("a"))
    var told: [String] = []
    while let notice = book.expire(at: 5_000) { told += notice.rooms }
    #expect(told == ["r"])
  }

  @Test func `a status goes to all rooms of the user, and only when it is news`() {
    var book = PresenceTracker(graceMilliseconds: 3_000)
    _ = book.entered("r", "a", at: 0)
    _ = book.entered("s", "a", at: 0)
    let away = book.set(.away, of: "a", at: 1_000)
    #expect(Self.told(away) == #"a away in ["r", "s"]"#)
    let unchanged = book.set(.away, of: "a", at: 1_000)
    #expect(unchanged == nil)
    let entered = book.entered("t", "a", at: 1_000)
    #expect(Self.told(entered) == #"a away in ["t"]"#)
    book.exited("s", "a", isEnding: false, at: 1_000)
    let soon = book.set(.online, of: "a", at: 1_999)
    #expect(soon == nil)
    let still = book.set(.away, of: "a", at: 1_999)
    #expect(still == nil)
    // A change that was reverted before it was due is never sent.
    while let notice = book.expire(at: 2_000) { #expect(notice.rooms == []) }
    let online = book.set(.online, of: "a", at: 2_000)
    #expect(Self.told(online) == #"a online in ["r", "t"]"#)
  }

  // Case 62
  @Test func `a room that a user enters and leaves all the time gets one update a second`() {
    var book = PresenceTracker(graceMilliseconds: 3_000)
    var told: [String] = []
    for now in UInt64(0)..<5_000 {
      if let notice = book.entered("r", "a", at: now) { told.append("\(now): \(notice.isReturn)") }
      while let notice = book.expire(at: now) {
        if !notice.rooms.isEmpty { told.append("\(now): \(notice.isReturn)") }
      }
      book.exited("r", "a", isEnding: false, at: now)
    }
    #expect(told == ["0: false", "1000: true", "2000: true", "3000: true", "4000: true"])
    while let notice = book.expire(at: 6_000) { #expect(notice.rooms == []) }
    #expect(book.count == 0)
  }

  @Test func `a change soon after a room was entered is sent a second later`() {
    var book = PresenceTracker(graceMilliseconds: 3_000)
    _ = book.entered("r", "a", at: 0)
    _ = book.entered("s", "a", at: 500)
    #expect(book.set(.away, of: "a", at: 600) == nil)
    #expect(book.expire(at: 999) == nil)
    #expect(Self.told(book.expire(at: 1_000)) == #"a away in ["r"]"#)
    #expect(Self.told(book.set(.away, of: "a", at: 1_500)) == #"a away in ["s"]"#)
    for room in ["r", "s"] { book.exited(room, "a", isEnding: true, at: 1_600) }
    book.left("a", at: 1_600)
    #expect(Self.told(book.set(.busy, of: "a", at: 4_400)) == #"a busy in ["r", "s"]"#)
    // The last update waits for nothing.
    var last: [String] = []
    while let notice = book.expire(at: 4_600) {
      if !notice.rooms.isEmpty { last.append(Self.told(notice) ?? "") }
    }
    #expect(last == [#"a offline in ["r", "s"]"#])
  }

  @Test func `a user with status offline comes and goes, and only the room's owner is notified`() {
    var book = PresenceTracker(graceMilliseconds: 3_000)
    let hidden = book.set(.offline, of: "a", at: 0)
    #expect(hidden == nil)
    let entered = book.entered("r", "a", at: 0)
    #expect(Self.told(entered) == #"a offline in ["r"] again"#)
    book.exited("r", "a", isEnding: true, at: 0)
    book.left("a", at: 0)
    while let notice = book.expire(at: 3_000) { #expect(notice.rooms == []) }
    #expect(book.count == 0)
    #expect(book.status(of: "a") == .online)
  }

  @Test func `a room is forgotten if the user stays connected but does not return to it`() {
    var book = PresenceTracker(graceMilliseconds: 3_000)
    _ = book.entered("r", "a", at: 0)
    book.exited("r", "a", isEnding: true, at: 0)
    #expect(book.count == 1)
    while book.expire(at: 3_000) != nil {}
    #expect(book.count == 0)
    let nobody = book.set(.away, of: "a", at: 0)
    #expect(nobody == nil)
  }

  @Test func `no state remains after random arrivals and departures`() {
    var random = SeededGenerator.announced()
    var book = PresenceTracker(graceMilliseconds: 3_000)
    var now: UInt64 = 0
    var rooms: [String: [String]] = [:]
    for _ in 0..<10_000 {
      now += UInt64.random(in: 0..<500, using: &random)
      let user = "u\(Int.random(in: 0..<10, using: &random))"
      switch Int.random(in: 0..<5, using: &random) {
      case 0:
        let room = "r\(Int.random(in: 0..<4, using: &random))"
        if rooms[user] == nil { book.arrived(user) }
        rooms[user, default: []].append(room)
        _ = book.entered(room, user, at: now)
      case 1:
        if let room = rooms[user]?.popLast() {
          book.exited(room, user, isEnding: Bool.random(using: &random), at: now)
        }
      case 2:
        for room in rooms[user] ?? [] { book.exited(room, user, isEnding: true, at: now) }
        if rooms[user] != nil { book.left(user, at: now) }
        rooms[user] = nil
      case 3:
        if rooms[user] != nil {
          _ = book.set(PresenceStatus.allCases.randomElement(using: &random)!, of: user, at: now)
        }
      default: while book.expire(at: now) != nil {}
      }
    }
    for (user, inside) in rooms {
      for room in inside { book.exited(room, user, isEnding: true, at: now) }
      book.left(user, at: now)
    }
    while book.expire(at: now + 3_000) != nil {}
    #expect(book.count == 0)
    #expect(book.nextDeadline == nil)
  }
}

@Suite("Room names")
struct RoomNameTests {
  @Test(arguments: [
    ("r1", "r1", true), ("r1", "r2", false), ("*", "anything", true), ("*", "", true),
    ("team:*", "team:a:b", true), ("team:*", "teams", false), ("*:read", "a:b:read", true),
    ("a*c*e", "abcde", true), ("a*c*e", "abcd", false), ("a**b", "ab", true), ("", "a", false),
    ("a", "A", false), ("é*", "e\u{301}x", false), ("*a*b", "aab", true), ("*ab", "aab", true),
    ("a*", "a", true), ("a*a", "a", false),
  ])
  func `a star matches any text or none`(pattern: String, room: String, matches: Bool) {
    #expect(RoomPattern.matches(pattern, room) == matches)
  }

  // Case 54
  @Test func `no pattern costs more than the product of two names`() {
    let room = String(repeating: "a", count: RoomNames.byteCountLimit)
    let pattern = String(repeating: "*a", count: RoomNames.byteCountLimit / 2 - 1) + "b"
    let patterns = [String](repeating: pattern, count: 128)
    let spent = processorTime { #expect(!RoomPattern.matches(patterns, room)) }
    #expect(spent < .milliseconds(500))
    let longer = String(repeating: "*", count: RoomNames.byteCountLimit + 1)
    #expect(!RoomPattern.matches(longer, room))
  }

  @Test func `a name is 1 to 128 bytes without control characters`() {
    #expect(RoomNames.isValid(String(repeating: "r", count: 128)))
    #expect(!RoomNames.isValid(String(repeating: "r", count: 129)))
    #expect(!RoomNames.isValid(""))
    #expect(!RoomNames.isValid("a\nb"))
  }
}

@Suite("Deadline queue")
struct DeadlineQueueTests {
  @Test func `entries are taken in order, when they are due`() {
    var queue = DeadlineQueue<Int>()
    for number in 0..<200 { queue.append(number, at: UInt64(number / 2)) }
    #expect(queue.next == 0)
    var taken: [Int] = []
    for now in 0..<UInt64(100) {
      while let number = queue.takeFirst(dueAt: now) { taken.append(number) }
      #expect(taken.count == 2 * Int(now + 1))
    }
    #expect(taken == Array(0..<200))
    #expect(queue.next == nil)
    #expect(queue.count == 0)
  }
}
