// What a session reads from the store: answers wait here until the ring has caught up with them,
// and a page of the inbox is read for a client that asks for one over its WebSocket.
//
// An answer is not looked at before every event that it includes has come out of the ring, and a
// page that was read before an event that the client has been told of since is read again. So a
// page is newer than all that was told before it, and older than all that is told after: counts
// never go back.
//
// One page is read at a time for each client. Whoever asks faster is answered the last it asked.

internal import Broadcast
internal import Notifications
internal import Wire

/// Which page a client asks for.
struct PageRequest: Equatable {
  /// The most that are read, whatever a client asks for.
  static let largestLimit = 200

  var limit = 50
  var unreadOnly = false
}

/// A page that is being read for a client.
final class Fetch: HoldsAssembly {
  let request: PageRequest
  /// What the client asked for meanwhile.
  var next: PageRequest?
  /// The offset of the last event that was delivered meanwhile.
  var changedThrough: UInt64 = 0
  var assembly: MessageAssembly?

  init(_ request: PageRequest) { self.request = request }
}

/// An answer of the store's that is ahead of the ring.
struct AnswerAheadOfRing {
  let id: ConnectionID
  let answer: StoreAnswer
  /// The offset of the newest commit that it includes.
  let through: UInt64
}

extension StoreAnswer {
  /// The offset of the newest commit that an answer to a session includes.
  fileprivate var through: UInt64? {
    switch self {
    case .position(let offset, _): offset
    case .missed(_, let through, _, _, _): through
    case .page(_, _, let counts, _): counts.version
    case .counts, .preferences, .keptRooms, .failed: nil
    }
  }
}

extension Shard {
  /// Takes the store's answer to a session, or keeps it until what it includes has come by.
  func takeWhenApplied(_ answer: StoreAnswer, at slot: UInt32) {
    if let through = answer.through, through > appliedOffset {
      answersAheadOfRing.append(
        AnswerAheadOfRing(id: table.id(of: slot), answer: answer, through: through))
    } else if let fetch = table[slot].task as? Fetch {
      take(answer, for: fetch, at: slot)
    } else {
      continueReplay(slot, answer)
    }
  }

  /// Takes the answers whose events have come by since.
  func takeAnswersAheadOfRing() {
    guard answersAheadOfRing.contains(where: { $0.through <= appliedOffset }) else { return }
    let held = answersAheadOfRing
    answersAheadOfRing.removeAll()
    for one in held where table.holds(one.id) {
      takeWhenApplied(one.answer, at: one.id.slot)
    }
  }

  /// Reads a page for the session at `slot`, now or when what is under way is done.
  func fetch(_ request: PageRequest, at slot: UInt32) {
    switch table[slot].task {
    case let replay as Replay: replay.wantedPage = request
    case let fetch as Fetch: fetch.next = request
    default:
      let fetch = Fetch(request)
      fetch.assembly = table[slot].task as? MessageAssembly
      table[slot].task = fetch
      read(fetch, at: slot)
    }
  }

  private func read(_ fetch: Fetch, at slot: UInt32) {
    fetch.changedThrough = 0
    let limit = min(max(fetch.request.limit, 1), PageRequest.largestLimit)
    let id = table.id(of: slot)
    let mailbox = mailbox
    let query = StoreQuery.page(
      user: table[slot].user, limit: limit, before: nil, unreadOnly: fetch.request.unreadOnly,
      type: nil)
    let isAsked = core.store.read(query) { answer in
      mailbox.append(.answer(id, answer))
    }
    if !isAsked { close(slot, code: 1013, reason: "the store is at its limit, try again") }
  }

  private func take(_ answer: StoreAnswer, for fetch: Fetch, at slot: UInt32) {
    guard table[slot].state == .session else { return }
    guard case .page(let page, _, let counts, let groups) = answer else {
      return close(slot, code: 1011, reason: "the store cannot be read")
    }
    if fetch.changedThrough > counts.version { return read(fetch, at: slot) }
    table[slot].task = fetch.assembly
    // Half of what a client may be behind, so that the answer alone does not make it a slow one.
    let byteLimit = core.configuration.limits.backlogBytesLimit / 2
    let dialect = fanOutGroups[table[slot].group].dialect
    write(to: slot) { frames in
      dialect.writePage(page, counts, groups: groups, byteLimit: byteLimit, to: &frames)
    }
    guard table.contains(slot), table[slot].state == .session, let next = fetch.next else {
      return
    }
    self.fetch(next, at: slot)
  }
}
