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
struct HeldAnswer {
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
  func takeWhenHeard(_ answer: StoreAnswer, at place: UInt32) {
    if let through = answer.through, through > heardThrough {
      heldAnswers.append(
        HeldAnswer(id: table.id(of: place), answer: answer, through: through))
    } else if let fetch = table[place].task as? Fetch {
      take(answer, for: fetch, at: place)
    } else {
      continueReplay(place, answer)
    }
  }

  /// Takes the answers whose events have come by since.
  func takeHeldAnswers() {
    guard heldAnswers.contains(where: { $0.through <= heardThrough }) else { return }
    let held = heldAnswers
    heldAnswers.removeAll()
    for one in held where table.holds(one.id) {
      takeWhenHeard(one.answer, at: one.id.slot)
    }
  }

  /// Reads a page for the session at `place`, now or when what is under way is done.
  func fetch(_ request: PageRequest, at place: UInt32) {
    switch table[place].task {
    case let replay as Replay: replay.wantedPage = request
    case let fetch as Fetch: fetch.next = request
    default:
      let fetch = Fetch(request)
      fetch.assembly = table[place].task as? MessageAssembly
      table[place].task = fetch
      read(fetch, at: place)
    }
  }

  private func read(_ fetch: Fetch, at place: UInt32) {
    fetch.changedThrough = 0
    let limit = min(max(fetch.request.limit, 1), PageRequest.largestLimit)
    let id = table.id(of: place)
    let mailbox = mailbox
    let query = StoreQuery.page(
      user: table[place].user, limit: limit, before: nil, unreadOnly: fetch.request.unreadOnly,
      type: nil)
    let isAsked = core.store.read(query) { answer in
      mailbox.append(.answer(id, answer))
    }
    if !isAsked { close(place, code: 1013, reason: "the store is at its limit, try again") }
  }

  private func take(_ answer: StoreAnswer, for fetch: Fetch, at place: UInt32) {
    guard table[place].state == .session else { return }
    guard case .page(let page, _, let counts, let groups) = answer else {
      return close(place, code: 1011, reason: "the store cannot be read")
    }
    if fetch.changedThrough > counts.version { return read(fetch, at: place) }
    table[place].task = fetch.assembly
    // Half of what a client may be behind, so that the answer alone does not make it a slow one.
    let byteLimit = core.configuration.limits.backlogBytesLimit / 2
    let dialect = fanOutGroups[table[place].group].dialect
    write(to: place) { frames in
      dialect.writePage(page, counts, groups: groups, byteLimit: byteLimit, to: &frames)
    }
    guard table.contains(place), table[place].state == .session, let next = fetch.next else {
      return
    }
    self.fetch(next, at: place)
  }
}
