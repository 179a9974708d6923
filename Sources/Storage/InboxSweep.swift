// A change of all of a user's notifications, in steps.
//
//     offsets    1 ... 512 │ 513 ... 1024 │ ...            through │ newer
//                 step 1        step 2         more steps          not changed
//
// An inbox may have any number of rows. A step visits a bounded number of them and commits,
// together with the commands that wait by then, and the outcome follows the last step. So a publish
// waits for one step, not for the whole inbox. The sweep is bounded by the newest offset at its
// start. If the process ends between two steps, a part of the inbox is changed and the counts are
// right; the client gets no answer, and repeating the request changes the rest.
//
// The marks of the notifications for everyone move in the first step. Each step changes the counts
// and publishes them; the event that ends the sweep follows the last step.

internal import Notifications

/// A change of all of a user's notifications that is under way.
struct InboxSweep {
  let user: UserID
  let key: Int64
  let change: InboxChange
  let time: Int64
  /// Newer notifications are not changed.
  let through: Int64
  /// Rows that were marked unread since the sweep began; it leaves them so.
  var excluded: Set<Int64> = []
  /// The classes that have rows to visit, the current one first.
  fileprivate var classes: ArraySlice<InboxClass>
  /// The last row of the current class that was visited.
  fileprivate var after: Int64 = 0
  /// Notifications changed so far.
  fileprivate var count: Int
  /// The number of rows in the group's `markedUnread` when the sweep began.
  fileprivate(set) var marksBefore = 0

  /// Leaves the rows of this user that were marked unread as they are.
  mutating func exclude(_ marked: ArraySlice<(userKey: Int64, offset: Int64)>) {
    guard change == .readAll else { return }
    // guard: unread-excluded-from-sweep
    for row in marked where row.userKey == key { excluded.insert(row.offset) }
  }
}

extension JournalTransaction {
  /// Begins a sweep; the counts show beforehand whether there is anything to do.
  func sweep(
    _ change: InboxChange, user: UserID, _ known: UserRow?, _ state: EveryoneState, time: Int64
  ) throws(StoreError) -> StoreOutcome? {
    let ownCount = known.map { change.count(in: $0.own) } ?? 0
    let commonCount = change.count(in: everyone.counts(for: state))
    guard ownCount + commonCount > 0 else { return .changed(count: 0, try totals(of: known)) }
    let total = sweepCounts.values.reduce(0, +) + group.started.count
    // guard: sweeps-of-all-users
    guard total < sweepLimit else {
      return .unavailable(reason: "\(total) changes of whole inboxes are under way")
    }
    if let known {
      let count = group.started.count { $0.change.key == known.key }
      // guard: sweeps-per-user
      guard sweepCounts[known.key, default: 0] + count < StoreLimits.sweepsPerUserLimit else {
        return .refused(.changes(limit: StoreLimits.sweepsPerUserLimit))
      }
    }
    let key: Int64
    if let known { key = known.key } else { key = try addUser(user) }
    if commonCount > 0 { try applyToAllForEveryone(change, key: key, time: time) }
    var sweep = InboxSweep(
      user: user, key: key, change: change, time: time,
      through: Int64(bitPattern: group.lastOffset),
      classes: ownCount > 0 ? change.classes[...] : [], count: commonCount,
      marksBefore: group.markedUnread.count)
    if let outcome = try step(&sweep, hasChanged: commonCount > 0) { return outcome }
    group.started.append((index: 0, change: sweep))
    return nil
  }

  /// Visits the next rows, up to the limit of one step.
  ///
  /// Returns the outcome after the last step, else nil.
  func step(
    _ sweep: inout InboxSweep, hasChanged: Bool = false
  ) throws(StoreError) -> StoreOutcome? {
    var left = stepLimit
    var difference = Counts()
    var count = 0
    // guard: sweep-step-bound
    while left > 0, let range = sweep.classes.first {
      let rows = try rows(of: sweep, in: range, limit: left)
      for row in rows {
        sweep.after = row.offset
        guard !sweep.excluded.contains(row.offset), let step = sweep.change.difference(for: row)
        else { continue }
        try apply(sweep.change, to: row, time: sweep.time)
        difference.add(step)
        count += 1
      }
      if rows.count < left {
        sweep.classes.removeFirst()
        sweep.after = 0
      }
      left -= max(1, rows.count)
    }
    sweep.count += count
    let isLast = sweep.classes.isEmpty
    guard count > 0 || hasChanged || (isLast && sweep.count > 0) else {
      return isLast ? .changed(count: 0, try totals(of: findUser(sweep.user))) : nil
    }
    let offset = nextOffset()
    let counts = try totals(
      of: changeCounts(key: sweep.key, of: sweep.user, by: difference, offset: offset))
    let body = isLast ? sweep.change.event(ids: [], counts: counts) : .counted(counts)
    group.events.append(
      Event(audience: .user(sweep.user), body: body, timestamp: sweep.time, offset: offset))
    return isLast ? .changed(count: sweep.count, counts) : nil
  }

  private func rows(
    of sweep: InboxSweep, in range: InboxClass, limit: Int
  ) throws(StoreError) -> [FoundRow] {
    var rows: [FoundRow] = []
    try visitRows(
      of: sweep.key, in: range, after: sweep.after, through: sweep.through, limit: limit
    ) { rows.append($0) }
    return rows
  }

  /// Visits up to `limit` rows of a class of the user with that key, after one offset and through
  /// another.
  func visitRows(
    of key: Int64, in range: InboxClass, after: Int64, through: Int64, limit: Int,
    _ visit: (FoundRow) -> Void
  ) throws(StoreError) {
    let statement = statements
    statement.rowsOfClass.bind(1, key)
    statement.rowsOfClass.bind(2, range.rawValue)
    statement.rowsOfClass.bind(3, after)
    statement.rowsOfClass.bind(4, through)
    statement.rowsOfClass.bind(5, Int64(limit))
    defer { statement.rowsOfClass.reset() }
    while try statement.rowsOfClass.step() { visit(FoundRow(statement.rowsOfClass)) }
  }
}
