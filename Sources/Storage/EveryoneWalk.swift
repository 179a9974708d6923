// The notifications for everyone as they appear in one user's inbox.
//
// They interleave with the user's own by offset, so reading an inbox merges the two sequences.

internal import Notifications

/// The notifications for everyone that a user has not deleted, in order or in reverse.
struct EveryoneWalk {
  struct Step {
    let row: EveryoneList.Row
    let view: EveryoneView
  }

  private let list: EveryoneList
  private let state: EveryoneState
  private let step: Int
  private var index: Int
  private(set) var current: Step?

  init(_ list: EveryoneList, _ state: EveryoneState, from index: Int, by step: Int) {
    self.list = list
    self.state = state
    self.step = step
    self.index = index
    find()
  }

  mutating func advance() {
    index += step
    find()
  }

  /// How many remain.
  var count: Int {
    var rest = self
    var count = 0
    while rest.current != nil {
      count += 1
      rest.advance()
    }
    return count
  }

  private mutating func find() {
    current = nil
    while list.rows.indices.contains(index) {
      let row = list.rows[index]
      if let view = state.view(of: row.offset) {
        current = Step(row: row, view: view)
        return
      }
      index += step
    }
  }
}

/// Offsets, by group, of the notifications for everyone that pass a filter in a user's inbox.
struct EveryoneGroups {
  /// Rising offsets of each group.
  private var offsets: [TextKey: [Int64]] = [:]

  init(_ list: EveryoneList, _ state: EveryoneState, _ filter: PageFilter) {
    guard filter.grouping == .collapsed else { return }
    for row in list.rows {
      guard let group = row.groupKey, let view = state.view(of: row.offset) else { continue }
      guard filter.admits(EveryoneWalk.Step(row: row, view: view)) else { continue }
      offsets[TextKey(group), default: []].append(row.offset)
    }
  }

  /// Whether the group has a notification above `offset`.
  func hasNewer(_ group: String, than offset: Int64) -> Bool {
    guard let newest = offsets[TextKey(group)]?.last else { return false }
    return newest > offset
  }

  /// How many of the group are at `offset` or below.
  func count(_ group: String, through offset: Int64) -> Int {
    offsets[TextKey(group)]?.count { $0 <= offset } ?? 0
  }
}
