// The store against a trivial model: random operations of several users, with notifications for one
// and for everyone, expiry, and a reopening of the store in between.

import Notifications
import Storage
import TestSupport
import Testing

/// The contents of every inbox, without offsets, marks or sums.
private struct InboxModel {
  struct Row {
    let id: NotificationID
    let priority: Priority
    let expiresAt: Int64?
    /// Nil for everyone.
    let user: UserID?
  }
  struct Mark: Hashable {
    var isRead = false
    var isSeen = false
    var isDeleted = false
  }

  var rows: [Row] = []
  var marks: [UserID: [NotificationID: Mark]] = [:]

  /// Newest first.
  func inbox(_ user: UserID) -> [(row: Row, mark: Mark)] {
    rows.reversed().compactMap { row in
      let mark = marks[user]?[row.id] ?? Mark()
      return (row.user ?? user) == user && !mark.isDeleted ? (row, mark) : nil
    }
  }

  /// The model has no versions; the store's is passed in.
  func counts(_ user: UserID, version: UInt64) -> Counts {
    var counts = Counts(version: version)
    for (row, mark) in inbox(user) {
      counts.total += 1
      if !mark.isSeen { counts.unseen += 1 }
      guard !mark.isRead else { continue }
      counts.unread += 1
      counts.byPriority[row.priority] += 1
    }
    return counts
  }

  mutating func change(_ user: UserID, _ change: InboxChange) {
    let ids: [NotificationID]
    switch change {
    case .read(let some), .unread(let some), .seen(let some), .delete(let some): ids = some
    case .readAll, .seenAll, .deleteAll: ids = rows.map(\.id)
    }
    let present = Set(inbox(user).map(\.row.id))
    for id in ids where present.contains(id) {
      var mark = marks[user]?[id] ?? Mark()
      switch change {
      case .read, .readAll:
        mark.isRead = true
        mark.isSeen = true
      case .unread: mark.isRead = false
      case .seen, .seenAll: mark.isSeen = true
      case .delete, .deleteAll: mark.isDeleted = true
      }
      marks[user, default: [:]][id] = mark
    }
  }

  mutating func keep(everyone limit: Int) {
    while rows.filter({ $0.user == nil }).count > limit {
      rows.remove(at: rows.firstIndex { $0.user == nil }!)
    }
  }
}

@Suite("The store against a model", .timeLimit(.minutes(10)))
struct EveryoneModelTests {
  private static let everyoneLimit = 12
  // The last two never get a notification of their own.
  private static let users = ["a", "b", "c", "d", "e"]

  private func open(_ directory: TemporaryDirectory) throws -> StoreFixture {
    try StoreFixture(in: directory) {
      $0.everyoneLimit = Self.everyoneLimit
      $0.expiryLimit = 5
    }
  }

  @Test("counts, pages and replays match the model after any sequence of operations")
  func model() throws {
    var random = SeededGenerator.announced()
    let directory = TemporaryDirectory()
    var fixture = try open(directory)
    var model = InboxModel()
    var versions: [UserID: UInt64] = [:]
    var time: Int64 = 1_000
    for step in 0..<600 {
      let told = fixture.events.current.count
      var isExpiry = false
      switch Int.random(in: 0..<100, using: &random) {
      case 0:
        fixture.store.close()
        fixture = try open(directory)
        continue
      case 1..<8:
        isExpiry = true
        time += Int64.random(in: 0..<200, using: &random)
        while fixture.submit(.expire(at: time)) == .expired(hasMore: true) {}
        model.rows.removeAll { $0.expiresAt.map { $0 <= time } ?? false }
      case 8..<40:
        publish(to: fixture, &model, at: time, &random)
      default:
        let user = Self.users.randomElement(using: &random)!
        let change = change(in: model, &random)
        let before = model.counts(user, version: 0)
        let outcome = fixture.change(user, change, at: Int64(step + 1))
        model.change(user, change)
        guard case .changed(_, let counts) = outcome else {
          Issue.record("\(outcome)")
          return
        }
        #expect(counts == model.counts(user, version: counts.version))
        // There is an event exactly when something changed.
        let isChanged = before != model.counts(user, version: 0)
        #expect(fixture.events.current.count == told + (isChanged ? 1 : 0))
      }
      for event in fixture.events.current[told...] {
        guard case .user(let user) = event.audience, let counts = event.counts else { continue }
        #expect(counts.version == event.offset)
        #expect(counts.version > versions[user] ?? 0)
        versions[user] = counts.version
        if !isExpiry { #expect(counts == model.counts(user, version: counts.version)) }
      }
      let looked = step % 20 == 0 ? Self.users : [Self.users.randomElement(using: &random)!]
      for user in looked { check(user, fixture, model, &versions) }
    }
    fixture.store.close()
  }

  private func publish(
    to fixture: StoreFixture, _ model: inout InboxModel, at time: Int64,
    _ random: inout SeededGenerator
  ) {
    let user = Bool.random(using: &random) ? Self.users[..<3].randomElement(using: &random)! : nil
    let id = fixture.makeID()
    let priority = Priority.allCases.randomElement(using: &random)!
    let expiresAt =
      Int.random(in: 0..<3, using: &random) == 0
      ? time + Int64.random(in: 1..<600, using: &random) : nil
    let content = Content(type: "t", priority: priority, title: "T", expiresAt: expiresAt)
    let draft =
      user.map { fixture.draft($0, id: id, content: content, at: time) }
      ?? fixture.draftForEveryone(id: id, content: content, at: time)
    #expect(
      fixture.submit(.publish(drafts: [draft], idempotency: nil, answer: [])) == .published)
    model.rows.append(
      InboxModel.Row(id: id, priority: priority, expiresAt: expiresAt, user: user))
    model.keep(everyone: Self.everyoneLimit)
  }

  private func change(in model: InboxModel, _ random: inout SeededGenerator) -> InboxChange {
    // Sometimes an unknown id, or one of another user.
    let some = (0..<Int.random(in: 0...3, using: &random)).compactMap { _ in
      model.rows.randomElement(using: &random)?.id
    }
    switch Int.random(in: 0..<40, using: &random) {
    case 0...1: return .readAll
    case 2...3: return .seenAll
    case 4: return .deleteAll
    case 5..<15: return .read(some)
    case 15..<23: return .unread(some)
    case 23..<31: return .seen(some)
    default: return .delete(some)
    }
  }

  private func check(
    _ user: UserID, _ fixture: StoreFixture, _ model: InboxModel,
    _ versions: inout [UserID: UInt64]
  ) {
    let counts = fixture.counts(user)
    #expect(counts == model.counts(user, version: counts.version))
    #expect(counts.version >= versions[user] ?? 0)
    versions[user] = counts.version
    let expected = model.inbox(user)
    let rows = fixture.inbox(user)
    #expect(rows.map(\.id) == expected.map(\.row.id))
    #expect(rows.map(\.isRead) == expected.map(\.mark.isRead))
    #expect(rows.map { $0.seenAt != nil } == expected.map(\.mark.isSeen))
    #expect(rows.allSatisfy { $0.userID == user })
    let missed = fixture.missed(user, after: 0)
    #expect(missed.rows == rows.reversed())
    #expect(missed.total == rows.count)
  }
}
