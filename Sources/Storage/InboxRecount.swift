// A recount of a user's notifications, in steps.
//
// Damaged counts are counted again from the rows, and an inbox may have any number of rows. One
// transaction visits at most a step of them for this. So an inbox that fits in it is recounted
// within the command that found the damage. For a larger one that command is refused, with nothing
// of it stored, and the recount goes on in the next transactions. Until it ends, the user's other
// commands are refused too, and changes of a whole inbox and the expiry leave the user out: then no
// row changes its place under the recount. No other user waits for it.

internal import Notifications

/// A recount of a user's notifications that is under way.
struct InboxRecount {
  let user: UserID
  let key: Int64
  /// The rows counted so far.
  fileprivate(set) var counts = Counts()
  /// The classes that have rows to visit, the current one first.
  fileprivate var classes = InboxClass.allCases[...]
  /// The last row of the current class that was visited.
  fileprivate var after = Int64.min

  init(user: UserID, key: Int64) {
    self.user = user
    self.key = key
  }

  fileprivate var isComplete: Bool { classes.isEmpty }
}

/// The recounts under way, the next one first.
struct RecountQueue {
  private var recounts: [InboxRecount] = []
  private var users: Set<TextKey> = []

  var isEmpty: Bool { recounts.isEmpty }

  var count: Int { recounts.count }

  var first: InboxRecount? {
    get { recounts.first }
    set { if let newValue { recounts[0] = newValue } }
  }

  mutating func append(_ recount: InboxRecount) {
    if users.insert(TextKey(recount.user)).inserted { recounts.append(recount) }
  }

  mutating func append(_ others: RecountQueue) {
    for recount in others.recounts { append(recount) }
  }

  /// Removes the last ones, down to the limit.
  mutating func limit() {
    while recounts.count > StoreLimits.recountLimit {
      users.remove(TextKey(recounts.removeLast().user))
    }
  }

  mutating func removeFirst() {
    users.remove(TextKey(recounts.removeFirst().user))
  }

  func contains(_ user: UserID) -> Bool { !users.isEmpty && users.contains(TextKey(user)) }
}

extension JournalTransaction {
  /// The outcome of a command of a user whose notifications are recounted.
  static let recounting = StoreOutcome.unavailable(reason: "\(StoreError.recounting)")

  /// Whether recounts need further transactions.
  var isRecounting: Bool { !recounts.isEmpty }

  /// Ends all recounts; the damage is found again.
  func forgetRecounts() { recounts = RecountQueue() }

  /// Visits the next rows, as many as this transaction may still visit.
  ///
  /// Returns whether all rows are counted.
  private func count(_ recount: inout InboxRecount) throws(StoreError) -> Bool {
    while recountBudget > 0, let range = recount.classes.first {
      let count = try countRows(of: range, &recount)
      if count < recountBudget {
        recount.classes.removeFirst()
        recount.after = .min
      }
      // guard: recount-step-bound
      recountBudget -= max(1, count)
    }
    return recount.isComplete
  }

  /// Visits the next rows of a class; returns their number.
  private func countRows(
    of range: InboxClass, _ recount: inout InboxRecount
  ) throws(StoreError) -> Int {
    var count = 0
    try visitRows(
      of: recount.key, in: range, after: recount.after, through: .max, limit: recountBudget
    ) { row in
      recount.after = row.offset
      recount.counts.add(row)
      count += 1
    }
    return count
  }

  /// Counts the user's notifications now; if there are too many for that, throws `recounting`, and
  /// the recount goes on in later transactions.
  func recount(_ user: UserID, key: Int64) throws(StoreError) -> Counts {
    var recount = InboxRecount(user: user, key: key)
    if !recounts.contains(user), try count(&recount) { return recount.counts }
    begunRecounts.append(InboxRecount(user: user, key: key))
    throw .recounting
  }

  /// Makes the next step of the first recount, and stores the counts after the last one.
  func continueRecount() throws(StoreError) {
    guard var recount = recounts.first else { return }
    let isLast = try count(&recount)
    recounts.first = recount
    guard isLast else { return }
    recounts.removeFirst()
    try finish(recount)
  }

  /// Stores the counts of a recount, unless they are as stored; the user's devices get them.
  private func finish(_ recount: InboxRecount) throws(StoreError) {
    var row = try statements.repairs.read(recount.key, newest: group.lastOffset)
    var counts = recount.counts
    counts.version = row.own.version
    guard row.isDamaged || counts != row.own else { return }
    let offset = nextOffset()
    row.own = counts
    row.own.version = offset
    try write(row)
    let all = try totals(of: row)
    group.events.append(
      Event(audience: .user(recount.user), body: .counted(all), timestamp: clock, offset: offset))
  }

  /// Recounts a user that a reader has found damaged, at once or in the next transactions.
  func recount(_ user: UserID, at time: Int64) throws(StoreError) {
    clock = max(clock, time)
    guard let key = try readUser(user)?.key, !recounts.contains(user) else { return }
    var recount = InboxRecount(user: user, key: key)
    if try count(&recount) {
      try finish(recount)
    } else {
      recounts.append(InboxRecount(user: user, key: key))
    }
  }
}

extension Counts {
  /// Counts a row.
  fileprivate mutating func add(_ row: FoundRow) {
    total += 1
    guard row.isUnread else { return }
    unread += 1
    if row.isUnseen { unseen += 1 }
    byPriority[row.priority] += 1
  }
}
