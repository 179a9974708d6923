// Preferences are parsed once for each version, and the cache of their parsed form is bounded.

import Notifications
import Testing

@testable import Storage

@Suite("Parsed preferences", .timeLimit(.minutes(10)))
struct PreferencesCacheTests {
  private static let muted = Preferences(rules: ["muted": .init(isMuted: true)])

  private func publish(_ fixture: StoreFixture, count: Int, type: String = "muted") {
    for _ in 0..<count {
      fixture.publish("u", content: Content(type: type, title: "T"))
    }
  }

  @Test("the writer parses a user's preferences once for each version, not for each notification")
  func writer() throws {
    let fixture = try StoreFixture()
    publish(fixture, count: 5)
    #expect(fixture.store.metrics.preferencesParsed == 0)
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    publish(fixture, count: 50)
    #expect(fixture.store.metrics.preferencesParsed == 1)
    #expect(fixture.store.metrics.muted == 50)
    let other = Preferences(rules: ["other": .init(isMuted: true)])
    _ = fixture.submit(.setPreferences(user: "u", other))
    publish(fixture, count: 50)
    #expect(fixture.store.metrics.preferencesParsed == 2)
    #expect(fixture.store.metrics.muted == 50)
    _ = fixture.submit(.setPreferences(user: "u", Preferences()))
    publish(fixture, count: 50, type: "other")
    #expect(fixture.store.metrics.preferencesParsed == 2)
    #expect(fixture.store.metrics.muted == 50)
  }

  @Test("a reader parses them once for each version, not for each page of a replay")
  func reader() throws {
    let fixture = try StoreFixture { $0.readerCount = 1 }
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    let content = Content(type: "muted", title: "T")
    for _ in 0..<20 { #expect(fixture.publishForEveryone(content: content) == .published) }
    func replayed() -> Int {
      guard
        case .missed(let rows, _, _, _, _) = fixture.read(.missed(user: "u", after: 0, limit: 100))
      else { return -1 }
      return rows.count
    }
    for _ in 0..<20 { #expect(replayed() == 0) }
    #expect(fixture.store.metrics.preferencesParsed == 1)
    _ = fixture.submit(.setPreferences(user: "u", Preferences()))
    #expect(replayed() == 20)
    _ = fixture.submit(.setPreferences(user: "u", Self.muted))
    for _ in 0..<20 { #expect(replayed() == 0) }
    #expect(fixture.store.metrics.preferencesParsed == 2)
  }

  @Test("a rolled back change of the preferences leaves nothing in the cache")
  func rollback() throws {
    let cache = PreferencesCache()
    let first = try cache.preferences(of: 1, version: 1) { Self.muted.json }
    #expect(first == Self.muted)
    cache.removeAll()
    let other = try cache.preferences(of: 1, version: 1) { Preferences().json }
    #expect(other == Preferences())
  }

  @Test("the cache holds two generations of documents, and the entries in use stay")
  func bound() throws {
    let cache = PreferencesCache()
    let document = Self.muted.json
    let fitting =
      StoreLimits.cachedPreferencesBytesLimit / (PreferencesCache.entryByteCount + document.count)
    for key in 1...Int64(10 * fitting) {
      _ = try cache.preferences(of: key, version: 1) { document }
      _ = try cache.preferences(of: 1, version: 1) { document }
      #expect(cache.count <= 2 * fitting)
    }
    #expect(cache.parseCount == 10 * fitting, "the user with key 1 was parsed once")
  }

  @Test("a damaged document is parsed once, and so is a missing one")
  func damaged() throws {
    let cache = PreferencesCache()
    for _ in 0..<3 {
      #expect(try cache.preferences(of: 1, version: 1) { [0x7B] } == nil)
      #expect(try cache.preferences(of: 2, version: 1) { nil } == nil)
    }
    #expect(cache.parseCount == 2)
  }
}
