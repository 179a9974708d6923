// Carillon inside a Swift program: clients connect to it as to `carillon serve`, and the program
// publishes and counts connections without HTTP.
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
  public nonisolated let port: Int

  private nonisolated let server: CarillonServer
  private nonisolated let tokenSecret: [UInt8]
  private nonisolated let tokenIssuer: String?
  private nonisolated let tokenAudience: String?
  private var state = State.running

  private enum State {
    case running
    /// The stop has begun; these callers wait for its end.
    case stopping([CheckedContinuation<Void, Never>])
    case stopped
  }

  /// Opens the store and the port, and starts to serve.
  ///
  /// It blocks for some milliseconds of file access. Throws `BusError.invalid` for an invalid
  /// value, and `cannotStart` when the port is in use or the store cannot be opened, for example
  /// because another server or bus has it open.
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
    port = Int(server.port)
    tokenSecret = Array(configuration.tokenSecret.utf8)
    tokenIssuer = configuration.tokenIssuer
    tokenAudience = configuration.tokenAudience
  }

  deinit {
    if case .running = state { server.stopInBackground {} }
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
    for waiter in waiters { waiter.resume() }
  }

  private func checkRunning() throws(BusError) {
    guard case .running = state else { throw .stopped }
  }

  // MARK: Publishing

  /// Stores a notification in a user's inbox, sends it to all of their devices, and returns its id.
  ///
  /// When this returns, the notification is on disk, as with the answer 201 over HTTP. Throws
  /// `invalid` with the field, `busy` when the store's queue is full, `readOnly` and `stopped`;
  /// nothing is stored then.
  public func publish(
    _ content: NotificationContent, to user: String
  ) async throws(BusError) -> String {
    let draft = try content.draft(at: server.wallMilliseconds) { $0.member("user_id", user) }
    // One user, and so one id.
    return try await store(draft)[0].text
  }

  /// Stores a notification in the inboxes of 1 to 10,000 users, all of them or none.
  ///
  /// Returns an id for each user, in their order; a repeated user counts once. Otherwise it behaves
  /// as for one user.
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
  /// Otherwise it behaves as for one user.
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
    if case .readOnly(let reason) = outcome { throw .readOnly(reason: reason) }
    // Other outcomes belong to retried requests and to changes of an inbox.
    precondition(outcome == .published, "the store answered a publish with \(outcome)")
    return ids
  }

  // MARK: Live messages

  /// Sends a message to a user's connected devices.
  ///
  /// Returns when the message is in the server's ring, in order after all earlier messages. Throws
  /// `invalid` with the field, `busy` when the ring is full, and `stopped`. It is not an error when
  /// no device is connected.
  public func sendToUser(_ user: String, _ message: LiveMessage) throws(BusError) {
    try send(message, to: .user(user))
  }

  /// Sends a message to the connected devices of 1 to 10,000 users.
  ///
  /// Otherwise it behaves as for one user.
  public func broadcastToUsers(_ users: [String], _ message: LiveMessage) throws(BusError) {
    guard (1...Draft.userCountLimit).contains(users.count) else {
      throw .invalid(field: "users", reason: "must hold 1 to \(Draft.userCountLimit) ids")
    }
    var known: Set<TextKey> = []
    try send(message, to: .users(users.filter { known.insert(TextKey($0)).inserted }))
  }

  /// Sends a message to all connected devices.
  ///
  /// Otherwise it behaves as for one user.
  public func broadcastToAll(_ message: LiveMessage) throws(BusError) {
    try send(message, to: .everyone)
  }

  private func send(_ message: LiveMessage, to audience: Audience) throws(BusError) {
    let body: Event.Body
    do throws(UnusableBody) {
      body =
        switch message {
        case .liveUpdate: try server.liveUpdate(in: message.body)
        case .dataUpdate: try server.dataUpdate(in: message.body)
        case .paymentUpdate: try server.paymentUpdate(in: message.body)
        case .systemMessage: try server.systemMessage(in: message.body)
        }
    } catch {
      throw .invalid(field: error.field, reason: error.reason)
    }
    try checkRunning()
    guard server.tell(audience, body) else { throw .busy }
  }

  // MARK: Connected users

  /// Whether a user has an open connection.
  ///
  /// Throws `busy` when the server does not answer in time, and `stopped`.
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

  /// The first `limit` (1 to 10,000) connected users with an id greater than `after`.
  ///
  /// Throws the same errors as `isUserConnected`, and `invalid` for another limit.
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

  /// A token for a client of `user`, valid for `lifetime` from now, at least one second.
  ///
  /// For a program without its own login. Throws `invalid` for an invalid user id: an id has 1 to
  /// 128 bytes without control characters.
  public nonisolated func makeToken(
    for user: String, lifetime: Duration = .seconds(3600)
  ) throws(BusError) -> String {
    guard UserIDs.isValid(user) else { throw .invalid(field: "user", reason: "not a user id") }
    let now = server.wallMilliseconds / 1_000
    let (end, overflow) = now.addingReportingOverflow(max(1, lifetime.components.seconds))
    return TokenSigner.sign(
      userID: user, issuedAtSeconds: now, expiresAtSeconds: overflow ? .max : end,
      secret: tokenSecret, issuer: tokenIssuer, audience: tokenAudience)
  }
}
