// Notifications with a group key: how the inbox collapses them, and changes of a whole group.

import Notifications
import Storage
import TestSupport
import Testing

@Suite("Groups of an inbox", .timeLimit(.minutes(10)))
struct GroupingTests {
  private func publish(
    _ fixture: StoreFixture, _ groups: [String?], type: String = "t", user: UserID = "u"
  ) -> [NotificationID] {
    let drafts = groups.map {
      fixture.draft(user, content: Content(type: type, title: $0 ?? "-", groupKey: $0))
    }
    #expect(fixture.submit(.publish(drafts: drafts, idempotency: nil, answer: [])) == .published)
    return drafts.map(\.id)
  }

  /// A page in short: each row's offset, with the number of notifications it represents.
  private func shown(
    _ fixture: StoreFixture, limit: Int = 200, before: UInt64? = nil, unreadOnly: Bool = false,
    type: String? = nil, grouping: PageGrouping = .collapsed
  ) -> (rows: [String], next: UInt64?) {
    let page = fixture.page(
      "u", limit: limit, before: before, unreadOnly: unreadOnly, type: type, grouping: grouping)
    let rows = page.rows.map { row in
      "\(row.offset)" + (page.groups[row.offset].map { "×\($0)" } ?? "")
    }
    return (rows, page.next)
  }

  private func change(
    _ fixture: StoreFixture, _ change: GroupChange, of id: NotificationID, user: UserID = "u"
  ) -> Int {
    let outcome = fixture.submit(.changeGroup(user: user, of: id, change, at: 9))
    guard case .changed(let count, let counts) = outcome else { return -1 }
    #expect(counts == fixture.counts(user))
    return count
  }

  @Test("of each group the newest is shown, with its group's size; ungrouped ones stay")
  func collapsing() throws {
    let fixture = try StoreFixture()
    _ = publish(fixture, ["a", nil, "b", "a", nil, "c", "a"])
    _ = publish(fixture, ["a", "b"], user: "v")
    #expect(shown(fixture).rows == ["7×3", "6×1", "5", "3×1", "2"])
    #expect(shown(fixture, grouping: .separate).rows == ["7", "6", "5", "4", "3", "2", "1"])
    #expect(shown(fixture, grouping: .only("a")).rows == ["7", "4", "1"])
    #expect(shown(fixture, grouping: .only("A")).rows == [])
    #expect(fixture.page("u").counts.total == 7, "notifications are counted, not rows")
  }

  @Test("the filter decides which of a group is shown and how many are counted")
  func filters() throws {
    let fixture = try StoreFixture()
    let ids = publish(fixture, ["a", "a", "b", "a"]) + publish(fixture, ["b"], type: "other")
    _ = fixture.change("u", .read([ids[3], ids[0]]))
    #expect(shown(fixture).rows == ["5×2", "4×3"])
    #expect(shown(fixture, unreadOnly: true).rows == ["5×2", "2×1"])
    #expect(shown(fixture, type: "t").rows == ["4×3", "3×1"])
    #expect(shown(fixture, unreadOnly: true, type: "t").rows == ["3×1", "2×1"])
    #expect(shown(fixture, unreadOnly: true, grouping: .only("a")).rows == ["2"])
  }

  @Test("a group is counted up to 1,000, and a row is shown after 1,000 of other types")
  func bounds() throws {
    let fixture = try StoreFixture()
    let ids = publish(fixture, Array(repeating: "g", count: 1_003))
    #expect(shown(fixture).rows == ["1003×1000"])
    #expect(shown(fixture, type: "t").rows == ["1003×1000"])
    // The index finds the unread ones, however many others lie between them.
    _ = fixture.change("u", .read(Array(ids[1..<1_002])))
    #expect(shown(fixture, unreadOnly: true).rows == ["1003×2"])
    // Types of a group have no index: 1,003 of another lie above, so the group appears once more.
    _ = publish(fixture, ["h"], type: "rare")
    _ = publish(fixture, Array(repeating: "h", count: 1_003))
    _ = publish(fixture, ["h"], type: "rare")
    #expect(shown(fixture, type: "rare").rows == ["2009×1", "1005×1"])
  }

  @Test("a page scans a bounded number of rows, and the next one continues there")
  func boundedScan() throws {
    let fixture = try StoreFixture()
    _ = publish(fixture, [nil])
    for _ in 0..<3 { _ = publish(fixture, Array(repeating: "g", count: 4_000)) }
    var rows: [String] = []
    var pageCount = 0
    var before: UInt64?
    repeat {
      let page = shown(fixture, before: before)
      rows += page.rows
      before = page.next
      pageCount += 1
    } while before != nil
    #expect(rows == ["12001×1000", "1"])
    // A row and the newer one of its group: two for each.
    #expect((2...4).contains(pageCount))
  }

  @Test("a page of many large groups ends when it has counted enough")
  func boundedCount() throws {
    let fixture = try StoreFixture()
    // Interleaved, so that the newest of each group are found early.
    let groups = (0..<22).map { "g\($0)" }
    for _ in 0..<20 {
      _ = publish(fixture, (0..<50).flatMap { _ in groups })
    }
    let page = shown(fixture)
    #expect(page.rows.count == 20)
    #expect(shown(fixture, before: page.next).rows == ["21980×1000", "21979×1000"])
  }

  @Test("a group change affects exactly the group, with one event")
  func changes() throws {
    let fixture = try StoreFixture()
    let ids = publish(fixture, ["a", "b", nil, "a", "a"])
    _ = publish(fixture, ["a"], user: "v")
    let told = fixture.events.current.count
    #expect(change(fixture, .read, of: ids[3]) == 3)
    #expect(fixture.inbox("u", grouping: .separate).map(\.readAt) == [9, 9, nil, nil, 9])
    guard fixture.events.current.count == told + 1,
      case .read(let changed, let counts) = fixture.events.current[told].body
    else {
      Issue.record("\(fixture.events.current.count - told) events")
      return
    }
    #expect(changed == [ids[3], ids[4], ids[0]])
    #expect(counts.unread == 2)
    // Again: only the named one is found, and nothing needs a change.
    #expect(change(fixture, .read, of: ids[3]) == 1)
    #expect(fixture.events.current.count == told + 1)
    #expect(change(fixture, .unread, of: ids[0]) == 3)
    #expect(fixture.counts("u").unread == 5)
    #expect(change(fixture, .delete, of: ids[0]) == 3)
    #expect(fixture.inbox("u").map(\.id) == [ids[2], ids[1]])
    #expect(change(fixture, .delete, of: ids[0]) == 0)
    #expect(change(fixture, .read, of: ids[2]) == 1, "without a group, only itself")
    #expect(change(fixture, .delete, of: ids[1], user: "v") == 0, "another's")
    #expect(change(fixture, .delete, of: ids[1], user: "nobody") == 0)
    #expect(fixture.counts("v").unread == 1)
    #expect(fixture.counts("u").total == 2)
  }

  @Test("notifications for everyone collapse with the user's own, and change with them")
  func everyone() throws {
    let fixture = try StoreFixture()
    let ids = publish(fixture, ["a", "b"])
    let common = fixture.makeID()
    let content = Content(type: "t", title: "T", groupKey: "a")
    #expect(fixture.publishForEveryone(id: common, content: content) == .published)
    #expect(shown(fixture).rows == ["3×2", "2×1"])
    _ = publish(fixture, ["a"])
    #expect(shown(fixture).rows == ["4×3", "2×1"])
    #expect(shown(fixture, grouping: .only("a")).rows == ["4", "3", "1"])
    #expect(shown(fixture, before: 4).rows == ["2×1"], "its newest was on the page before")
    #expect(fixture.page("stranger").groups == [3: 1])
    #expect(change(fixture, .read, of: common) == 3)
    #expect(fixture.counts("u").unread == 1)
    #expect(fixture.counts("stranger").unread == 1)
    #expect(change(fixture, .unread, of: ids[0]) == 3)
    #expect(change(fixture, .delete, of: ids[0]) == 3)
    #expect(shown(fixture).rows == ["2×1"])
    #expect(change(fixture, .delete, of: common, user: "stranger") == 1)
    #expect(change(fixture, .delete, of: common, user: "stranger") == 0)
  }

  @Test("one change covers 1,000 of a group, the named one included; the next covers the rest")
  func boundedChange() throws {
    let fixture = try StoreFixture()
    let ids = publish(fixture, Array(repeating: "g", count: 1_500))
    #expect(change(fixture, .read, of: ids[0]) == 1_000)
    #expect(fixture.counts("u").unread == 500)
    #expect(fixture.inbox("u", grouping: .separate).last?.isRead == true)
    #expect(change(fixture, .read, of: ids[0]) == 501)
    #expect(change(fixture, .read, of: ids[0]) == 1)
    #expect(change(fixture, .delete, of: ids[0]) == 1_000)
    #expect(fixture.counts("u").total == 500)
  }

  @Test("pages of any size, concatenated, equal one endless page of a plain model")
  func model() throws {
    var random = SeededGenerator.announced()
    for _ in 0..<6 {
      let fixture = try StoreFixture()
      var model: [ModelRow] = []
      for _ in 0..<30 {
        try step(fixture, &model, &random)
        let unreadOnly = Bool.random(using: &random)
        let type = [nil, nil, "x", "y"].randomElement(using: &random)!
        let grouping =
          [.collapsed, .collapsed, .separate, .only("a")].randomElement(using: &random)!
          as PageGrouping
        let limit = Int.random(in: 1...9, using: &random)
        let passing = model.filter { row in
          (!unreadOnly || !row.isRead) && (type == nil || row.type == type)
            && (grouping != .only("a") || row.group == "a")
        }
        let expected = Self.collapse(passing, grouping)
        var found: [String] = []
        var before: UInt64?
        repeat {
          let page = shown(
            fixture, limit: limit, before: before, unreadOnly: unreadOnly, type: type,
            grouping: grouping)
          #expect(page.rows.count == limit || page.next == nil, "only the last one is short")
          found += page.rows
          before = page.next
        } while before != nil
        #expect(found == expected)
      }
      #expect(fixture.counts("u").total == model.count)
      #expect(fixture.counts("u").unread == model.count { !$0.isRead })
    }
  }

  fileprivate struct ModelRow {
    let offset: UInt64
    let id: NotificationID
    let group: String?
    let type: String
    var isRead = false
  }

  /// The rows that pass, newest first, each group once.
  private static func collapse(_ rows: [ModelRow], _ grouping: PageGrouping) -> [String] {
    guard grouping == .collapsed else { return rows.reversed().map { "\($0.offset)" } }
    var seen: Set<String> = []
    return rows.reversed().compactMap { row in
      guard let group = row.group else { return "\(row.offset)" }
      guard seen.insert(group).inserted else { return nil }
      return "\(row.offset)×\(rows.count { $0.group == group })"
    }
  }

  /// Publishes some, or changes one or a group, in the store and in the model.
  private func step(
    _ fixture: StoreFixture, _ model: inout [ModelRow], _ random: inout SeededGenerator
  ) throws {
    let one = model.randomElement(using: &random)
    switch (Int.random(in: 0..<8, using: &random), one) {
    case (0, let one?):
      _ = fixture.change("u", .read([one.id]))
      model = model.map { $0.id == one.id ? $0.read(true) : $0 }
    case (1...3, let one?):
      let change = [GroupChange.read, .unread, .delete].randomElement(using: &random)!
      if change == .delete, model.count < 30 { return }
      let isOne = { (row: ModelRow) in
        row.id == one.id || (row.group != nil && row.group == one.group)
      }
      #expect(self.change(fixture, change, of: one.id) >= 1)
      switch change {
      case .read: model = model.map { isOne($0) ? $0.read(true) : $0 }
      case .unread: model = model.map { isOne($0) ? $0.read(false) : $0 }
      case .delete: model.removeAll(where: isOne)
      }
    case (4, _):
      let id = fixture.makeID()
      let group = [nil, "a", "b", "d"].randomElement(using: &random)!
      let content = Content(type: "y", title: "T", groupKey: group)
      #expect(fixture.publishForEveryone(id: id, content: content) == .published)
      let offset = fixture.store.metrics.lastOffset
      model.append(ModelRow(offset: offset, id: id, group: group, type: "y"))
    default:
      let groups = (0..<Int.random(in: 1...12, using: &random)).map { _ in
        [nil, "a", "b", "c", "ü"].randomElement(using: &random)!
      }
      let type = Bool.random(using: &random) ? "x" : "y"
      let first = fixture.store.metrics.lastOffset + 1
      for (index, id) in publish(fixture, groups, type: type).enumerated() {
        model.append(
          ModelRow(offset: first + UInt64(index), id: id, group: groups[index], type: type))
      }
    }
  }
}

extension GroupingTests.ModelRow {
  fileprivate func read(_ isRead: Bool) -> Self {
    var row = self
    row.isRead = isRead
    return row
  }
}
