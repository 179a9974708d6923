// The events of a bus, as a program reads them in a loop.

internal import Notifications
internal import Server

/// Something that happened on a bus: a user came or went, or an inbox changed.
///
/// Live messages, typing and presence are no events: they are not stored.
public enum BusEvent: Sendable, Equatable {
  /// A user's first connection began.
  case userConnected(String)
  /// A user's last connection ended.
  ///
  /// A user that reconnects at once is connected again right after it.
  case userDisconnected(String)
  /// A notification was stored in one user's inbox, by this program or over HTTP.
  case published(InboxNotification)
  /// A notification was stored for everyone; `inbox(of:)` returns it for each user.
  case publishedToEveryone
  /// A user read notifications; nil means all of the inbox.
  case read(ids: [String]?, user: String)
  /// A user marked notifications as unread.
  case unread(ids: [String], user: String)
  /// A user saw notifications; nil means all of the inbox.
  case seen(ids: [String]?, user: String)
  /// Notifications left a user's inbox, deleted or expired; nil means all of the inbox.
  case deleted(ids: [String]?, user: String)
  /// Notifications for everyone expired, and so left every inbox.
  case expiredForEveryone(ids: [String])
  /// So many events were dropped, because the program read more slowly than they came.
  case missed(Int)

  /// The program's form of an observed event; nil for one that it does not get.
  init?(_ event: ObservedEvent) {
    switch event {
    case .connected(let user): self = .userConnected(user)
    case .disconnected(let user): self = .userDisconnected(user)
    case .missed(let count): self = .missed(count)
    case .stored(let event):
      guard let change = BusEvent(event) else { return nil }
      self = change
    }
  }

  private init?(_ event: Event) {
    // The journal names the user of each change; a change for everyone has none.
    let user: String =
      if case .user(let named) = event.audience { named } else { "" }
    switch event.body {
    case .stored(let notification, _): self = .published(InboxNotification(notification))
    case .storedForEveryone: self = .publishedToEveryone
    case .read(let ids, _): self = .read(ids: ids.map(\.text), user: user)
    case .unread(let ids, _): self = .unread(ids: ids.map(\.text), user: user)
    case .seen(let ids, _): self = .seen(ids: ids.map(\.text), user: user)
    case .deleted(let ids, _): self = .deleted(ids: ids.map(\.text), user: user)
    case .readAll: self = .read(ids: nil, user: user)
    case .seenAll: self = .seen(ids: nil, user: user)
    case .deletedAll: self = .deleted(ids: nil, user: user)
    case .expiredForEveryone(let ids): self = .expiredForEveryone(ids: ids.map(\.text))
    case .counted, .system, .liveUpdate, .dataUpdate, .payment, .room, .typing, .presence, .probe:
      return nil
    }
  }
}

/// The events of a bus from one moment on, in order for each user.
///
/// It ends when the bus stops. Iterate over it in one task: each event goes to one iterator.
public struct BusEvents: AsyncSequence, Sendable {
  /// The events.
  public typealias Element = BusEvent
  /// The sequence never throws.
  public typealias Failure = Never

  /// The values of a subscription's `bufferLimit`.
  static let bufferLimits = 1...1_000_000

  let events: AsyncStream<ObservedEvent>

  /// An iterator over the events that no iterator has returned.
  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(iterator: events.makeAsyncIterator())
  }

  /// The iterator of `BusEvents`.
  public struct AsyncIterator: AsyncIteratorProtocol {
    /// The events.
    public typealias Element = BusEvent
    /// The iterator never throws.
    public typealias Failure = Never

    var iterator: AsyncStream<ObservedEvent>.AsyncIterator

    /// The next event, as soon as there is one; nil when the bus has stopped or the task is
    /// cancelled.
    public mutating func next() async -> BusEvent? { await next(isolation: nil) }

    /// The next event, as soon as there is one; nil when the bus has stopped or the task is
    /// cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async -> BusEvent? {
      while let event = await iterator.next(isolation: actor) {
        if let event = BusEvent(event) { return event }
      }
      return nil
    }
  }
}

extension NotificationBus {
  /// Subscribes to the events from now on.
  ///
  /// Every call makes a subscription of its own, which ends when its sequence is no longer used.
  /// The bus keeps at most `bufferLimit` events (1 to 1,000,000) that the program has not read;
  /// further ones are dropped, and `missed` says how many. Clients never wait for the program.
  ///
  /// - Parameter bufferLimit: The largest number of unread events.
  /// - Returns: The sequence; an event that happens after the call returns is in it.
  /// - Throws: `BusError.invalid` for another limit, `busy` when the server does not answer in
  ///   time, and `stopped`.
  public func events(bufferLimit: Int = 1_024) async throws(BusError) -> BusEvents {
    try require(BusEvents.bufferLimits, holds: bufferLimit, "bufferLimit")
    try checkRunning()
    let (stream, continuation) = AsyncStream.makeStream(
      of: ObservedEvent.self, bufferingPolicy: .bufferingOldest(bufferLimit))
    let id = addSubscription(continuation)
    continuation.onTermination = { [weak self, server] _ in
      server.removeObserver(id)
      Task { await self?.removeSubscription(id) }
    }
    do throws(ShardQueryFailure) {
      try await server.addObserver(id) { event in
        // `dropped` is the full buffer; a terminated stream has no reader that misses anything.
        // guard: missed-events-counted
        if case .dropped = continuation.yield(event) { false } else { true }
      }
    } catch {
      continuation.finish()
      throw BusError(error)
    }
    return BusEvents(events: stream)
  }
}
