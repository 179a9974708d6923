// Room for further connections when files run short: the one that has been idle longest ends.
//
// An accepted connection has shown no token yet, so it replaces the stranger that has been idle
// longest. A user's next request then finds a file, however many strangers keep theirs open.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor

/// A connection that may be closed for another one.
struct IdleCandidate {
  let id: ConnectionID
  /// When its peer last sent a byte.
  let idleSince: UInt64
  /// Whether `Connections.isKeptLonger` holds; such connections are closed last.
  let isKeptLonger: Bool

  /// Whether it is closed before `other`.
  func isBefore(_ other: IdleCandidate) -> Bool {
    isKeptLonger == other.isKeptLonger ? idleSince < other.idleSince : other.isKeptLonger
  }
}

/// The candidates that a walk over the connections has found, in the order of their ends.
///
/// Invariant: the last one ends first, and there are fewer than twice `countLimit`.
///
/// A walk finds the first ones for many ends. They stay the first ones: a connection that is idle
/// now and was not found has been idle for less time. So an end costs a share of a walk, and no
/// connection needs a place in a list while there is no shortage.
struct IdleCandidates {
  /// Candidates that a walk keeps.
  static let countLimit = 4_096
  /// Connections that a walk visits in a millisecond, of which it may take a tenth.
  private static let slotsPerMillisecond = 10_000
  private static let walkSpacing = 10

  /// Last the one that ends first.
  private var candidates: [IdleCandidate] = []
  private var nextWalkAt: UInt64 = 0

  /// Takes the first candidate that is still one, after a walk if there is none and one is due.
  mutating func takeFirst(
    now: UInt64, isStill: (IdleCandidate) -> Bool, walk: ((IdleCandidate) -> Void) -> Int
  ) -> IdleCandidate? {
    for isFresh in [false, true] {
      if isFresh {
        guard now >= nextWalkAt else { return nil }
        let visited = fill(by: walk)
        let milliseconds = visited / IdleCandidates.slotsPerMillisecond
        nextWalkAt = now + 1 + UInt64(milliseconds * IdleCandidates.walkSpacing)
      }
      while let candidate = candidates.popLast() {
        if isStill(candidate) { return candidate }
      }
    }
    return nil
  }

  private mutating func fill(by walk: ((IdleCandidate) -> Void) -> Int) -> Int {
    var found: [IdleCandidate] = []
    var last: IdleCandidate?
    let visited = walk { candidate in
      if let last, !candidate.isBefore(last) { return }
      found.append(candidate)
      guard found.count == 2 * IdleCandidates.countLimit else { return }
      found.sort { $0.isBefore($1) }
      found.removeLast(IdleCandidates.countLimit)
      last = found.last
    }
    found.sort { $1.isBefore($0) }
    candidates = found
    return visited
  }

  /// Traps in a debug build when the candidates are out of order, or too many.
  func checkInvariants() {
    assert(candidates.count < 2 * IdleCandidates.countLimit)
    for (one, next) in zip(candidates, candidates.dropFirst()) { assert(!one.isBefore(next)) }
  }
}

/// Ends connections that idle, for others that need a file.
///
/// Invariant: it ends no connection that has sent a byte in this turn, nor one with an answer to
/// come, except a stranger's. It ends a connection that is kept longer only after
/// `idleTimeoutMilliseconds` without a byte: otherwise a burst of new connections, of which none
/// idles yet, would end those of publishers.
final class IdleConnections: ShardComponent {
  /// Connections that a shard ends for another one that has none to end.
  static let foreignCount = 8

  let context: ShardContext
  private let connections: Connections
  private var strangers = IdleCandidates()
  private var all = IdleCandidates()
  private var nextQuestionAt: UInt64 = 0

  init(_ context: ShardContext, _ connections: Connections) {
    self.context = context
    self.connections = connections
  }

  /// Traps in a debug build when the candidates are not in order.
  func checkInvariants() {
    strangers.checkInvariants()
    all.checkInvariants()
  }

  /// Ends the stranger that has been idle longest; false if there is none on this shard.
  ///
  /// Without one the other shards are asked to end theirs.
  func closeStranger() -> Bool {
    // guard: idle-stranger-makes-room
    if endStranger() { return true }
    askOthers(.strangers)
    return false
  }

  /// Ends the connection that has been idle longest, those that are kept longer last.
  ///
  /// Without one the other shards are asked to end theirs.
  func makeRoom() {
    if !endAny() { askOthers(.files) }
  }

  /// Ends connections for another shard, which has none to end.
  func makeRoom(_ kind: IdleKind) {
    for _ in 0..<IdleConnections.foreignCount {
      guard kind == .strangers ? endStranger() : endAny() else { return }
    }
  }

  private func endStranger() -> Bool {
    let first = strangers.takeFirst(
      now: now, isStill: { isStill($0, isIdleStranger) },
      walk: { walk(isIdleStranger, $0) })
    return end(first)
  }

  private func endAny() -> Bool {
    let first = all.takeFirst(
      now: now, isStill: { isStill($0, holdsIdleFile) }, walk: { walk(holdsIdleFile, $0) })
    return end(first)
  }

  private func end(_ candidate: IdleCandidate?) -> Bool {
    guard let candidate else { return false }
    connections.drop(
      candidate.id.slot, counting: .idleClosed, because: "idle while others needed its file")
    return true
  }

  private func askOthers(_ kind: IdleKind) {
    guard now >= nextQuestionAt else { return }
    nextQuestionAt = now + 1
    for shard in core.mailboxes.indices where shard != index {
      core.mailboxes[shard].append(.makeRoom(kind))
    }
  }

  private func walk(_ isCandidate: (UInt32) -> Bool, _ body: (IdleCandidate) -> Void) -> Int {
    var visited = 0
    table.forEachSlot { slot in
      visited += 1
      guard isCandidate(slot) else { return }
      body(
        IdleCandidate(
          id: table.id(of: slot), idleSince: table[slot].lastReceivedAt,
          isKeptLonger: connections.isKeptLonger(slot)))
    }
    return visited
  }

  private func isStill(_ candidate: IdleCandidate, _ isCandidate: (UInt32) -> Bool) -> Bool {
    table.holds(candidate.id) && isCandidate(candidate.id.slot)
      && table[candidate.id.slot].lastReceivedAt == candidate.idleSince
  }

  // MARK: Candidates

  /// Whether a connection without a token, or a session without a socket, may end for another.
  private func isIdleStranger(_ slot: UInt32) -> Bool {
    guard table[slot].flags.contains(.unauthenticated), isSilent(slot) else { return false }
    switch table[slot].state {
    case .session, .lingering: return true
    case .http:
      guard table[slot].flags.contains(.awaitsAnswer) else { return true }
      return table[slot].activity.exchange?.engine != nil
    case .closing, .free, .ended: return false
    }
  }

  /// Whether a connection has a file that another one may have.
  private func holdsIdleFile(_ slot: UInt32) -> Bool {
    guard delivery[slot].fd >= 0, isSilent(slot) else { return false }
    if isIdleStranger(slot) { return true }
    // guard: publishers-outlast-burst
    guard !connections.isKeptLonger(slot) || hasIdledLong(slot) else { return false }
    switch table[slot].state {
    case .lingering: return true
    case .closing: return table[slot].flags.contains(.rejected)
    case .session: return table[slot].activity.awaitsToken
    case .http:
      return table[slot].activity.exchange?.head == nil
        && delivery[slot].flags.isDisjoint(with: [.queued, .blocked])
    case .free, .ended: return false
    }
  }

  private func hasIdledLong(_ slot: UInt32) -> Bool {
    now - min(now, table[slot].lastReceivedAt) >= limits.idleTimeoutMilliseconds
  }

  /// Whether the peer has sent nothing in this turn, so that no function is using the connection.
  private func isSilent(_ slot: UInt32) -> Bool { table[slot].lastReceivedAt < now }
}

/// The kind of connections that a shard ends for another one.
enum IdleKind: Sendable {
  case strangers
  case files
}
