// Round robin over the parties that ask: the order in which a shard asks the store, and all shards.
//
//     lane of user 1:      q q q q q q   (one is in flight)
//     lane of user 2:      q             ─▶ turns of the users      ─┐
//     lane of user 3:      q q                                       ├─▶ in flight, at most `limit`
//     lane of publishers:  q             ─▶ turns of the publishers ─┘
//
// So a party that asks a hundred questions delays another party's question by one of them. Users
// and publishers have turns of their own, and neither kind can have all questions in flight.

internal import Algorithms
internal import Notifications

/// A party that asks, as far as its questions wait for each other.
struct Party: Hashable {
  enum Kind: Int, CaseIterable {
    case user, publisher
  }

  let kind: Kind
  /// The user; for a publisher, the user that it asks about.
  ///
  /// Publishers' questions about different users do not wait for each other.
  let name: TextKey

  init(_ kind: Kind, _ name: String) {
    self.kind = kind
    self.name = TextKey(name)
  }
}

/// Questions that wait for their turn.
///
/// Invariant: each party has at most one question in flight. A party has a turn if, and only if, a
/// question of it waits and none is in flight, and it has one turn only. At most `limit` questions
/// are in flight, and of each kind no more than its part. Every operation takes amortised constant
/// time.
struct FairQueue<Question: Hashable, Asker> {
  /// A question with those that wait for its answer.
  final class Entry {
    let party: Party
    let question: Question
    /// Whether equal questions that arrive before this one is asked share its answer.
    let isShared: Bool
    fileprivate(set) var askers: [Asker]

    fileprivate init(_ party: Party, _ question: Question, isShared: Bool, _ asker: Asker) {
      self.party = party
      self.question = question
      self.isShared = isShared
      askers = [asker]
    }
  }

  private final class Lane {
    let party: Party
    var waiting = Fifo<Entry>()
    /// The waiting questions that others may share.
    var shared: [Question: Entry] = [:]
    var isInFlight = false
    var hasTurn = false

    init(_ party: Party) { self.party = party }
  }

  private let limit: Int
  /// The most questions in flight of each kind of party.
  private let parts: [Int]
  private var lanes: [Party: Lane] = [:]
  /// The turns and the questions in flight, by the kind of party.
  private var turns = Party.Kind.allCases.map { _ in Fifo<Lane>() }
  private var inFlight = Party.Kind.allCases.map { _ in 0 }
  /// The kind that is looked at first.
  private var nextKind = Party.Kind.user
  /// Those that wait for a question that is not in flight, by kind.
  private(set) var waitingCounts = Party.Kind.allCases.map { _ in 0 }
  /// The number of them at which those that have ended are removed.
  private var sweepCount = FairQueue.leastSweepCount

  /// `limit` questions are in flight at once, of users and of publishers as many as their parts.
  init(limit: Int, users: Int, publishers: Int) {
    self.limit = limit
    parts = [users, publishers].map { min(max($0, 1), limit) }
  }

  var inFlightCount: Int { inFlight.reduce(0, +) }
  private var waitingCount: Int { waitingCounts.reduce(0, +) }
  private static var leastSweepCount: Int { 128 }

  /// Adds a question; with `isShared`, to one that waits already if they are equal.
  ///
  /// An answer is never older than its question: one that is in flight is shared no more.
  /// `isOpen` is whether an asker still waits. Those that do not are removed from time to time, so
  /// that they are never more than the others.
  mutating func add(
    _ question: Question, of party: Party, for asker: Asker, isShared: Bool,
    isOpen: (Asker) -> Bool
  ) -> Entry {
    // guard: ended-askers-removed
    if waitingCount >= sweepCount { sweep(isOpen) }
    waitingCounts[party.kind.rawValue] += 1
    let lane = lane(of: party)
    // guard: equal-questions-share
    if isShared, let entry = lane.shared[question] {
      entry.askers.append(asker)
      return entry
    }
    let entry = Entry(party, question, isShared: isShared, asker)
    lane.waiting.append(entry)
    if isShared { lane.shared[question] = entry }
    giveTurn(lane)
    return entry
  }

  /// The next question to ask, which is in flight from now on; nil if none may be asked now.
  mutating func next() -> Entry? {
    guard inFlightCount < limit else { return nil }
    let first = nextKind
    let second: Party.Kind = first == .user ? .publisher : .user
    for kind in [first, second] {
      // guard: publishers-own-part
      guard inFlight[kind.rawValue] < parts[kind.rawValue],
        let lane = turns[kind.rawValue].popFirst(), let entry = lane.waiting.popFirst()
      else { continue }
      lane.hasTurn = false
      if entry.isShared { lane.shared[entry.question] = nil }
      // guard: one-question-in-flight
      lane.isInFlight = true
      inFlight[kind.rawValue] += 1
      waitingCounts[kind.rawValue] -= entry.askers.count
      nextKind = kind == .user ? .publisher : .user
      return entry
    }
    return nil
  }

  /// Ends a question that was in flight.
  mutating func finish(_ entry: Entry) {
    guard let lane = lanes[entry.party], lane.isInFlight else {
      return assertionFailure("a question of \(entry.party.name.text) ends twice")
    }
    lane.isInFlight = false
    inFlight[entry.party.kind.rawValue] -= 1
    if lane.waiting.isEmpty { lanes[entry.party] = nil } else { giveTurn(lane) }
  }

  private mutating func lane(of party: Party) -> Lane {
    if let lane = lanes[party] { return lane }
    let lane = Lane(party)
    lanes[party] = lane
    return lane
  }

  private mutating func giveTurn(_ lane: Lane) {
    guard !lane.isInFlight, !lane.hasTurn else { return }
    lane.hasTurn = true
    turns[lane.party.kind.rawValue].append(lane)
  }

  /// Removes the askers that no longer wait, and the questions that nothing waits for.
  ///
  /// It visits all of them, and is due again when they have doubled.
  private mutating func sweep(_ isOpen: (Asker) -> Bool) {
    for kind in Party.Kind.allCases { waitingCounts[kind.rawValue] = 0 }
    for lane in lanes.values {
      lane.waiting.filter { entry in
        entry.askers.removeAll { !isOpen($0) }
        if entry.askers.isEmpty, entry.isShared { lane.shared[entry.question] = nil }
        waitingCounts[lane.party.kind.rawValue] += entry.askers.count
        return !entry.askers.isEmpty
      }
      if lane.waiting.isEmpty { lane.hasTurn = false }
    }
    for kind in turns.indices { turns[kind].filter { $0.hasTurn } }
    lanes = lanes.filter { $0.value.isInFlight || !$0.value.waiting.isEmpty }
    sweepCount = max(FairQueue.leastSweepCount, 2 * waitingCount)
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    var counts = Party.Kind.allCases.map { _ in 0 }
    var flying = counts
    var turnCount = 0
    for (party, lane) in lanes {
      let kind = party.kind.rawValue
      assert(lane.party == party && (lane.isInFlight || !lane.waiting.isEmpty))
      assert(lane.hasTurn == (!lane.isInFlight && !lane.waiting.isEmpty), "\(party.name.text)")
      lane.waiting.forEach { entry in
        counts[kind] += entry.askers.count
        assert(entry.party == party && (entry.isShared || entry.askers.count == 1))
        assert(!entry.isShared || lane.shared[entry.question] === entry)
      }
      assert(lane.shared.count <= lane.waiting.count)
      flying[kind] += lane.isInFlight ? 1 : 0
      turnCount += lane.hasTurn ? 1 : 0
    }
    assert(counts == waitingCounts && flying == inFlight, "\(waitingCounts), \(inFlight)")
    assert(turns.reduce(0) { $0 + $1.count } == turnCount, "a party has two turns, or none")
    turns.forEach { $0.forEach { assert($0.hasTurn && lanes[$0.party] === $0) } }
    assert(inFlightCount <= max(0, limit))
    assert(zip(inFlight, parts).allSatisfy { $0 <= $1 })
  }
}
