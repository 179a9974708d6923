// The queries of a shard's connections to the store: their turns, and the memory of the answers.
//
//     request, poll, session ─ ask ─▶ FairQueue ─ next ─▶ a reader of the store
//     request, poll, session ◀────── ShardMessage.read ◀─ its answer
//
// A query waits while another one of its user is in flight. Those that ask the same meanwhile share
// one read, and HTTP requests among them one body. A query that begins reserves the memory of its
// answer, and is refused if its user, its address or the shard has used up its part.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// A query to the store, equal to another one if both have the same answer.
///
/// Only questions of one party are compared, so the user's name is left out. Text is compared by
/// its bytes.
struct StoreQuestion: Hashable {
  let query: StoreQuery

  /// Whether several askers can use one answer: they do not go on from it by themselves.
  var isShared: Bool {
    switch query {
    case .page, .counts, .position, .preferences: true
    case .missed, .keptRooms, .outbox, .apiKeys: false
    }
  }

  /// The parts of the query that decide its answer, besides the user.
  private var parts: [TextKey] {
    switch query {
    case .page(_, let limit, let before, let unreadOnly, let type, let grouping, let bytesLimit):
      [
        TextKey("page"), TextKey("\(limit) \(before ?? 0) \(unreadOnly) \(bytesLimit)"),
        // No type is empty.
        TextKey(type ?? ""),
      ] + grouping.parts
    case .counts: [TextKey("counts")]
    case .position: [TextKey("position")]
    case .preferences: [TextKey("preferences")]
    case .missed, .keptRooms, .outbox, .apiKeys: []
    }
  }

  static func == (one: StoreQuestion, other: StoreQuestion) -> Bool {
    one.isShared && one.parts == other.parts
  }

  func hash(into hasher: inout Hasher) { parts.hash(into: &hasher) }
}

extension PageGrouping {
  fileprivate var parts: [TextKey] {
    switch self {
    case .collapsed: [TextKey("collapsed")]
    case .separate: [TextKey("separate")]
    case .only(let group): [TextKey("only"), TextKey(group)]
    }
  }
}

/// The reads of a shard that wait or are in flight.
///
/// Invariant: those of the queue. Each read in flight has the memory of its answer reserved until
/// the answer is known. Nothing that may be asked now waits, except between `finish` and
/// `startNext`. `catchUpCount` is the number of paced reads that wait or are in flight, for
/// connections that have ended, too.
final class StoreReads: ShardComponent {
  /// The use that a connection has for an answer.
  enum Purpose {
    /// Whatever the connection's activity waits for.
    case activity
    /// One of the paced reads of notifications for everyone.
    case catchUp
    /// The rooms of a returning client.
    case keptRooms
  }

  /// A receiver of an answer.
  struct Asker {
    let id: ConnectionID
    var purpose = Purpose.activity
  }

  /// A read that has ended: its answer for each asker, or nil where it was refused.
  struct Finished {
    let askers: [Asker]
    let answer: StoreAnswer?
    let charge: PageCharge?
  }

  /// The decision on a question.
  enum Verdict {
    /// An answer comes, or the refusal of a question that had to wait.
    case taken
    /// The user, the address or the shard has no memory left for the answer; none comes.
    case noMemory
    /// The store takes no query; no answer comes.
    case storeFull
  }

  private typealias Entry = FairQueue<StoreQuestion, Asker>.Entry

  private struct Read {
    let entry: Entry
    let charge: PageCharge
  }

  /// Reads of one shard in the store at once.
  static let inFlightLimit = 16
  /// Of these, the most of users, and the most of publishers.
  static let kindLimit = 14
  /// The most bytes of an answer that is no page: preferences, whose text is escaped, are longest.
  static let smallAnswerBytes = 64 * 1_024
  /// Memory reserved for an answer about the outbox: a hundred endpoints, each with a long URL.
  static let outboxAnswerBytes = 320 * 1_024

  /// The most bytes of a page of API keys, each with 32 types of 64 bytes.
  static let keyPageBytes = APIKeyPage.limit * 4_096

  /// At least the bytes of the head and of the members of a page besides its rows.
  static let envelopeBytes = 1_024

  let context: ShardContext
  private let pages: PageMemory
  private var queue = FairQueue<StoreQuestion, Asker>(
    limit: StoreReads.inFlightLimit, users: StoreReads.kindLimit, publishers: StoreReads.kindLimit)
  /// Paced reads of notifications for everyone that wait or are in flight.
  private(set) var catchUpCount = 0
  private var reads: [UInt64: Read] = [:]
  private var lastNumber: UInt64 = 0
  /// Reads that were refused as they began, while others did.
  private var refused: [(entry: Entry, verdict: Verdict)] = []

  init(_ context: ShardContext, _ pages: PageMemory) {
    self.context = context
    self.pages = pages
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    queue.checkInvariants()
    assert(queue.inFlightCount == reads.count && refused.isEmpty)
  }

  /// Asks the store for the connection at `slot`, now or in its user's turn.
  func ask(
    _ query: StoreQuery, as kind: Party.Kind = .user, at slot: UInt32,
    for purpose: Purpose = .activity
  ) -> Verdict {
    let question = StoreQuestion(query: query)
    if purpose == .catchUp { catchUpCount += 1 }
    let entry = queue.add(
      question, of: Party(kind, query.user),
      for: Asker(id: table.id(of: slot), purpose: purpose),
      isShared: question.isShared && purpose == .activity
    ) { table.holds($0.id) || $0.purpose == .catchUp }
    start()
    guard let index = refused.firstIndex(where: { $0.entry === entry }) else { return .taken }
    assert(entry.askers.count == 1, "a question that was just added is shared")
    return refused.remove(at: index).verdict
  }

  /// Ends the read of that number; `startNext` has to follow once its answer has been handled.
  ///
  /// Its memory is returned by then, so it does not refuse its own user's next read.
  func finish(_ number: UInt64, _ answer: StoreAnswer) -> Finished? {
    guard let read = reads.removeValue(forKey: number) else { return nil }
    queue.finish(read.entry)
    uncount(read.entry)
    return Finished(askers: read.entry.askers, answer: answer, charge: read.charge)
  }

  /// Begins the next reads; returns those that were refused.
  func startNext() -> [Finished] {
    start()
    defer { refused = [] }
    return refused.map { Finished(askers: $0.entry.askers, answer: nil, charge: nil) }
  }

  private func uncount(_ entry: Entry) {
    // guard: catch-up-reads-counted
    for asker in entry.askers where asker.purpose == .catchUp { catchUpCount -= 1 }
  }

  private func refuse(_ entry: Entry, _ verdict: Verdict) {
    queue.finish(entry)
    uncount(entry)
    refused.append((entry, verdict))
  }

  /// Begins the reads of which the turn has come.
  private func start() {
    while let entry = queue.next() {
      // Nothing is read for those that have ended.
      guard let first = entry.askers.first(where: { table.holds($0.id) }) else {
        queue.finish(entry)
        uncount(entry)
        continue
      }
      let holder = pages.holder(of: entry.party, at: first.id.slot)
      guard let charge = pages.reserve(Self.byteLimit(of: entry.question.query), for: holder)
      else {
        refuse(entry, .noMemory)
        continue
      }
      lastNumber += 1
      let (number, mailbox) = (lastNumber, mailbox)
      reads[number] = Read(entry: entry, charge: charge)
      let isTaken = core.store.read(entry.question.query) { answer in
        mailbox.append(.read(number, answer))
      }
      guard !isTaken else { continue }
      reads[number] = nil
      pages.releaseIfUnheld(charge)
      refuse(entry, .storeFull)
    }
  }

  /// The most bytes that the answer to a query takes.
  private static func byteLimit(of query: StoreQuery) -> Int {
    switch query {
    case .page(_, _, _, _, _, _, let bytesLimit): bytesLimit + envelopeBytes
    case .missed: SessionReads.missedBytesLimit
    case .outbox: outboxAnswerBytes
    case .apiKeys: keyPageBytes
    case .counts, .position, .preferences, .keptRooms: smallAnswerBytes
    }
  }

  /// The memory reserved for the reads in flight.
  var charges: [PageCharge] { reads.values.map(\.charge) }

  // MARK: Asked by tests only

  /// The reads in flight, and the askers that wait for others.
  var counts: (inFlight: Int, waiting: Int) {
    (queue.inFlightCount, queue.waitingCounts.reduce(0, +))
  }
}
