// What a cursor proves about the history of a store.

import Notifications
import Testing
import Wire

@Suite("The history of a store")
struct StoreHistoryTests {
  private typealias Incarnation = StoreHistory.Incarnation

  private static func history(
    _ stored: [Incarnation?], isComplete: Bool = true, latest: UInt64
  ) -> StoreHistory {
    StoreHistory(
      epoch: "e", stored: stored, isComplete: isComplete,
      latest: Incarnation(name: "z", start: latest))
  }

  private static func continuity(
    _ text: String, in history: StoreHistory
  ) throws -> StoreHistory.Continuity {
    history.continuity(of: try #require(Cursor(text)))
  }

  private static func lost(_ offset: UInt64, _ end: UInt64?) -> StoreHistory.Continuity {
    .lost(HistoryLoss(offset: offset, end: end))
  }

  @Test func `a cursor is proven up to the start of the next incarnation`() throws {
    let history = Self.history(
      [Incarnation(name: "k", start: 2), Incarnation(name: "w", start: 5)], latest: 9)
    let table: [(String, StoreHistory.Continuity)] = [
      ("e.0", .proven), ("e.2", .proven), ("e.3", Self.lost(3, 2)),
      ("e.k.1", .proven), ("e.k.5", .proven), ("e.k.6", Self.lost(6, 5)),
      ("e.w.9", .proven), ("e.w.10", Self.lost(10, 9)),
      ("e.w.18446744073709551615", Self.lost(.max, 9)),
      // The newest commit of the latest one only the store knows.
      ("e.z.0", .proven), ("e.z.100", .proven),
      ("e.q.1", Self.lost(1, nil)), ("e.zz.1", Self.lost(1, nil)),
      ("f.k.1", .unknown), ("f.1", .unknown),
    ]
    for (text, expected) in table {
      #expect(try Self.continuity(text, in: history) == expected, "\(text)")
    }
  }

  @Test func `a store that went back twice ends earlier incarnations at the earliest start`() throws
  {
    let history = Self.history(
      [
        Incarnation(name: "k", start: 0), Incarnation(name: "w", start: 8),
        Incarnation(name: "m", start: 3),
      ], latest: 6)
    #expect(try Self.continuity("e.k.3", in: history) == .proven)
    #expect(try Self.continuity("e.k.4", in: history) == Self.lost(4, 3))
    #expect(try Self.continuity("e.w.4", in: history) == Self.lost(4, 3))
    #expect(try Self.continuity("e.m.6", in: history) == .proven)
  }

  @Test func `a cursor of a forgotten incarnation is unknown, and proves no loss`() throws {
    let history = Self.history([Incarnation(name: "k", start: 7)], isComplete: false, latest: 9)
    #expect(try Self.continuity("e.old.7", in: history) == .unknown)
    #expect(try Self.continuity("e.7", in: history) == .unknown)
    #expect(try Self.continuity("e.old.8", in: history) == Self.lost(8, nil))
    #expect(try Self.continuity("e.k.9", in: history) == .proven)
  }

  @Test func `a damaged incarnation proves nothing about the commits before it`() throws {
    let history = Self.history([Incarnation(name: "k", start: 2), nil], latest: 9)
    #expect(try Self.continuity("e.k.3", in: history) == Self.lost(3, 0))
    // No new cursor names the damaged one, or one before it.
    #expect(history.cursors.text(at: 9) == "e.z.9")
  }

  @Test func `the cursors of a run name the incarnation before until its first commit`() {
    let fresh = Self.history([], latest: 0)
    #expect(fresh.cursors.text(at: 0) == "e.0")
    #expect(fresh.cursors.text(at: 1) == "e.z.1")
    let later = Self.history([Incarnation(name: "k", start: 2)], latest: 9)
    #expect(later.cursors.text(at: 9) == "e.k.9")
    #expect(later.cursors.text(at: 10) == "e.z.10")
  }

  @Test func `a loss names the missing commits`() {
    #expect("\(HistoryLoss(offset: 8, end: 3))".hasSuffix("changes missing: 5"))
    #expect("\(HistoryLoss(offset: 8, end: nil))".hasSuffix("changes missing: unknown"))
    #expect("\(HistoryLoss(offset: 2, end: 3))".hasSuffix("changes missing: 0"))
  }
}
