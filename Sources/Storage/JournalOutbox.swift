// The journal's part in the outbox: recording events, saving results, and changing endpoints.
//
// The endpoints are in memory, so a publish that no endpoint wants costs one comparison. An event
// has one row, and one delivery for each endpoint that wants it; the event's row counts its
// deliveries and is deleted with the last one. The numbers of events are never used twice, also
// after a crash: the next one is in the store's row, saved in the transaction that uses it.

internal import Notifications

/// What the journal knows of the outbox; restored after a rollback.
struct OutboxState {
  /// An endpoint, and its rows.
  struct Lane {
    var endpoint: WebhookEndpoint
    /// Rows of any state.
    var count = 0
    var deadCount = 0
  }

  /// In the order in which the endpoints were created.
  var lanes: [Lane] = []
  /// The types that an enabled endpoint wants.
  private(set) var wantedTypes = WebhookTypes.none
  /// The number of the latest event.
  var sequence: Int64 = 0

  /// Rows of all endpoints.
  var count: Int { lanes.reduce(0) { $0 + $1.count } }

  mutating func updateWantedTypes() {
    wantedTypes = .none
    for lane in lanes where lane.endpoint.isEnabled {
      wantedTypes.formUnion(lane.endpoint.types)
    }
  }

  func index(of id: WebhookID) -> Int? { lanes.firstIndex { $0.endpoint.id == id } }
}

/// The outbox on the journal's connection.
final class JournalOutbox {
  private let statements: OutboxStatements
  private let webhooks: WebhookStatements
  private let rows: WebhookRow
  private let limits: OutboxLimits
  /// The name of this run, in the ids of its messages: those of a restored copy differ.
  private let runName: String
  var state = OutboxState()
  /// The latest number in the file.
  private var savedSequence: Int64 = 0
  /// What the current group has done.
  private(set) var counts = OutboxMetrics()
  /// What the current group has changed.
  private(set) var news: OutboxNews = []
  /// Endpoints that were damaged when the store was opened.
  let damagedCount: Int

  init(
    _ connection: borrowing Connection, _ limits: OutboxLimits, runName: String
  ) throws(StoreError) {
    statements = try OutboxStatements(connection)
    webhooks = try WebhookStatements(connection)
    rows = try WebhookRow(connection)
    self.limits = limits
    self.runName = runName
    let (endpoints, damagedCount) = try rows.readAll()
    self.damagedCount = damagedCount
    for endpoint in endpoints {
      var lane = OutboxState.Lane(endpoint: endpoint)
      lane.count = try count(webhooks.countAll, endpoint.key)
      lane.deadCount = try count(webhooks.countDead, endpoint.key)
      state.lanes.append(lane)
    }
    state.updateWantedTypes()
    let saved = try firstInteger(webhooks.readSequence) ?? 0
    let newest = try firstInteger(webhooks.newestEvent) ?? 0
    // guard: event-number-repaired
    savedSequence = max(saved, newest)
    // A damaged number must not end the counting.
    if !(0...StoredNumber.countLimit).contains(savedSequence) {
      savedSequence = min(max(newest, 0), StoredNumber.countLimit)
    }
    state.sequence = savedSequence
  }

  private func count(_ statement: borrowing Statement, _ key: Int64) throws(StoreError) -> Int {
    statement.bind(1, key)
    return Int(clamping: try firstInteger(statement) ?? 0)
  }

  /// Begins a group, or begins it again after a rollback.
  func beginGroup() {
    counts = OutboxMetrics()
    news = []
  }

  /// Saves the number of the latest event.
  func finishGroup() throws(StoreError) {
    counts.current = state.count
    guard state.sequence != savedSequence else { return }
    // guard: event-number-saved
    webhooks.saveSequence.bind(1, state.sequence)
    try webhooks.saveSequence.run()
  }

  /// Records that the group is durable.
  func commit() { savedSequence = state.sequence }

  // MARK: - Recording

  /// Whether an enabled endpoint wants events of that type.
  func wants(_ type: WebhookEventType) -> Bool { state.wantedTypes.contains(type) }

  /// Whether an enabled endpoint wants events of any type.
  var wantsAny: Bool { state.wantedTypes != .none }

  /// Records an event for each enabled endpoint that wants it.
  func record(_ event: OutboxEvent) throws(StoreError) {
    var destinations: [Int] = []
    for index in state.lanes.indices {
      let endpoint = state.lanes[index].endpoint
      if endpoint.isEnabled, endpoint.types.contains(event.type) { destinations.append(index) }
    }
    _ = try record(event, for: destinations)
  }

  /// Records an event for the endpoints at these indices; returns the message's id, or nil if all
  /// of them have too many deliveries.
  private func record(_ event: OutboxEvent, for indices: [Int]) throws(StoreError) -> String? {
    var room = limits.ofAll - state.count
    var taken: [Int] = []
    for index in indices {
      // guard: outbox-bounds
      if room > 0, state.lanes[index].count < limits.ofDestination {
        taken.append(index)
        room -= 1
      } else {
        counts.overflowed += 1
      }
    }
    guard !taken.isEmpty else { return nil }
    state.sequence += 1
    let sequence = state.sequence
    let messageID = OutboxMessageID.make(runName: runName, sequence: sequence)
    let subject = OutboxRow.text(of: event.subject)
    let body = event.body(sequence: sequence)
    let insert = statements
    insert.insertEvent.bind(1, sequence)
    insert.insertEvent.bind(2, messageID)
    insert.insertEvent.bind(3, Int64(event.type.rawValue))
    insert.insertEvent.bind(4, subject)
    insert.insertEvent.bind(5, event.time)
    insert.insertEvent.bind(6, body)
    insert.insertEvent.bind(7, Int64(taken.count))
    insert.insertEvent.bind(
      8,
      OutboxRow.checksum(
        sequence: sequence, messageID: messageID, subject: subject, body: body))
    try insert.insertEvent.run()
    for index in taken {
      insert.insertDelivery.bind(1, state.lanes[index].endpoint.key)
      insert.insertDelivery.bind(2, sequence)
      insert.insertDelivery.bind(3, event.time)
      try insert.insertDelivery.run()
      state.lanes[index].count += 1
    }
    counts.recorded += 1
    counts.deliveries += taken.count
    news.insert(.deliveries)
    return messageID
  }

  // MARK: - Commands

  func execute(
    _ command: OutboxCommand, on connection: borrowing Connection
  ) throws(StoreError) -> StoreOutcome {
    switch command {
    case .create(let endpoint):
      return try create(endpoint)
    case .change(let id, let change, let time):
      guard let index = state.index(of: id) else { return .outbox(.unknownWebhook) }
      return .outbox(.webhook(try apply(change, to: index, at: time)))
    case .delete(let id):
      guard let index = state.index(of: id) else { return .outbox(.unknownWebhook) }
      let key = state.lanes[index].endpoint.key
      webhooks.deleteWebhook.bind(1, key)
      try webhooks.deleteWebhook.run()
      webhooks.insertGone.bind(1, key)
      try webhooks.insertGone.run()
      state.lanes.remove(at: index)
      state.updateWantedTypes()
      news.insert(.changes)
      return .outbox(.saved)
    case .test(let id, let time):
      guard let index = state.index(of: id) else { return .outbox(.unknownWebhook) }
      let event = OutboxEvent(
        type: .test, subject: .everyone, time: time, data: Array(#"{"webhook":"\#(id)"}"#.utf8))
      guard let messageID = try record(event, for: [index]) else {
        return .unavailable(reason: "the endpoint has too many deliveries")
      }
      return .outbox(.recorded(messageID: messageID))
    case .record(let events):
      for event in events where wants(event.type) { try record(event) }
      return .outbox(.saved)
    case .settle(let results):
      try settleDelivered(results, on: connection)
      for result in results where result.outcome != .delivered {
        try settle(result, on: connection)
      }
      return .outbox(.saved)
    case .replay(let id, let selection, let time):
      guard let index = state.index(of: id) else { return .outbox(.unknownWebhook) }
      return .outbox(try replay(index, selection, at: time, on: connection))
    case .sweep:
      return .outbox(try sweep(on: connection))
    }
  }

  private func create(_ endpoint: WebhookEndpoint) throws(StoreError) -> StoreOutcome {
    // guard: webhooks-limited
    guard state.lanes.count < WebhookEndpoint.countLimit else {
      return .refused(.webhooks(limit: WebhookEndpoint.countLimit))
    }
    WebhookRow.bind(endpoint, to: webhooks.insertWebhook)
    var stored = endpoint
    guard let key = try firstInteger(webhooks.insertWebhook) else {
      throw .sqlite(code: 0, message: "a webhook cannot be added")
    }
    stored.key = key
    state.lanes.append(OutboxState.Lane(endpoint: stored))
    state.updateWantedTypes()
    news.insert(.changes)
    return .outbox(.webhook(stored))
  }

  private func apply(
    _ change: WebhookChange, to index: Int, at time: Int64
  ) throws(StoreError) -> WebhookEndpoint {
    var endpoint = state.lanes[index].endpoint
    if let url = change.url { endpoint.url = url }
    if let types = change.types { endpoint.types = types }
    if let about = change.about { endpoint.about = about }
    if let reason = change.disabledReason { endpoint.disabledReason = reason }
    if let secret = change.secret {
      endpoint.previousSecret = endpoint.secret
      endpoint.previousSecretEndsAt = change.previousSecretEndsAt ?? time
      endpoint.secret = secret
    }
    endpoint.updatedAt = time
    WebhookRow.bind(endpoint, to: webhooks.updateWebhook)
    webhooks.updateWebhook.bind(12, endpoint.key)
    try webhooks.updateWebhook.run()
    state.lanes[index].endpoint = endpoint
    state.updateWantedTypes()
    news.insert(.changes)
    return endpoint
  }

  // MARK: - Results

  /// Deletes the delivered ones, consecutive events of an endpoint with one statement.
  ///
  /// An endpoint that wants every event has few runs, and a delete by range costs a fifth.
  private func settleDelivered(
    _ results: [DeliveryResult], on connection: borrowing Connection
  ) throws(StoreError) {
    for index in state.lanes.indices {
      let key = state.lanes[index].endpoint.key
      let sequences = results.filter { $0.webhook == key && $0.outcome == .delivered }
        .map(\.sequence).sorted()
      var rest = sequences[...]
      while let first = rest.first {
        var last = first
        rest = rest.dropFirst()
        while let next = rest.first, next == last + 1 {
          last = next
          rest = rest.dropFirst()
        }
        try deleteDelivered(first...last, of: index, on: connection)
      }
    }
  }

  /// Deletes the deliveries of consecutive events.
  private func deleteDelivered(
    _ sequences: ClosedRange<Int64>, of index: Int, on connection: borrowing Connection
  ) throws(StoreError) {
    let key = state.lanes[index].endpoint.key
    func bind(_ statement: borrowing Statement) {
      statement.bind(1, key)
      statement.bind(2, sequences.lowerBound)
      statement.bind(3, sequences.upperBound)
    }
    bind(statements.countRange)
    // guard: only-deliveries-of-range-released
    guard try firstInteger(statements.countRange) == Int64(sequences.count) else {
      // Not all exist: which of the events lose a delivery must be found one by one.
      for sequence in sequences { try delete(sequence, of: index, isDead: false, on: connection) }
      return
    }
    bind(statements.deleteRange)
    try statements.deleteRange.run()
    state.lanes[index].count -= sequences.count
    statements.deleteEventRange.bind(1, sequences.lowerBound)
    statements.deleteEventRange.bind(2, sequences.upperBound)
    try statements.deleteEventRange.run()
    guard connection.changeCount < sequences.count else { return }
    // The events that are left have deliveries to other endpoints.
    statements.releaseEventRange.bind(1, sequences.lowerBound)
    statements.releaseEventRange.bind(2, sequences.upperBound)
    try statements.releaseEventRange.run()
  }

  /// Saves the result of an attempt; one for a delivery that no longer exists changes nothing.
  private func settle(
    _ result: DeliveryResult, on connection: borrowing Connection
  ) throws(StoreError) {
    guard let index = state.lanes.firstIndex(where: { $0.endpoint.key == result.webhook }) else {
      return
    }
    let state: DeliveryState
    let dueAt: Int64
    switch result.outcome {
    case .delivered: return
    case .retry(let time): (state, dueAt) = (.retry, time)
    case .dead: (state, dueAt) = (.dead, result.time)
    }
    let update = statements
    update.updateDelivery.bind(1, result.webhook)
    update.updateDelivery.bind(2, result.sequence)
    update.updateDelivery.bind(3, Int64(state.rawValue))
    update.updateDelivery.bind(4, Int64(result.attempts))
    update.updateDelivery.bind(5, dueAt)
    update.updateDelivery.bind(6, result.status.map { Int64($0) })
    update.updateDelivery.bind(7, result.reason)
    try update.updateDelivery.run()
    guard state == .dead, connection.changeCount > 0 else { return }
    self.state.lanes[index].deadCount += 1
    // guard: dead-deliveries-limited
    if self.state.lanes[index].deadCount > limits.dead {
      try evictDead(of: index, on: connection)
    }
  }

  /// Deletes the oldest dead delivery of an endpoint.
  private func evictDead(of index: Int, on connection: borrowing Connection) throws(StoreError) {
    statements.oldestDead.bind(1, state.lanes[index].endpoint.key)
    guard let sequence = try firstInteger(statements.oldestDead) else { return }
    try delete(sequence, of: index, isDead: true, on: connection)
    counts.evicted += 1
  }

  private func delete(
    _ sequence: Int64, of index: Int, isDead: Bool, on connection: borrowing Connection
  ) throws(StoreError) {
    statements.deleteDelivery.bind(1, state.lanes[index].endpoint.key)
    statements.deleteDelivery.bind(2, sequence)
    try statements.deleteDelivery.run()
    guard connection.changeCount > 0 else { return }
    state.lanes[index].count -= 1
    if isDead { state.lanes[index].deadCount -= 1 }
    try release(sequence, on: connection)
  }

  /// Takes one delivery off an event, and deletes the event with its last one.
  private func release(
    _ sequence: Int64, on connection: borrowing Connection
  ) throws(StoreError) {
    statements.deleteEvent.bind(1, sequence)
    try statements.deleteEvent.run()
    guard connection.changeCount == 0 else { return }
    statements.releaseEvent.bind(1, sequence)
    try statements.releaseEvent.run()
  }

  private func replay(
    _ index: Int, _ selection: ReplaySelection, at time: Int64,
    on connection: borrowing Connection
  ) throws(StoreError) -> OutboxOutcome {
    let key = state.lanes[index].endpoint.key
    var count = 0
    var hasMore = false
    switch selection {
    case .events(let sequences):
      for sequence in sequences {
        statements.replayOne.bind(1, key)
        statements.replayOne.bind(2, sequence)
        statements.replayOne.bind(3, time)
        try statements.replayOne.run()
        count += connection.changeCount
      }
    case .since(let start):
      statements.replaySince.bind(1, key)
      statements.replaySince.bind(2, start)
      statements.replaySince.bind(3, time)
      statements.replaySince.bind(4, Int64(StoreLimits.replayLimit))
      try statements.replaySince.run()
      count = connection.changeCount
      hasMore = count == StoreLimits.replayLimit
    }
    state.lanes[index].deadCount -= count
    if count > 0 { news.insert(.changes) }
    return .changed(count: count, hasMore: hasMore)
  }

  /// Deletes deliveries of deleted endpoints, up to the limit.
  private func sweep(on connection: borrowing Connection) throws(StoreError) -> OutboxOutcome {
    var left = StoreLimits.sweptDeliveriesLimit
    var count = 0
    while left > 0, let key = try firstInteger(webhooks.findGone) {
      let sequences = try findLeftOver(key, limit: left)
      for sequence in sequences {
        statements.deleteDelivery.bind(1, key)
        statements.deleteDelivery.bind(2, sequence)
        try statements.deleteDelivery.run()
        try release(sequence, on: connection)
      }
      if sequences.count < left {
        webhooks.deleteGone.bind(1, key)
        try webhooks.deleteGone.run()
      }
      count += sequences.count
      left -= sequences.count + 1
    }
    return .changed(count: count, hasMore: try firstInteger(webhooks.findGone) != nil)
  }

  private func findLeftOver(_ key: Int64, limit: Int) throws(StoreError) -> [Int64] {
    webhooks.leftOver.bind(1, key)
    webhooks.leftOver.bind(2, Int64(limit))
    defer { webhooks.leftOver.reset() }
    var sequences: [Int64] = []
    while try webhooks.leftOver.step() { sequences.append(webhooks.leftOver.integer(0)) }
    return sequences
  }

  /// The first column of a statement's first row; nil without a row, or for NULL.
  private func firstInteger(_ statement: borrowing Statement) throws(StoreError) -> Int64? {
    defer { statement.reset() }
    guard try statement.step(), !statement.isNull(0) else { return nil }
    return statement.integer(0)
  }
}
