// Preferences in the store: a silent notification is stored and counted, but not delivered.

import Notifications
import Storage
import TestSupport
import Testing

@Suite("Preferences in the store", .timeLimit(.minutes(10)))
struct SilenceTests {
  private static let muted = Preferences(rules: ["muted": .init(isMuted: true)])

  private func preferences(_ fixture: StoreFixture, _ user: UserID) -> Preferences? {
    guard case .preferences(let preferences) = fixture.read(.preferences(user: user)) else {
      return nil
    }
    return preferences
  }

  private func missed(
    _ fixture: StoreFixture, _ user: UserID, after: UInt64 = 0, limit: Int = 1_000
  ) throws -> (offsets: [UInt64], through: UInt64, next: UInt64?, total: Int?) {
    let answer = fixture.read(.missed(user: user, after: after, limit: limit))
    guard case .missed(let rows, let through, let next, let total, _) = answer else {
      throw StoreError.sqlite(code: 0, message: "\(answer)")
    }
    return (rows.map(\.offset), through, next, total)
  }

  private func publish(_ fixture: StoreFixture, _ user: UserID, _ types: [String]) {
    let drafts = types.map { fixture.draft(user, content: Content(type: $0, title: $0)) }
    #expect(fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
  }

  /// The events after the first `count`, in short.
  private func told(_ fixture: StoreFixture, since count: Int = 0) -> [String] {
    fixture.events.current.dropFirst(count).map { event in
      switch event.body {
      case .stored(let notification, let counts): "\(notification.type) \(counts.unread)"
      case .counted(let counts): "counted \(counts.unread)"
      default: "something else"
      }
    }
  }

  @Test("preferences are saved, replaced and dropped, separately for each user")
  func keeping() throws {
    let directory = TemporaryDirectory()
    let full = Preferences(
      rules: ["*": .init(channels: .init(websocket: false)), "a": .init(isMuted: true)],
      quietHours: QuietHours(start: 1, end: 0, utcOffset: -840, days: [.sunday]))
    do {
      let fixture = try StoreFixture(in: directory)
      #expect(preferences(fixture, "u") == Preferences())
      #expect(fixture.submit(.setPreferences(user: "u", Self.muted)) == .saved)
      #expect(preferences(fixture, "u") == Self.muted)
      #expect(fixture.submit(.setPreferences(user: "u", full)) == .saved)
      #expect(preferences(fixture, "v") == Preferences())
      #expect(fixture.counts("u") == Counts(), "preferences are not a notification")
      #expect(fixture.events.current.isEmpty)
      #expect(fixture.store.metrics.lastOffset == 0)
    }
    let fixture = try StoreFixture(in: directory)
    #expect(preferences(fixture, "u") == full)
    fixture.publish("u")
    #expect(preferences(fixture, "u") == full)
    #expect(fixture.counts("u").total == 1)
    #expect(fixture.submit(.setPreferences(user: "u", Preferences())) == .saved)
    #expect(preferences(fixture, "u") == Preferences())
    #expect(fixture.sql("SELECT preferences IS NULL FROM user WHERE id = 'u'") == "1")
    #expect(fixture.counts("u").total == 1)
    // Preferences that restrict nothing make no row for an unknown user.
    #expect(fixture.submit(.setPreferences(user: "w", Preferences())) == .saved)
    #expect(fixture.sql("SELECT count(*) FROM user WHERE id = 'w'") == "0")
  }

  @Test("a muted notification is stored and counted, and its event has only the counts")
  func muting() throws {
    let fixture = try StoreFixture()
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    publish(fixture, "u", ["a", "muted", "muted", "b"])
    publish(fixture, "v", ["muted"])
    #expect(told(fixture) == ["a 1", "counted 2", "counted 3", "b 4", "muted 1"])
    #expect(fixture.events.current.map(\.offset) == [1, 2, 3, 4, 5])
    #expect(fixture.inbox("u").map(\.type) == ["b", "muted", "muted", "a"])
    #expect(fixture.inbox("u").map(\.isMuted) == [false, true, true, false])
    #expect(fixture.counts("u").total == 4)
    #expect(fixture.counts("u").unread == 4)
    #expect(fixture.store.metrics.stored == 5)
    #expect(fixture.store.metrics.muted == 2)
    #expect(try missed(fixture, "u").offsets == [1, 4])
    #expect(try missed(fixture, "u", after: 1).offsets == [4])
    #expect(try missed(fixture, "v").offsets == [5])
    // In all other ways it is an ordinary notification.
    let muted = fixture.inbox("u")[1].id
    guard case .changed(1, let counts) = fixture.change("u", .read([muted])) else {
      Issue.record("not found")
      return
    }
    #expect(counts.unread == 3)
  }

  @Test("quiet hours apply by the notification's creation time, and urgent ones ring")
  func quietHours() throws {
    let fixture = try StoreFixture()
    let night = Preferences(quietHours: QuietHours(start: 0, end: 60))
    _ = fixture.submit(.setPreferences(user: "u", night))
    let hour: Int64 = 3_600_000
    let urgent = Content(type: "t", priority: .urgent, title: "T")
    fixture.publish("u", at: 24 * hour)
    fixture.publish("u", at: 25 * hour)
    fixture.publish("u", content: urgent, at: 24 * hour)
    fixture.publish("u", at: 25 * hour - 1)
    #expect(told(fixture) == ["counted 1", "t 2", "t 3", "counted 4"])
  }

  /// A zone that is an hour ahead of UTC until the epoch, and two hours from then on.
  static func zones() throws -> TimeZoneTable {
    let name = Array("UTC\0".utf8)
    let header = { (counts: [UInt8]) -> [UInt8] in
      Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
        + counts.flatMap { [0, 0, 0, $0] }
    }
    var bytes = header([0, 0, 0, 0, 1, 4]) + [0, 0, 0, 0, 0, 0] + name
    bytes += header([0, 0, 0, 1, 2, 4]) + [UInt8](repeating: 0, count: 8) + [1]
    bytes += [0, 0, 0x0E, 0x10, 0, 0] + [0, 0, 0x1C, 0x20, 0, 0] + name + Array("\n\n".utf8)
    return TimeZoneTable([("Area/City", try TimeZoneRules(bytes))])
  }

  @Test("quiet hours of a time zone follow its clock, and everything rings in an unknown zone")
  func timeZones() throws {
    let zones = try Self.zones()
    let directory = TemporaryDirectory()
    let hour: Int64 = 3_600_000
    let night = QuietHours(start: 0, end: 60, clock: .timeZone("Area/City"))
    do {
      let fixture = try StoreFixture(in: directory) { $0.timeZones = zones }
      _ = fixture.submit(.setPreferences(user: "u", Preferences(quietHours: night)))
      for at: Int64 in [-1, -2, 22, 23] { fixture.publish("u", at: at * hour) }
      #expect(told(fixture) == ["counted 1", "t 2", "counted 3", "t 4"])
    }
    let fixture = try StoreFixture(in: directory)
    #expect(preferences(fixture, "u")?.quietHours == night)
    fixture.publish("u", at: 22 * hour)
    #expect(told(fixture) == ["t 5"])
  }

  @Test("preferences apply to later notifications, also in the same group, and to no earlier ones")
  func order() throws {
    let fixture = try StoreFixture()
    publish(fixture, "u", ["muted"])
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    publish(fixture, "u", ["muted"])
    _ = fixture.submit(.setPreferences(user: "u", Preferences()))
    publish(fixture, "u", ["muted"])
    #expect(told(fixture) == ["muted 1", "counted 2", "muted 3"])
    // Submitted without waiting: in one group or several, the order is the same.
    let done = Latch(0)
    for isMuted in [true, false, true] {
      let wish = isMuted ? Self.muted : Preferences()
      #expect(
        fixture.store.submit(.setPreferences(user: "g", wish)) { _ in done.change { $0 += 1 } })
      let draft = fixture.draft("g", content: Content(type: "muted", title: "T"))
      #expect(
        fixture.store.submit(.publish(drafts: [draft], idempotency: nil, answer: [])) { _ in
          done.change { $0 += 1 }
        })
    }
    done.wait { $0 == 6 }
    #expect(told(fixture, since: 3) == ["counted 1", "muted 2", "counted 3"])
  }

  @Test("a replay uses the decision made at storing, not later preferences")
  func decided() throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try StoreFixture(in: directory)
      _ = fixture.submit(.setPreferences(user: "u", Self.muted))
      publish(fixture, "u", ["muted", "a"])
      let other = Preferences(rules: ["a": .init(isMuted: true)])
      _ = fixture.submit(.setPreferences(user: "u", other))
    }
    let fixture = try StoreFixture(in: directory)
    #expect(try missed(fixture, "u").offsets == [2])
    #expect(fixture.inbox("u").map(\.isMuted) == [false, true])
    #expect(fixture.store.metrics.corruptRows == 0)
    // The checksum covers the flag, so one flipped bit cannot make it ring.
    fixture.sql("UPDATE notification SET is_silent = 1 - is_silent")
    #expect(throws: StoreError.self) { try missed(fixture, "u") }
    // Nor can one silence it.
    #expect(throws: StoreError.self) { try missed(fixture, "u", after: 1) }
    #expect(fixture.store.metrics.corruptRows == 2)
  }

  @Test("a replay over only silent ones advances in bounded steps and loses none after them")
  func boundedReplay() throws {
    let fixture = try StoreFixture()
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    publish(fixture, "u", ["a"])
    for _ in 0..<3 { publish(fixture, "u", Array(repeating: "muted", count: 4_000)) }
    publish(fixture, "u", ["b"])
    let first = try missed(fixture, "u", after: 1)
    #expect(first.offsets == [])
    #expect(first.next == 10_001)
    #expect(first.total == 10_001)
    let second = try missed(fixture, "u", after: 10_001)
    #expect(second.offsets == [12_002])
    #expect(second.next == nil)
    #expect(second.total == 2_001)
    var offsets: [UInt64] = []
    var next: UInt64? = 0
    while let after = next {
      let page = try missed(fixture, "u", after: after, limit: 1)
      offsets += page.offsets
      next = page.next
    }
    #expect(offsets == [1, 12_002])
  }

  @Test("corrupt preferences silence nothing, are returned as none, and are counted")
  func damaged() throws {
    let fixture = try StoreFixture()
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    fixture.sql("UPDATE user SET preferences = x'7b22'")
    publish(fixture, "u", ["muted"])
    #expect(told(fixture) == ["muted 1"])
    #expect(preferences(fixture, "u") == Preferences())
    #expect(fixture.store.metrics.corruptRows == 1)
    #expect(fixture.store.failure == nil)
  }
}
