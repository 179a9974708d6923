// Reads from the store for a session: answers wait here until the ring has caught up with them, and
// a client can fetch a page of its inbox over its WebSocket.
//
// An answer is handled only after every event that it includes has come out of the ring. A page
// that was read before an event that the client has received since is read again. So a page is
// newer than everything sent before it and older than everything sent after it: counts never go
// back.
//
// One page at a time is read for each client. Of the requests that arrive during a read, only the
// last is answered.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// A client's request for a page of its inbox.
struct PageRequest: Equatable {
  /// The notifications in the page; a request for more than `StoreQuery.pageLimit` gets as many.
  var limit = StoreQuery.standardPageLimit
  var unreadOnly = false
}

/// The read of a page for a client.
final class Fetch {
  let request: PageRequest
  /// Whether the read begins only when everything queued for the client has been sent.
  var awaitsSending = false
  /// The client's latest request during this read.
  var next: PageRequest?
  /// The offset of the last event that was delivered during this read.
  var changedThrough: UInt64 = 0
  var assembly: MessageAssembly?

  init(_ request: PageRequest) { self.request = request }
}

/// An answer of the store that is ahead of the ring.
struct AnswerAheadOfRing {
  let id: ConnectionID
  let answer: StoreAnswer
  /// The offset of the newest commit that it includes.
  let through: UInt64
}

extension StoreAnswer {
  /// The offset of the newest commit that an answer to a session includes.
  var through: UInt64? {
    switch self {
    case .position(let offset, _): offset
    case .missed(_, let through, _, _, _): through
    case .page(_, _, let counts, _): counts.version
    case .counts, .preferences, .keptRooms, .outbox, .apiKeys, .failed: nil
    }
  }
}

extension SessionReads {
  /// Reads a page for the session at `slot`, now or after the replay or fetch in progress.
  func fetch(_ request: PageRequest, at slot: UInt32) {
    switch table[slot].activity {
    case .replay(let replay): replay.wantedPage = request
    case .fetch(let fetch): fetch.next = request
    case .idle, .request, .fragments, .authentication, .probe:
      let fetch = Fetch(request)
      fetch.assembly = table[slot].activity.assembly
      setActivity(.fetch(fetch), at: slot)
      read(fetch, at: slot)
    }
  }

  private func read(_ fetch: Fetch, at slot: UInt32) {
    fetch.changedThrough = 0
    // guard: no-fetch-for-blocked-client
    fetch.awaitsSending = delivery[slot].flags.contains(.blocked)
    if fetch.awaitsSending { return }
    let limit = min(max(fetch.request.limit, 1), StoreQuery.pageLimit)
    let query = StoreQuery.page(
      user: table[slot].user, limit: limit, before: nil, unreadOnly: fetch.request.unreadOnly,
      type: nil, bytesLimit: pageBytesLimit)
    if storeReads.ask(query, at: slot) != .taken { refuse(slot) }
  }

  /// Reads the page that waited until the client had taken everything queued for it.
  func continueFetch(_ slot: UInt32) {
    guard let fetch = table[slot].activity.fetch, fetch.awaitsSending else { return }
    read(fetch, at: slot)
  }

  /// The bytes of a page: half the backlog limit, so that the page alone does not make the client
  /// a slow consumer.
  private var pageBytesLimit: Int { limits.backlogBytesLimit / 2 }

  /// Handles the page of a fetch.
  func take(_ answer: StoreAnswer, for fetch: Fetch, at slot: UInt32) {
    guard table[slot].state == .session else { return }
    guard case .page(let page, _, let counts, let groups) = answer else {
      return life.close(slot, code: 1011, reason: "the store cannot be read")
    }
    if fetch.changedThrough > counts.version { return read(fetch, at: slot) }
    setActivity(.idle, at: slot)
    table[slot].activity.assembly = fetch.assembly
    let byteLimit = pageBytesLimit
    let dialect = encoder(of: slot).dialect
    write(to: slot) { frames in
      dialect.writePage(page, counts, groups: groups, byteLimit: byteLimit, to: &frames)
    }
    if let next = fetch.next { self.fetch(next, at: slot) }
  }
}
