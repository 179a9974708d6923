// Carillon inside a Swift program: clients connect to it as to `carillon serve`, and the program
// publishes, reads inboxes and counts connections without HTTP.
//
// The bus is an actor so that the server receives no request after its stop: each method checks the
// state and submits in one step. A method waits for a commit outside of that step, so concurrent
// publishes do not wait for each other and share transactions.

internal import Notifications
internal import Server
internal import Tokens
internal import Wire

/// A running notification server in this process.
///
/// Several buses may run in one process, each with its own port and store. When the last reference
/// to a bus goes away, it stops in the background.
public actor NotificationBus {
  /// The port that clients connect to.
  public nonisolated let port: UInt16
  /// The version of Carillon.
  public static let version = CarillonServer.version

  nonisolated let server: CarillonServer
  private nonisolated let issuer: TokenIssuer
  private var state = State.running
  /// The open subscriptions to events, which the stop of the bus ends.
  private(set) var subscriptions: [UInt64: AsyncStream<ObservedEvent>.Continuation] = [:]
  private var lastSubscription: UInt64 = 0

  private enum State {
    case running
    /// The stop has begun; these callers wait for its end.
    case stopping([CheckedContinuation<Void, Never>])
    case stopped
  }

  /// Opens the store and the port, and starts to serve.
  ///
  /// It blocks for some milliseconds of file access.
  ///
  /// - Parameter configuration: The configuration.
  /// - Returns: The running bus.
  /// - Throws: `BusError.invalid` for an invalid value, `shortSecret`, and `cannotStart` when the
  ///   port is in use or the store cannot be opened, for example because another server or bus has
  ///   it open.
  public static func start(
    _ configuration: BusConfiguration
  ) throws(BusError) -> NotificationBus {
    let serverConfiguration = try configuration.serverConfiguration()
    do throws(ServerError) {
      return NotificationBus(try CarillonServer(serverConfiguration), configuration)
    } catch {
      throw .cannotStart(reason: "\(error)")
    }
  }

  /// A bus around a running server.
  init(_ server: CarillonServer, _ configuration: BusConfiguration) {
    self.server = server
    port = server.port
    issuer = TokenIssuer(configuration)
  }

  deinit {
    let open = Array(subscriptions.values)
    guard case .running = state else { return }
    server.stopInBackground {
      for subscription in open { subscription.finish() }
    }
  }

  /// Closes all connections with 1001, completes the accepted requests, and closes the store.
  ///
  /// Returns when that is done: shortly after the 10 s of the drain at the latest. Any number of
  /// callers may wait for it.
  public func stop() async {
    switch state {
    case .stopped: return
    case .stopping, .running: await withCheckedContinuation { addWaiter($0) }
    }
  }

  private func addWaiter(_ waiter: CheckedContinuation<Void, Never>) {
    if case .stopping(let waiters) = state {
      state = .stopping(waiters + [waiter])
      return
    }
    state = .stopping([waiter])
    server.stopInBackground { Task { await self.hasStopped() } }
  }

  private func hasStopped() {
    guard case .stopping(let waiters) = state else { return }
    state = .stopped
    for subscription in subscriptions.values { subscription.finish() }
    subscriptions = [:]
    for waiter in waiters { waiter.resume() }
  }

  func checkRunning() throws(BusError) {
    guard case .running = state else { throw .stopped }
  }

  /// Keeps a subscription until it ends, and returns its id.
  func addSubscription(_ continuation: AsyncStream<ObservedEvent>.Continuation) -> UInt64 {
    lastSubscription += 1
    subscriptions[lastSubscription] = continuation
    return lastSubscription
  }

  func removeSubscription(_ id: UInt64) { subscriptions[id] = nil }

  // MARK: Publishing

  /// Stores a notification in a user's inbox, sends it to all of their devices, and returns its id.
  ///
  /// When this returns, the notification is on disk, as with the answer 201 over HTTP.
  ///
  /// - Parameters:
  ///   - content: The content of the notification.
  ///   - user: The id of the user: 1 to 128 bytes without control characters.
  /// - Returns: The id of the notification.
  /// - Throws: `BusError.invalid` with the field, `busy` when the store's queue is full,
  ///   `unavailable`, `readOnly` and `stopped`, and nothing is stored then; `outcomeUnknown` when
  ///   it may be stored.
  @discardableResult
  public func publish(
    _ content: NotificationContent, to user: String
  ) async throws(BusError) -> String {
    let draft = try content.draft(at: server.wallMilliseconds) { $0.member("user_id", user) }
    // One user, and so one id.
    return try await store(draft)[0].text
  }

  /// Stores a notification in the inboxes of several users, all of them or none.
  ///
  /// - Parameters:
  ///   - content: The content of the notification.
  ///   - users: The ids of 1 to 10,000 users; a repeated one counts once.
  /// - Returns: An id for each user, in their order.
  /// - Throws: The same errors as for one user.
  @discardableResult
  public func publish(
    _ content: NotificationContent, to users: [String]
  ) async throws(BusError) -> [String] {
    let draft = try content.draft(at: server.wallMilliseconds) {
      $0.member("user_ids", json: JSONValue.array(users.map { .string($0) }).text)
    }
    return try await store(draft).map(\.text)
  }

  /// Stores one notification for every user's inbox, including users who connect later.
  ///
  /// - Parameter content: The content of the notification.
  /// - Returns: The id of the notification.
  /// - Throws: The same errors as for one user.
  @discardableResult
  public func publishToEveryone(
    _ content: NotificationContent
  ) async throws(BusError) -> String {
    let draft = try content.draft(at: server.wallMilliseconds) { $0.member("audience", "everyone") }
    // Stored once, and so one id.
    return try await store(draft)[0].text
  }

  private func store(_ draft: Draft) async throws(BusError) -> [NotificationID] {
    try checkRunning()
    var ids: [NotificationID]?
    let outcome: StoreOutcome? = await withCheckedContinuation { continuation in
      ids = server.publish(draft) { continuation.resume(returning: $0) }
      if ids == nil { continuation.resume(returning: nil) }
    }
    guard let outcome, let ids else { throw .busy }
    if let error = BusError(outcome) { throw error }
    // Other outcomes belong to retried requests and to changes of an inbox.
    precondition(outcome == .published, "the store answered a publish with \(outcome)")
    return ids
  }

  // MARK: Live messages

  /// Sends a message to a user's connected devices.
  ///
  /// Returns when the message is in the server's ring, in order after all earlier messages. It is
  /// not an error when no device is connected.
  ///
  /// - Parameters:
  ///   - message: The message.
  ///   - user: The id of the user: 1 to 128 bytes without control characters.
  /// - Throws: `BusError.invalid` with the field, `busy` when the ring is full, and `stopped`.
  public func send(_ message: LiveMessage, to user: String) throws(BusError) {
    try check(user: user)
    try offer(.user(user), try message.eventBody(for: server))
  }

  /// Sends a message to the connected devices of several users.
  ///
  /// - Parameters:
  ///   - message: The message.
  ///   - users: The ids of 1 to 10,000 users; a repeated one counts once.
  /// - Throws: The same errors as for one user.
  public func send(_ message: LiveMessage, to users: [String]) throws(BusError) {
    guard (1...Draft.userCountLimit).contains(users.count) else {
      throw .invalid(field: "users", reason: "must hold 1 to \(Draft.userCountLimit) ids")
    }
    guard users.allSatisfy({ UserIDs.isValid($0) }) else {
      throw .invalid(field: "users", reason: "holds an invalid user id")
    }
    var known: Set<TextKey> = []
    try offer(
      .users(users.filter { known.insert(TextKey($0)).inserted }),
      try message.eventBody(for: server))
  }

  /// Sends a message to all connected devices.
  ///
  /// - Parameter message: The message.
  /// - Throws: The same errors as for one user.
  public func broadcast(_ message: LiveMessage) throws(BusError) {
    try offer(.everyone, try message.eventBody(for: server))
  }

  func offer(_ audience: Audience, _ body: Event.Body) throws(BusError) {
    try checkRunning()
    guard server.tell(audience, body) else { throw .busy }
  }

  func check(user: String) throws(BusError) {
    guard UserIDs.isValid(user) else { throw .invalid(field: "user", reason: "not a user id") }
  }

  // MARK: Connected users

  /// Whether a user has an open connection.
  ///
  /// - Parameter user: The id of the user.
  /// - Returns: Whether the user has a session or a waiting poll on any of the bus's threads.
  /// - Throws: `BusError.busy` when the server does not answer in time, and `stopped`.
  public func isUserConnected(_ user: String) async throws(BusError) -> Bool {
    try checkRunning()
    do throws(ShardQueryFailure) {
      return try await server.isUserConnected(user)
    } catch {
      throw BusError(error)
    }
  }

  /// A page of the connected users.
  public struct ConnectedUsers: Sendable, Equatable {
    /// Their ids, in byte order.
    public let users: [String]
    /// The total number of connected users, on this page or not.
    public let total: Int
    /// The value of `after` for the next page; nil on the last page.
    public let next: String?
  }

  /// A page of the connected users, in the order of their ids' bytes.
  ///
  /// - Parameters:
  ///   - limit: The largest number of users to return: 1 to 10,000.
  ///   - after: The id after which the page begins; nil for the first page.
  /// - Returns: The page.
  /// - Throws: The same errors as `isUserConnected(_:)`, and `invalid` for another limit.
  public func connectedUsers(
    limit: Int = 1_000, after: String? = nil
  ) async throws(BusError) -> ConnectedUsers {
    guard 1...Server.ConnectedUsers.largestLimit ~= limit else {
      throw .invalid(
        field: "limit", reason: "must be 1 to \(Server.ConnectedUsers.largestLimit)")
    }
    try checkRunning()
    do throws(ShardQueryFailure) {
      let page = try await server.connectedUsers(limit: limit, after: after)
      return ConnectedUsers(users: page.users, total: page.total, next: page.next)
    } catch {
      throw BusError(error)
    }
  }

  /// The numbers of connected users and connections.
  public struct Stats: Sendable, Equatable {
    /// Users with at least one open connection.
    public let totalUsers: Int
    /// Open connections.
    public let totalConnections: Int
  }

  /// The current numbers, possibly slightly out of date; 0 after the stop.
  public nonisolated var stats: Stats {
    Stats(totalUsers: server.userCount, totalConnections: server.sessionCount)
  }

  // MARK: Tokens

  /// A token for a client of a user.
  ///
  /// For a program without its own login.
  ///
  /// - Parameters:
  ///   - user: The id of the user: 1 to 128 bytes without control characters.
  ///   - lifetime: How long it is valid from now on, at least one second.
  ///   - rooms: The rooms that it names, for the policy `claimed`; `*` in a name matches any text.
  ///   - canPublish: Whether it also authorises its bearer to publish over HTTP.
  /// - Returns: The token.
  /// - Throws: `BusError.invalid` for an invalid user id or room, and without a `tokenSecret`.
  public nonisolated func makeToken(
    for user: String, lifetime: Duration = .seconds(3600), rooms: [String] = [],
    canPublish: Bool = false
  ) throws(BusError) -> String {
    guard UserIDs.isValid(user) else { throw .invalid(field: "user", reason: "not a user id") }
    guard rooms.allSatisfy({ RoomNames.isValid($0) }) else {
      throw .invalid(field: "rooms", reason: "holds an invalid name of a room")
    }
    let now = server.wallMilliseconds / 1_000
    let (end, overflow) = now.addingReportingOverflow(max(1, lifetime.components.seconds))
    let token = issuer.token(
      for: user, from: now, to: overflow ? .max : end, rooms: rooms, canPublish: canPublish)
    guard let token else {
      throw .invalid(field: "tokenSecret", reason: "is nil: the bus has no key that signs tokens")
    }
    return token
  }
}

/// Signs the tokens of a bus, with the claims that its own server requires.
private struct TokenIssuer: Sendable {
  private let secret: [UInt8]?
  private let algorithm: SigningAlgorithm
  private let issuer: String?
  private let audience: String?
  private let userClaim: String?

  init(_ configuration: BusConfiguration) {
    secret = configuration.tokenSecret.map { Array($0.utf8) }
    algorithm = configuration.tokenAlgorithm.signing
    issuer = configuration.tokenIssuer
    audience = configuration.tokenAudience
    userClaim = configuration.tokenUserClaim
  }

  /// Nil without a secret.
  func token(
    for user: String, from start: Int64, to end: Int64, rooms: [String], canPublish: Bool
  ) -> String? {
    guard let secret else { return nil }
    return TokenSigner.sign(
      userID: user, userClaim: userClaim ?? "sub", scopes: canPublish ? ["publish"] : [],
      rooms: rooms, issuedAtSeconds: start, expiresAtSeconds: end, secret: secret,
      algorithm: algorithm, issuer: issuer, audience: audience)
  }
}
