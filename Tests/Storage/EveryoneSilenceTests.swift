// Notifications for everyone against preferences: stored once, so each user's preferences apply
// when the notification is read.

import Notifications
import Storage
import TestSupport
import Testing

@Suite("Preferences and notifications for everyone", .timeLimit(.minutes(10)))
struct EveryoneSilenceTests {
  private static let muted = Preferences(rules: ["muted": .init(isMuted: true)])

  private func publish(_ fixture: StoreFixture, _ types: [String], at time: Int64 = 0) {
    let drafts = types.map {
      fixture.draftForEveryone(content: Content(type: $0, title: $0), at: time)
    }
    #expect(fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
  }

  private func offsets(_ fixture: StoreFixture, _ user: UserID, after: UInt64 = 0) -> [UInt64] {
    fixture.missed(user, after: after).rows.map(\.offset)
  }

  @Test("a muted one is not replayed, but is counted and in the inbox; other users get it")
  func muting() throws {
    let fixture = try StoreFixture()
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    publish(fixture, ["muted", "a", "muted"])
    fixture.publish("u")
    #expect(offsets(fixture, "u") == [2, 4])
    #expect(offsets(fixture, "u", after: 2) == [4])
    #expect(offsets(fixture, "v") == [1, 2, 3])
    #expect(offsets(fixture, "nobody") == [1, 2, 3])
    let missed = fixture.missed("u", after: 0)
    #expect(missed.total == 4 && missed.isLast)
    #expect(missed.counts.total == 4 && missed.counts.unread == 4)
    #expect(fixture.inbox("u").map(\.offset) == [4, 3, 2, 1])
    #expect(fixture.counts("u").unread == 4)
  }

  @Test("a disabled channel silences it, and so do quiet hours at its creation")
  func channelsAndHours() throws {
    let fixture = try StoreFixture()
    let hour: Int64 = 3_600_000
    let night = QuietHours(start: 0, end: 60)
    let wishes = Preferences(
      rules: ["off": .init(channels: .init(websocket: false))], quietHours: night)
    _ = fixture.submit(.setPreferences(user: "u", wishes))
    publish(fixture, ["t"], at: 24 * hour)
    publish(fixture, ["t", "off"], at: 25 * hour)
    let urgent = fixture.draftForEveryone(
      content: Content(type: "t", priority: .urgent, title: "T"), at: 24 * hour)
    #expect(
      fixture.submit(.publish(drafts: [urgent], idempotency: nil, answer: [])) == .published)
    publish(fixture, ["t"], at: 25 * hour - 1)
    #expect(offsets(fixture, "u") == [2, 4])
    #expect(offsets(fixture, "v") == [1, 2, 3, 4, 5])
  }

  @Test("quiet hours of a time zone follow its clock")
  func timeZones() throws {
    let zones = try SilenceTests.zones()
    let fixture = try StoreFixture { $0.timeZones = zones }
    let hour: Int64 = 3_600_000
    let night = QuietHours(start: 0, end: 60, clock: .timeZone("Area/City"))
    _ = fixture.submit(.setPreferences(user: "u", Preferences(quietHours: night)))
    publish(fixture, ["t"], at: 22 * hour)
    publish(fixture, ["t"], at: 23 * hour)
    #expect(offsets(fixture, "u") == [2])
    #expect(offsets(fixture, "v") == [1, 2])
  }

  @Test("the preferences at the time of reading apply")
  func present() throws {
    let fixture = try StoreFixture()
    publish(fixture, ["muted", "a"])
    #expect(offsets(fixture, "u") == [1, 2])
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    #expect(offsets(fixture, "u") == [2])
    _ = fixture.submit(.setPreferences(user: "u", Preferences()))
    #expect(offsets(fixture, "u") == [1, 2])
  }

  @Test("only silent ones give an empty last page, and pages continue past them")
  func pages() throws {
    let fixture = try StoreFixture()
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    publish(fixture, ["muted", "muted", "muted"])
    let muted = fixture.missed("u", after: 0, limit: 1)
    #expect(muted.rows.isEmpty && muted.isLast && muted.counts.unread == 3)
    publish(fixture, ["a", "muted", "b"])
    let first = fixture.missed("u", after: 0, limit: 1)
    #expect(first.rows.map(\.offset) == [4] && !first.isLast)
    let second = fixture.missed("u", after: 4, limit: 1)
    #expect(second.rows.map(\.offset) == [6] && second.isLast)
  }

  @Test("it rings if the preferences are corrupt, and the corruption is counted")
  func damaged() throws {
    let fixture = try StoreFixture()
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    fixture.sql("UPDATE user SET preferences = x'7b22'")
    publish(fixture, ["muted", "muted"])
    #expect(offsets(fixture, "u") == [1, 2])
    #expect(fixture.store.metrics.corruptRows == 1)
  }
}
