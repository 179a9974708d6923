// Carillon inside a Swift program: clients connect to it as to `carillon serve`, and the program
// publishes and counts them without HTTP.
//
// The bus is an actor so that nothing is asked of the server once it was told to stop: each method
// looks and asks in one step. What has to be waited for (a commit) is waited for outside of that
// step, so publishes do not queue behind one another and share their transactions.

internal import Notifications
internal import Server
internal import Tokens
internal import Wire

/// A running notification server in this process.
///
/// Several buses may run in one process, each on a port and a store of its own. A bus that nobody
/// holds any more stops by itself, in the background.
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
    /// Told to stop; these wait until it is done.
    case stopping([CheckedContinuation<Void, Never>])
    case stopped
  }

  /// Opens the store and the port, and serves from then on.
  ///
  /// Takes some milliseconds of file access. Throws `BusError.invalid` for a value that cannot be,
  /// and `cannotStart` where the port is taken or the store cannot be opened, as when another
  /// server or bus has it open.
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

  /// A bus around a server that runs.
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

  /// Sends everybody away in order, finishes what was accepted, and closes the store.
  ///
  /// Returns when that is done, at the latest after the 10 s that clients have to go and a little
  /// more. Any number of callers may wait for it.
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

  /// Stores a notification in a user's inbox, tells all of their devices, and returns its id.
  ///
  /// When this returns the notification is on disk: what the answer 201 means over HTTP. Throws
  /// `invalid` with the field, `busy` when too much is waiting to be written, `readOnly` and
  /// `stopped`; nothing is stored then.
  public func publish(
    _ content: NotificationContent, to user: String
  ) async throws(BusError) -> String {
    let draft = try content.draft(at: server.wallMilliseconds) { $0.member("user_id", user) }
    // One user, and so one id.
    return try await store(draft)[0].text
  }

  /// Stores a notification in the inboxes of 1 to 10,000 users, all of them or none.
  ///
  /// Returns an id for each user, in their order; a user who is named twice gets it once. Else as
  /// for one user.
  public func publish(
    _ content: NotificationContent, to users: [String]
  ) async throws(BusError) -> [String] {
    let draft = try content.draft(at: server.wallMilliseconds) {
      $0.member("user_ids", json: JSONValue.array(users.map { .string($0) }).text)
    }
    return try await store(draft).map(\.text)
  }

  /// Stores a notification once, in every user's inbox: also in that of one who comes later.
  ///
  /// Else as for one user.
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
    // The other answers are to retried requests and to changes of an inbox.
    precondition(outcome == .published, "the store answered a publish with \(outcome)")
    return ids
  }

  // MARK: Telling those who are connected

  /// Tells a user's devices that are connected now.
  ///
  /// Returns when the message is in the server's ring, in order behind what was told before. Throws
  /// `invalid` with the field, `busy` when the ring is full, and `stopped`. That nobody is
  /// connected is no error.
  public func sendToUser(_ user: String, _ message: LiveMessage) throws(BusError) {
    try tell(.user(user), message)
  }

  /// Tells the devices of 1 to 10,000 users that are connected now; else as for one user.
  public func broadcastToUsers(_ users: [String], _ message: LiveMessage) throws(BusError) {
    guard (1...Draft.userCountLimit).contains(users.count) else {
      throw .invalid(field: "users", reason: "must hold 1 to \(Draft.userCountLimit) ids")
    }
    var known: Set<TextKey> = []
    try tell(.users(users.filter { known.insert(TextKey($0)).inserted }), message)
  }

  /// Tells everybody who is connected now; else as for one user.
  public func broadcastToAll(_ message: LiveMessage) throws(BusError) {
    try tell(.everyone, message)
  }

  private func tell(_ audience: Audience, _ message: LiveMessage) throws(BusError) {
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

  // MARK: Who is here

  /// Whether a user has a connection open at this moment.
  ///
  /// Throws `busy` when the server does not get round to answering, and `stopped`.
  public func isUserConnected(_ user: String) async throws(BusError) -> Bool {
    try checkRunning()
    do throws(ShardQueryFailure) {
      return try await server.isUserConnected(user)
    } catch {
      throw BusError(error)
    }
  }

  /// A page of the users who have a connection open.
  public struct ConnectedUsers: Sendable, Equatable {
    /// Their ids, in the order of their bytes.
    public let users: [String]
    /// How many are connected in all, on this page or not.
    public let total: Int
    /// What to pass as `after` for the next page; nil after the last.
    public let next: String?
  }

  /// The first `limit` (1 to 10,000) users who have a connection open at this moment, from behind
  /// `after` on.
  ///
  /// Throws as `isUserConnected` does, and `invalid` for another limit.
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

  /// How many are connected.
  public struct Stats: Sendable, Equatable {
    /// Users with at least one open connection.
    public let totalUsers: Int
    /// Open connections.
    public let totalConnections: Int
  }

  /// How many are connected at this moment, or were a moment ago; nobody once it was stopped.
  public nonisolated var stats: Stats {
    Stats(totalUsers: server.userCount, totalConnections: server.sessionCount)
  }

  // MARK: Tokens

  /// A token with which a client connects as `user`, for `lifetime` from now, at least a second.
  ///
  /// For a program without a login of its own. Throws `invalid` for what is no user id: 1 to 128
  /// bytes without control characters.
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
