// Rooms that outlive a connection: their user, their lifetime, and their number.

import Notifications
import Storage
import Testing

extension StoreFixture {
  @discardableResult
  func keep(
    _ rooms: [RoomName], of session: UInt64, user: UserID = "u", until endsAt: Int64? = nil
  ) -> StoreOutcome {
    let session = RecoveryID(high: 0, low: session)
    return submit(.keepRooms(session: session, user: user, rooms: rooms, endsAt: endsAt))
  }

  func kept(_ session: UInt64, _ user: UserID = "u") -> [RoomName]? {
    let session = RecoveryID(high: 0, low: session)
    guard case .keptRooms(let rooms) = read(.keptRooms(session: session, user: user)) else {
      return nil
    }
    return rooms
  }
}

@Suite("Rooms that outlive a connection", .timeLimit(.minutes(10)))
struct KeptRoomsTests {
  @Test("rooms are kept, replaced and dropped, and leave no other rows")
  func keeping() throws {
    let fixture = try StoreFixture()
    #expect(fixture.kept(1) == [])
    #expect(fixture.keep(["b", "a"], of: 1) == .saved)
    #expect(fixture.kept(1) == ["b", "a"])
    #expect(fixture.kept(2) == [])
    #expect(fixture.keep(["c"], of: 1) == .saved)
    #expect(fixture.keep(["d"], of: 2) == .saved)
    #expect(fixture.kept(1) == ["c"])
    #expect(fixture.kept(2) == ["d"])
    #expect(fixture.keep([], of: 1) == .saved)
    #expect(fixture.keep([], of: 3) == .saved)
    #expect(fixture.kept(1) == [])
    #expect(fixture.kept(2) == ["d"])
    #expect(fixture.sql("SELECT count(*) FROM kept_rooms") == "1")
    #expect(fixture.sql("SELECT count(*) FROM user") == "0")
    #expect(fixture.counts("u") == Counts())
    #expect(fixture.events.current.isEmpty)
    #expect(fixture.store.metrics.lastOffset == 0)
    #expect(fixture.store.nextExpiry == nil)
  }

  @Test("only a session's own user can read, replace or drop its rooms")
  func users() throws {
    let fixture = try StoreFixture()
    // The third is the second in another spelling, which is another user.
    let users = ["u", "\u{E9}", "e\u{301}"]
    for (index, user) in users.enumerated() {
      fixture.keep(["of \(index)"], of: UInt64(index), user: user)
    }
    for (index, user) in users.enumerated() {
      for (other, stranger) in users.enumerated() where other != index {
        #expect(fixture.kept(UInt64(index), stranger) == [])
        #expect(fixture.keep(["theirs"], of: UInt64(index), user: stranger, until: 1) == .saved)
        #expect(fixture.keep([], of: UInt64(index), user: stranger) == .saved)
        #expect(fixture.kept(UInt64(index), stranger) == [])
      }
      #expect(fixture.kept(UInt64(index), user) == ["of \(index)"])
    }
    #expect(fixture.sql("SELECT count(*) FROM kept_rooms WHERE ends_at IS NULL") == "3")
    #expect(fixture.store.metrics.corruptRows == 0)
  }

  @Test("rooms are kept until just before their end, and those of a live connection stay")
  func ends() throws {
    let clock = WallClock(1_000)
    let fixture = try StoreFixture(clock: clock)
    fixture.keep(["a"], of: 1, until: 2_000)
    fixture.keep(["b"], of: 2)
    fixture.keep(["c"], of: 3, until: 1_000)
    fixture.keep(["d"], of: 4, until: .min)
    fixture.keep(["e"], of: 5, until: .max)
    #expect((1...5).map { fixture.kept($0) } == [["a"], ["b"], [], [], ["e"]])
    clock.now.change { $0 = 1_999 }
    #expect(fixture.kept(1) == ["a"])
    clock.now.change { $0 = 2_000 }
    #expect(fixture.kept(1) == [])
    #expect(fixture.kept(2) == ["b"])
    // A session resumed in time is live again, and ends later.
    fixture.keep(["b"], of: 2, until: 3_000)
    fixture.keep(["b", "f"], of: 2)
    clock.now.change { $0 = 4_000 }
    #expect(fixture.kept(2) == ["b", "f"])
  }

  @Test("opening the store sets an end for sessions left open by the last run")
  func restart() throws {
    let directory = TemporaryDirectory()
    let clock = WallClock(1_000)
    do {
      let fixture = try StoreFixture(in: directory, clock: clock)
      fixture.keep(["live"], of: 1)
      fixture.keep(["ended"], of: 2, until: 7_000)
    }
    for start in [Int64(5_000), 6_000] {
      clock.now.change { $0 = start }
      let fixture = try StoreFixture(in: directory, clock: clock) {
        $0.keptRoomsMilliseconds = 10_000
      }
      #expect(fixture.kept(1) == ["live"])
      #expect(fixture.kept(2) == ["ended"])
      #expect(fixture.sql("SELECT ends_at FROM kept_rooms ORDER BY ends_at DESC") == "15000")
      #expect(fixture.store.nextExpiry == 7_000)
      #expect(fixture.store.metrics.commits == 0)
    }
    clock.now.change { $0 = 14_999 }
    let fixture = try StoreFixture(in: directory, clock: clock)
    #expect(fixture.kept(1) == ["live"])
    clock.now.change { $0 = 15_000 }
    #expect(fixture.kept(1) == [])
  }

  // Case 83
  @Test("a store that is killed without closing has the acknowledged rooms")
  func abandoned() async throws {
    let directory = TemporaryDirectory()
    let path = directory.path
    await #expect(processExitsWith: .signal(9)) { [path = path as String] in
      let saved = Latch(0)
      let store = try SQLiteStore(StoreConfiguration(path: path)) { _ in }
      for number in UInt64(1)...100 {
        let command = StoreCommand.keepRooms(
          session: RecoveryID(high: 0, low: number), user: "u\(number)", rooms: ["r\(number)"],
          endsAt: number % 2 == 0 ? .max : nil)
        _ = store.submit(command) { outcome in
          if outcome == .saved { saved.change { $0 += 1 } }
        }
      }
      saved.wait { $0 == 100 }
      StoreFixture.killThisProcess()
    }
    let clock = WallClock(1_000)
    let fixture = try StoreFixture(in: directory, clock: clock)
    for number in UInt64(1)...100 {
      #expect(fixture.kept(number, "u\(number)") == ["r\(number)"])
    }
    let dayLater: Int64 = 1_000 + 24 * 60 * 60 * 1_000
    #expect(fixture.store.nextExpiry == dayLater)
    #expect(fixture.sql("PRAGMA integrity_check") == "ok")
  }

  @Test("opening the store ends more sessions than one transaction takes")
  func manyLive() throws {
    let directory = TemporaryDirectory()
    do { try StoreFixture(in: directory).keep(["r"], of: 1) }
    StoreFixture.sql(
      """
      WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
      INSERT INTO kept_rooms (session, user, ends_at, checksum, rooms)
      SELECT randomblob(16), 'u' || i, NULL, 0, x'' FROM n
      """, at: directory.databasePath)
    let fixture = try StoreFixture(in: directory, clock: WallClock(5)) {
      $0.keptRoomsMilliseconds = 10
    }
    #expect(fixture.sql("SELECT count(*) FROM kept_rooms WHERE ends_at = 15") == "40000")
    #expect(fixture.kept(1) == ["r"])
  }

  @Test("the sweep forgets a limited number at a time, reports when it is due, and causes no event")
  func sweep() throws {
    let fixture = try StoreFixture(clock: WallClock(0)) { $0.expiryLimit = 4 }
    for number in UInt64(1)...9 { fixture.keep(["r"], of: number, until: 10 + Int64(number)) }
    fixture.keep(["r"], of: 10, until: 100)
    fixture.keep(["r"], of: 11)
    fixture.publish("u", content: Content(type: "t", title: "T", expiresAt: 50))
    #expect(fixture.store.nextExpiry == 11)
    func left() -> String { fixture.sql("SELECT count(*) FROM kept_rooms") }
    #expect(fixture.submit(.expire(at: 10)) == .expired(hasMore: false))
    #expect(left() == "11")
    #expect(fixture.submit(.expire(at: 19)) == .expired(hasMore: true))
    #expect(left() == "7")
    #expect(fixture.kept(4) == [])
    #expect(fixture.kept(5) == ["r"])
    #expect(fixture.store.nextExpiry == 15)
    #expect(fixture.submit(.expire(at: 19)) == .expired(hasMore: true))
    #expect(fixture.submit(.expire(at: 19)) == .expired(hasMore: false))
    #expect(left() == "2")
    #expect(fixture.store.nextExpiry == 50)
    #expect(fixture.events.current.count == 1)
    #expect(fixture.store.metrics.expired == 0)
    #expect(fixture.submit(.expire(at: 50)) == .expired(hasMore: false))
    #expect(fixture.store.nextExpiry == 100)
    #expect(fixture.submit(.expire(at: .max)) == .expired(hasMore: false))
    #expect(fixture.store.nextExpiry == nil)
    #expect(fixture.kept(11) == ["r"])
  }

  @Test("over the limit a user's sessions are evicted by earliest end, live ones last")
  func limit() throws {
    let fixture = try StoreFixture(clock: WallClock(0)) { $0.keptSessionsLimit = 4 }
    func left(_ user: UserID = "u") -> [UInt64] {
      (1...20).filter { fixture.kept($0, user) != [] }
    }
    fixture.keep(["r"], of: 20, user: "v", until: 1)
    fixture.keep(["r"], of: 1)
    fixture.keep(["r"], of: 2, until: 30)
    fixture.keep(["r"], of: 3, until: 10)
    fixture.keep(["r"], of: 4, until: 20)
    // Replacing a session evicts no other.
    fixture.keep(["s"], of: 4, until: 20)
    #expect(left() == [1, 2, 3, 4])
    fixture.keep(["r"], of: 5, until: 40)
    #expect(left() == [1, 2, 4, 5])
    fixture.keep(["r"], of: 6)
    #expect(left() == [1, 2, 5, 6])
    // One that ends before all the others is not kept.
    fixture.keep(["r"], of: 7, until: 29)
    #expect(left() == [1, 2, 5, 6])
    fixture.keep(["r"], of: 8)
    fixture.keep(["r"], of: 9)
    #expect(left() == [1, 6, 8, 9])
    // Of live ones the oldest is evicted.
    fixture.keep(["r"], of: 10)
    #expect(left() == [6, 8, 9, 10])
    #expect(left("v") == [20])
    #expect(fixture.sql("SELECT count(*) FROM kept_rooms") == "5")
  }

  @Test("a user that reconnects again and again keeps 64 sessions")
  func defaultLimit() throws {
    let fixture = try StoreFixture(clock: WallClock(0))
    let done = Latch(0)
    for number in UInt64(1)...1_000 {
      let command = StoreCommand.keepRooms(
        session: RecoveryID(high: 0, low: number), user: "u", rooms: ["r"],
        endsAt: number % 3 == 0 ? nil : Int64(number))
      #expect(fixture.store.submit(command) { _ in done.change { $0 += 1 } })
    }
    done.wait { $0 == 1_000 }
    #expect(fixture.sql("SELECT count(*) FROM kept_rooms") == "64")
    #expect(fixture.sql("SELECT count(*) FROM kept_rooms WHERE ends_at IS NULL") == "64")
    #expect(fixture.kept(999) == ["r"])
  }

  @Test("128 names of any characters are returned byte for byte")
  func names() throws {
    let directory = TemporaryDirectory()
    let long = String(repeating: "x", count: 128)
    var names = [
      "a", " ", "'); DROP TABLE kept_rooms; --", "\"", "\\", "[]", "a,b", "\u{E9}", "e\u{301}",
      "🔔", "\u{202E}", "\u{FEFF}", "\u{10FFFF}", "\u{A0}", "a", long,
      String(repeating: "🔔", count: 32), "\u{0}", "a\u{0}b", "\n", "",
    ]
    for number in names.count..<128 { names.append("\(number)-" + long.dropLast(5)) }
    do { #expect(try StoreFixture(in: directory).keep(names, of: 1) == .saved) }
    let fixture = try StoreFixture(in: directory)
    let kept = try #require(fixture.kept(1))
    #expect(kept.map { Array($0.utf8) } == names.map { Array($0.utf8) })
    #expect(fixture.store.metrics.corruptRows == 0)
  }
}
