// One group of commands as one transaction.
//
// Every stored row and every command that changes something takes the next offset, and the newest
// offset is saved in the same transaction: offsets rise strictly, also across a crash. A command
// that changes nothing (a repeat, a second "read") takes none and writes nothing.

internal import Notifications
internal import Reactor

/// The outcomes and events of a committed group.
struct GroupResult {
  /// Nil for a command that continues as one of `started`.
  var outcomes: [StoreOutcome?] = []
  /// Changes of whole inboxes that need more steps, by the command's index in the group.
  var started: [(index: Int, change: InboxSweep)] = []
  /// The continued change after its step, and its outcome if that was the last step.
  var continued: (change: InboxSweep, outcome: StoreOutcome?)?
  /// Rows marked as unread, in order.
  var markedUnread: [(userKey: Int64, offset: Int64)] = []
  var events: [Event] = []
  var lastOffset: UInt64
  var storedCount = 0
  var mutedCount = 0
  var expiredCount = 0
  var evictedCount = 0
  var duplicateIDCount = 0
  var parsedPreferencesCount = 0
  /// The damaged numbers that were replaced, in words.
  var repairs: [String] = []
  /// The number of API keys that were not revoked, if a command changed one.
  var apiKeyCount: Int?
  /// Whether a check wrote its row.
  var hasCheckedRow = false
  var outbox = OutboxMetrics()
  var outboxNews: OutboxNews = []
  /// Errors of commands that failed by themselves and are answered with `.unavailable`.
  var failures: [StoreError] = []
}

/// Why a group failed, and the state in which that leaves the store.
struct GroupFailure: Error {
  let error: StoreError
  /// Whether the store may not write again: a write failed, or the rollback did.
  let isFinal: Bool
  /// Whether the commit itself failed: its frames may be in the log, and a start would find them.
  let isOutcomeUnknown: Bool
}

/// The commands of a group that failed by themselves, so that it runs again without them.
private struct CommandsLeftOut {
  /// Their outcomes, by their indices.
  private(set) var outcomes: [Int: StoreOutcome] = [:]
  private(set) var failures: [StoreError] = []
  private(set) var duplicateIDCount = 0

  /// Adds the command that failed; false if the group fails with it.
  ///
  /// Each command is added once, so the runs of a group end.
  mutating func add(_ index: Int, _ error: StoreError) -> Bool {
    guard outcomes[index] == nil else { return false }
    if error.isUniqueness {
      // A bug of the caller.
      duplicateIDCount += 1
      outcomes[index] = .readOnly(reason: "the id of a notification is already in use")
      return true
    }
    guard failures.count < StoreLimits.failureLimit else { return false }
    failures.append(error)
    outcomes[index] = .unavailable(reason: "\(error)")
    return true
  }
}

/// Runs groups of commands on the journal's connection.
final class JournalTransaction {
  let statements: JournalStatements
  private let keys: JournalKeys
  let everyoneRow: EveryoneRow
  let everyoneStatements: EveryoneStatements
  private let incarnationRow: IncarnationRow
  /// This run's incarnation until a transaction has stored it.
  private var incarnation: StoreHistory.Incarnation?
  let everyoneLimit: Int
  let expiryLimit: Int
  let keptSessionsLimit: Int
  private let keysPerPublisherLimit: Int
  let sweepLimit: Int
  /// Changes of whole inboxes under way, by the key of their user; the journal keeps them.
  var sweepCounts: [Int64: Int] = [:]
  let stepLimit: Int
  let timeZones: TimeZoneTable
  /// The current notifications for everyone: mirrors the database, also after a rollback.
  var everyone: EveryoneList
  /// See `Store.nextExpiry`.
  var nextExpiry: Int64?
  var group = GroupResult(lastOffset: 0)
  let preferencesCache = PreferencesCache()
  let outbox: JournalOutbox
  /// Looks at the files before a check writes.
  var fileCheck: FileCheck?
  /// The latest time of any command.
  var clock: Int64 = 0
  /// Recounts of users' notifications that are under way, or begin with the current group.
  var recounts = RecountQueue()
  /// Those that have begun with the current group.
  var begunRecounts = RecountQueue()
  /// Rows that recounts may still visit in the current transaction.
  var recountBudget = 0

  init(
    _ connection: borrowing Connection, _ configuration: StoreConfiguration,
    _ incarnation: StoreHistory.Incarnation?, runName: String, _ kernel: Kernel
  ) throws(StoreError) {
    outbox = try JournalOutbox(connection, configuration.outbox, runName: runName)
    incarnationRow = try IncarnationRow(connection)
    self.incarnation = incarnation
    statements = try JournalStatements(connection)
    keys = try JournalKeys(
      connection, keysPerPublisherLimit: configuration.keysPerPublisherLimit, kernel)
    keysPerPublisherLimit = configuration.keysPerPublisherLimit
    sweepLimit = configuration.sweepLimit
    everyoneStatements = try EveryoneStatements(connection)
    everyoneRow = try EveryoneRow(connection)
    everyone = try everyoneRow.readList(version: everyoneRow.readVersion())
    everyoneLimit = configuration.everyoneLimit
    expiryLimit = configuration.expiryLimit
    keptSessionsLimit = configuration.keptSessionsLimit
    stepLimit = configuration.stepLimit
    timeZones = configuration.timeZones
    nextExpiry = try findNextExpiry()
  }

  /// Runs a step of `sweep` and the group, and commits them, or rolls everything back and throws.
  ///
  /// A command that fails by itself, such as one that needs a page that cannot be read, is answered
  /// alone, and the others are committed.
  func run(
    _ submissions: ArraySlice<Submission>, continuing sweep: InboxSweep? = nil,
    after lastOffset: UInt64, on connection: borrowing Connection
  ) throws(GroupFailure) -> GroupResult {
    var leftOut = CommandsLeftOut()
    let before = (everyone, nextExpiry, recounts, outbox.state)
    begunRecounts = RecountQueue()
    let parsedBefore = preferencesCache.parseCount
    while true {
      group = GroupResult(lastOffset: lastOffset)
      let begunCount = begunRecounts.count
      var current: Int?
      var isCommitting = false
      do throws(StoreError) {
        try execute(submissions, leftOut, sweep, &current, on: connection)
        try finish(since: lastOffset)
        isCommitting = true
        try statements.commit.run()
        if group.lastOffset != lastOffset { incarnation = nil }
        outbox.commit()
        group.outbox = outbox.counts
        group.outboxNews = outbox.news
        group.duplicateIDCount = leftOut.duplicateIDCount
        group.failures = leftOut.failures
        group.parsedPreferencesCount = preferencesCache.parseCount - parsedBefore
        recounts.limit()
        return group
      } catch {
        rollBack(connection)
        (everyone, nextExpiry, recounts, outbox.state) = before
        recounts.append(begunRecounts)
        // Now the commands of that user are refused, and the sweeps wait. Each retry has one more
        // recount, so this ends.
        if error == .recounting, begunRecounts.count > begunCount { continue }
        // guard: only-failed-writes-are-final
        let isFinal = isCommitting || error.isFailedWrite || connection.isInTransaction
        guard let current, !isFinal, leftOut.add(current, error) else {
          // guard: failed-commit-is-unknown
          throw GroupFailure(error: error, isFinal: isFinal, isOutcomeUnknown: isCommitting)
        }
      }
    }
  }

  /// Runs a step and the commands of a group; `current` is the index of the command that runs.
  private func execute(
    _ submissions: ArraySlice<Submission>, _ leftOut: CommandsLeftOut, _ sweep: InboxSweep?,
    _ current: inout Int?, on connection: borrowing Connection
  ) throws(StoreError) {
    keys.beginGroup()
    outbox.beginGroup()
    recountBudget = stepLimit
    try statements.begin.run()
    // First, because they began before these commands. One of them, so that a transaction visits
    // the rows of one step.
    if !recounts.isEmpty {
      try continueRecount()
    } else if var sweep {
      let outcome = try step(&sweep)
      group.continued = (sweep, outcome)
    }
    for index in submissions.indices {
      current = index
      if let outcome = leftOut.outcomes[index] {
        group.outcomes.append(outcome)
      } else {
        let outcome = try execute(submissions[index].command, on: connection)
        if outcome == nil, let last = group.started.indices.last {
          group.started[last].index = index - submissions.startIndex
        }
        group.outcomes.append(outcome)
      }
    }
    current = nil
  }

  private func finish(since lastOffset: UInt64) throws(StoreError) {
    try recordChanges()
    try outbox.finishGroup()
    try keys.finishGroup(hasChanges: group.lastOffset != lastOffset)
    if group.lastOffset != lastOffset {
      // With the first offset of this run, so that no offset exists without its incarnation.
      // guard: incarnation-stored-with-first-commit
      if let incarnation { try incarnationRow.store(incarnation) }
      statements.saveOffset.bind(1, Int64(bitPattern: group.lastOffset))
      statements.saveOffset.bind(2, Int64(bitPattern: everyone.version))
      try statements.saveOffset.run()
    }
  }

  private func rollBack(_ connection: borrowing Connection) {
    preferencesCache.removeAll()
    guard connection.isInTransaction else { return }
    // If even this fails, the connection is abandoned with the transaction open, and recovery drops
    // it: nothing of it can become durable.
    try? connection.execute("ROLLBACK")
  }

  func nextOffset() -> UInt64 {
    group.lastOffset += 1
    return group.lastOffset
  }

  /// Nil when the command goes on in later transactions.
  private func execute(
    _ command: StoreCommand, on connection: borrowing Connection
  ) throws(StoreError) -> StoreOutcome? {
    switch command {
    case .publish(let drafts, let key, let answer, let takenAt):
      clock = max(clock, drafts.first?.createdAt ?? 0)
      if let key {
        switch try keys.find(key) {
        case .outcome(let known): return known
        case .damage: group.repairs.append("the response for an idempotency key was damaged")
        case .nothing: break
        }
        guard try keys.hasRoom(for: key) else {
          return .refused(.keys(limit: keysPerPublisherLimit))
        }
      }
      if drafts.contains(where: { recounts.contains($0.userID) }) { return Self.recounting }
      if let key { try keys.save(key, answer: answer) }
      let commonCount = drafts.reduce(0) { $0 + ($1.isForEveryone ? 1 : 0) }
      if commonCount > 0 { try makeRoom(for: commonCount, time: clock) }
      for draft in drafts {
        try draft.isForEveryone ? storeForEveryone(draft) : store(draft, takenAt)
        if let time = draft.content.expiresAt { nextExpiry = min(nextExpiry ?? .max, time) }
      }
      // One group may have brought more than there is room for.
      if commonCount > everyoneLimit { try makeRoom(for: 0, time: clock) }
      return .published
    case .findKey(let key):
      if case .outcome(let known) = try keys.find(key) { return known }
      return .unknownKey
    case .change(let user, _, _) where recounts.contains(user),
      .changeGroup(let user, _, _, _) where recounts.contains(user),
      .setPreferences(let user, _) where recounts.contains(user):
      return Self.recounting
    case .change(let user, let change, let time):
      clock = max(clock, time)
      return try apply(change, user: user, time: time)
    case .changeGroup(let user, let id, let change, let time):
      clock = max(clock, time)
      let resolved = try resolve(change, of: id, user: user)
      return try apply(resolved, user: user, time: time)
    case .setPreferences(let user, let preferences):
      try setPreferences(preferences, of: user)
      return .saved
    case .keepRooms(let session, let user, let rooms, let endsAt):
      try keepRooms(rooms, of: session, user: user, endsAt: endsAt, on: connection)
      return .saved
    case .apiKeys(let command):
      return .apiKeys(try run(command))
    case .recount(let user, let time):
      try recount(user, at: time)
      return .saved
    case .check:
      if let known = try fileCheck?.outcome() { return known }
      // Twice, so that the value stays and its page is written all the same.
      // guard: check-writes-its-row
      for _ in 0..<2 { try statements.check.run() }
      group.hasCheckedRow = true
      return .saved
    case .expire(let time):
      clock = max(clock, time)
      return .expired(hasMore: try expire(at: time, on: connection))
    case .outbox(let command):
      return try outbox.execute(command, on: connection)
    }
  }

  // MARK: - Publishing

  private func store(_ draft: PendingNotification, _ takenAt: UInt64?) throws(StoreError) {
    let offset = nextOffset()
    let (row, wish) = try countStored(draft, offset: offset)
    let isMuted = wish.isMuted
    let notification = Notification(
      id: draft.id, userID: draft.userID, content: draft.content, createdAt: draft.createdAt,
      offset: offset, isMuted: isMuted)
    let counts = try totals(of: row)
    NotificationRow.bind(notification, userKey: row.key, to: statements.insert)
    statements.insert.bind(19, isMuted ? 1 : 0)
    // guard: small-inbox-limit
    statements.insert.bind(20, row.own.total > InboxClass.smallInboxLimit ? 1 : 0)
    try statements.insert.run()
    group.storedCount += 1
    if isMuted { group.mutedCount += 1 }
    if wish.allowsWebhook { try recordCreated(notification) }
    group.events.append(
      Event(
        audience: .user(draft.userID),
        body: isMuted ? .counted(counts) : .stored(notification, counts),
        timestamp: draft.createdAt, offset: offset, takenAt: takenAt))
  }

  /// Runs a statement that returns the row of one user.
  ///
  /// The first step makes all changes, so a reset after it loses none.
  private func readRow(_ statement: borrowing Statement) throws(StoreError) -> UserRow {
    defer { statement.reset() }
    guard try statement.step() else {
      throw .sqlite(code: 0, message: "a user's counts are missing")
    }
    return UserRow(statement, newest: group.lastOffset)
  }

  /// The user's own counts plus those for everyone; nil stands for a user unknown to the store.
  func totals(of user: UserRow?) throws(StoreError) -> Counts {
    var counts = user?.own ?? Counts()
    if !everyone.isEmpty { counts.add(everyone.counts(for: try state(of: user))) }
    counts.version = max(counts.version, everyone.version)
    return counts
  }

  func state(of user: UserRow?) throws(StoreError) -> EveryoneState {
    if everyone.isEmpty { return EveryoneState() }
    return try everyoneRow.readState(of: user?.key, marks: user?.marks ?? EveryoneMarks())
  }

  // MARK: - Changing

  private func apply(
    _ change: InboxChange, user: UserID, time: Int64
  ) throws(StoreError) -> StoreOutcome? {
    let known = try findUser(user)
    let state = try state(of: known)
    let ids: [NotificationID]
    switch change {
    case .readAll, .seenAll, .deleteAll:
      return try sweep(change, user: user, known, state, time: time)
    case .read(let some), .unread(let some), .seen(let some), .delete(let some): ids = some
    }
    var found = 0
    var changed: [NotificationID] = []
    var difference = Counts()
    // The new states of notifications for everyone.
    var views: [EveryoneState.State] = []
    var done: Set<NotificationID> = []
    for id in ids where done.insert(id).inserted {
      if let row = try findRow(id, key: known?.key) {
        found += 1
        if case .unread = change, let known { group.markedUnread.append((known.key, row.offset)) }
        guard let step = change.difference(for: row) else { continue }
        try apply(change, to: row, time: time)
        difference.add(step)
      } else if let row = everyone.row(id), let view = state.view(of: row.offset) {
        found += 1
        guard change.difference(for: FoundRow(row, view)) != nil else { continue }
        views.append(change.state(of: row.offset, after: view, time: time))
      } else {
        continue
      }
      changed.append(id)
    }
    guard !changed.isEmpty else { return .changed(count: found, try totals(of: known)) }
    let key: Int64
    if let known { key = known.key } else { key = try addUser(user) }
    try put(views, key: key)
    let offset = nextOffset()
    let after = try totals(
      of: changeCounts(key: key, of: user, by: difference, offset: offset))
    group.events.append(
      Event(
        audience: .user(user), body: change.event(ids: changed, counts: after), timestamp: time,
        offset: offset))
    return .changed(count: found, after)
  }

  func findUser(_ user: UserID) throws(StoreError) -> UserRow? {
    guard let row = try readUser(user) else { return nil }
    return try checked(row, of: user)
  }

  /// The user's row as it is stored.
  func readUser(_ user: UserID) throws(StoreError) -> UserRow? {
    statements.counts.bind(1, user)
    defer { statements.counts.reset() }
    guard try statements.counts.step() else { return nil }
    return UserRow(statements.counts, newest: group.lastOffset)
  }

  private func findRow(_ id: NotificationID, key: Int64?) throws(StoreError) -> FoundRow? {
    guard let key else { return nil }
    statements.find.bind(1, NotificationRow.bytes(of: id))
    statements.find.bind(2, key)
    defer { statements.find.reset() }
    guard try statements.find.step() else { return nil }
    return FoundRow(statements.find)
  }

  func apply(
    _ change: InboxChange, to row: FoundRow, time: Int64
  ) throws(StoreError) {
    switch change {
    case .read, .readAll:
      statements.markRead.bind(1, row.offset)
      statements.markRead.bind(2, time)
      try statements.markRead.run()
    case .unread:
      statements.markUnread.bind(1, row.offset)
      try statements.markUnread.run()
    case .seen, .seenAll:
      statements.markSeen.bind(1, row.offset)
      statements.markSeen.bind(2, time)
      try statements.markSeen.run()
    case .delete, .deleteAll:
      statements.delete.bind(1, row.offset)
      try statements.delete.run()
    }
  }

  func changeCounts(
    key: Int64, of user: UserID, by difference: Counts, offset: UInt64
  ) throws(StoreError) -> UserRow {
    statements.changeCounts.bind(1, key)
    statements.changeCounts.bind(2, Int64(difference.total))
    statements.changeCounts.bind(3, Int64(difference.unread))
    statements.changeCounts.bind(4, Int64(difference.unseen))
    statements.changeCounts.bind(5, Int64(difference.byPriority.low))
    statements.changeCounts.bind(6, Int64(difference.byPriority.normal))
    statements.changeCounts.bind(7, Int64(difference.byPriority.high))
    statements.changeCounts.bind(8, Int64(difference.byPriority.urgent))
    statements.changeCounts.bind(9, Int64(bitPattern: offset))
    do throws(StoreError) {
      return try checked(readRow(statements.changeCounts), of: user)
    } catch {
      guard error.isDamagedNumber else { throw error }
      // The rows are changed already.
      return try repair(statements.repairs.read(key, newest: group.lastOffset), of: user)
    }
  }
}
