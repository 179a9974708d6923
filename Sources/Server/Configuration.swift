// The configuration of a server: addresses, keys and the limits that apply while it runs.
//
// Only the limits here bound the server's memory, so each states its unit and its consequence.

package import Channels
internal import Delivery
internal import Notifications
package import Tokens
internal import Wire

/// The configuration of a server.
///
/// Immutable once the server runs.
package struct Configuration: Sendable {
  /// Largest number of addresses to listen on.
  package static let hostLimit = Connections.listenerLimit

  /// A numeric address to listen on.
  package var host = "127.0.0.1"
  /// Further numeric addresses to listen on, with `host` at most `hostLimit`.
  package var furtherHosts: [String] = []
  /// The port to listen on; 0 lets the kernel choose.
  package var port: UInt16 = 8080
  /// The numbers of reactor threads that a server may have.
  package static let shardCounts = 1...128

  /// Reactor threads, each with a listening socket and connections of its own.
  package var shardCount = 1
  /// Whether shard N is pinned to processor N.
  package var pinsShards = false
  /// The path of a store that keeps nothing.
  package static let inMemory = ":memory:"
  /// The directory of the store, or `:memory:` to keep nothing.
  package var dataPath = inMemory
  /// The directory of the zone files for quiet hours.
  package var timeZonePath = TimeZoneFiles.standardPath
  /// The rules by which tokens are accepted.
  package var tokenPolicy: TokenPolicy
  /// The source of further keys; nil: those of `tokenPolicy` are all.
  package var keySource: KeySource?
  /// The value of `X-API-Key` that makes a caller a publisher.
  ///
  /// Nil: no such key.
  package var apiKey: String?
  /// The secrets of Stripe's webhook endpoints, several while one is rotated.
  ///
  /// Empty: there is no endpoint for Stripe. At most `StripeSignature.secretCountLimit`.
  package var stripeSecrets: [String] = []
  /// Allowed origins of browsers, as `scheme://host[:port]`; `*` is every origin.
  ///
  /// Empty: this machine's own names only.
  package var allowedOrigins: [String] = []
  /// The proxies that name the client of a request in a forwarding header.
  package var trustedProxies = TrustedProxies()
  /// Whether only requests to this machine's own names are served: localhost, 127.0.0.1, [::1].
  ///
  /// For development: it keeps pages that use DNS rebinding away from a server that gives tokens to
  /// every local client.
  package var servesLoopbackNamesOnly = false
  /// The rooms that a client may enter.
  package var roomPolicy = RoomPolicy.open
  /// The paths at which Engine.IO is served, each with its application.
  package var engines: [EnginePath]
  /// Makes the tokens of the demo, valid from that second since 1970; nil: there is no demo.
  ///
  /// For development only: any client that reaches the server gets them. Called on a shard's
  /// thread.
  package var demoTokens: (@Sendable (_ nowSeconds: Int64) -> DemoTokens)?
  /// Whether an answer to a refused token names the exact reason, never the token.
  ///
  /// For development only: the reason helps an attacker as much as a developer.
  package var explainsRefusals = false
  /// The addresses that requests to webhooks may go to.
  package var addressPolicy = AddressPolicy()
  /// When a failed delivery to a webhook is attempted again.
  package var webhookRetries = RetrySchedule.standard
  /// The most verbose level that is written to the log.
  package var logLevel = LogLevel.info
  /// The limits.
  package var limits = Limits()

  /// Why these are no secrets of Stripe's webhook endpoints; nil if they are.
  package static func fault(inStripeSecrets secrets: [String]) -> String? {
    let limit = StripeSignature.secretCountLimit
    guard 1...limit ~= secrets.count else { return "must hold 1 to \(limit) secrets" }
    for secret in secrets {
      if ["sk_", "rk_", "pk_"].contains(where: secret.hasPrefix) {
        return "holds an API key of Stripe: the signing secret of the endpoint begins with whsec_"
      }
      guard secret.utf8.count >= stripeSecretMinimum,
        secret.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
      else {
        return "needs secrets of at least \(stripeSecretMinimum) printable ASCII characters"
      }
    }
    return nil
  }

  /// The least bytes of a secret of Stripe; its own have 38.
  package static let stripeSecretMinimum = 16

  /// Creates a configuration with the defaults of the command.
  package init(tokenPolicy: TokenPolicy) {
    self.tokenPolicy = tokenPolicy
    engines = [.notifications()]
  }
}

/// Tokens for the demo's page: its users, and a publisher that sends to them.
package struct DemoTokens: Sendable {
  /// The users, in their order on the page, each with its token.
  package let users: [(id: String, token: String)]
  /// A token with the right to publish.
  package let publisher: String

  /// Creates the set from ready-made tokens.
  package init(users: [(id: String, token: String)], publisher: String) {
    self.users = users
    self.publisher = publisher
  }
}

/// The limits of a running server.
package struct Limits: Sendable {
  /// Connection slots of a shard; a further connection is closed at once and counted.
  package var connectionsPerShardLimit = 1 << 20
  /// Connections of one IPv4 address, or one IPv6 network of 64 bits, over all shards; a further
  /// one is answered 429 before the server reads from it.
  ///
  /// 0: unlimited. Nil: `standardConnectionsPerAddress`, and connections from this machine are not
  /// counted.
  package var connectionsPerAddressLimit: Int?
  /// Sessions and waiting polls of one user over all shards.
  ///
  /// 0: unlimited. Nil: `standardSessionsPerUser`, and those from this machine are not counted.
  package var sessionsPerUserLimit: Int?
  /// The policy for a user's session past `sessionsPerUserLimit`.
  package var whenUserFull = FullUserPolicy.reject
  /// Connections without a valid token or key so far, over all shards: HTTP without one, and
  /// WebSockets that still have to send their token; for a further one the one that has been idle
  /// longest is closed, and without such a one it is answered 503.
  ///
  /// 0: unlimited. Nil: `FileBudget.strangerPercent` of the files that the process may have open,
  /// and those from this machine are not counted.
  package var unauthenticatedLimit: Int?
  /// Connections of a shard that admission control rejected and that are still being sent their
  /// 429 or 503; a further one is closed without an answer.
  package var rejectedPerShardLimit = 1_024
  /// Rate of new connections of one address; a connection over it is answered 429.
  ///
  /// Nil: `standardConnectRate`, and those from this machine are not counted.
  package var connectRate: RateLimit?
  /// Rate of messages, pings and pongs of one WebSocket; one over it closes with 1008, or is
  /// answered with an error if the dialect has one.
  ///
  /// Nil: `standardMessageRate`, and those from this machine are not counted.
  package var messageRate: RateLimit?
  /// Rate of HTTP requests of one user that is no publisher; one over it is answered 429.
  ///
  /// It ends no session. Nil: `standardRequestRate`, and those from this machine are not counted.
  package var requestRate: RateLimit?
  /// Rate of tokens with a wrong signature from one address; past it, no token from that address is
  /// verified: a request with one is answered 429, and a session with one ends.
  ///
  /// Nil: `standardBadTokenRate`, and those from this machine are not counted.
  package var badTokenRate: RateLimit?
  /// Rate of publish requests with one user's tokens, or with the API key; a request over it is
  /// answered 429.
  ///
  /// A request counts once, regardless of how much it publishes.
  package var publishRate = RateLimit.off
  /// Rate buckets of addresses, of users, and of publishers; past it, further ones share one.
  package var rateBucketCountLimit = 65_536
  /// Bytes of an inbound WebSocket message; more closes with 1009.
  package var messageBytesLimit = 512
  /// Bytes of an inbound `auth` message: 8 KiB for its token, 256 bytes for the rest.
  ///
  /// A text message may reach this length before its kind is known; a message longer than
  /// `messageBytesLimit` that is not `auth` closes with 1009.
  package var authMessageBytesLimit = TokenVerifier.tokenBytesLimit + 256
  /// Frames of a fragmented message; more closes with 1008.
  package var fragmentCountLimit = FrameSequence.standardFragmentCountLimit
  /// Unsent bytes of one client; past it, it is a slow consumer and closed with 1013.
  package var backlogBytesLimit = 64 * 1_024
  /// Bytes that the kernel accepts for a connection before it can put them on the wire.
  ///
  /// Without a limit it accepts megabytes for a client that does not read. Filling the buffers of
  /// thousands of such clients takes all of TCP's memory, and seconds in which no other client is
  /// served.
  package var unsentBytesLimit: UInt32 = 128 * 1_024
  /// The same after a client first exceeds `backlogBytesLimit`, unless it is a zero-window peer.
  ///
  /// A burst, for example a batch of a thousand notifications for one user, needs room before its
  /// client has had time to read.
  package var raisedUnsentBytesLimit: UInt32 = 1_024 * 1_024
  /// Time after which a client that reads nothing, with bytes to read, is a zero-window peer.
  package var zeroWindowMilliseconds: UInt32 = 100
  /// Bytes of a JSON request body; more is answered 413.
  package var bodyBytesLimit = 64 * 1_024
  /// Bytes of the body of a publish with `user_ids`; more is answered 413, and so is one without
  /// them that is longer than `bodyBytesLimit`.
  package var publishBytesLimit = 1_024 * 1_024
  /// Bytes of an NDJSON batch; more is answered 413.
  package var batchBytesLimit = 8 * 1_024 * 1_024
  /// Bytes of an event of Stripe; more is answered 413.
  ///
  /// An invoice with ten lines, all with metadata, is longer than `bodyBytesLimit`. The sender is
  /// not known before the last byte, so it counts in the share of callers without a token, which
  /// bounds their memory whatever one body may have.
  package var stripeBytesLimit = 256 * 1_024
  /// Lines of an NDJSON batch; more is answered 413.
  package var batchLinesLimit = 10_000
  /// Lines of an NDJSON batch for everyone; more is answered 413.
  ///
  /// The store reads each such notification once for every open session.
  package var batchEveryoneLimit = 100
  /// Bytes of request bodies of publishers that a shard holds at once, from their first byte to
  /// their answer, which includes the time in the store; more is answered 503.
  package var publisherBodiesBytesLimit = 44 * 1_024 * 1_024
  /// The same for users, apart from publishers; one user may hold an eighth, or one larger body.
  package var userBodiesBytesLimit = 16 * 1_024 * 1_024
  /// The same for callers without a token, apart from the others; one address may hold an eighth,
  /// or one larger body.
  package var strangerBodiesBytesLimit = 4 * 1_024 * 1_024
  /// Bytes in a connection's response queue; past it, its next requests wait.
  package var responseBytesLimit = 64 * 1_024
  /// Bytes that a shard holds for pages, from the beginning of their read until they are sent, and
  /// for other bytes of blocked clients; past it, the shard reads no more pages: requests are
  /// answered 503, resuming sessions are closed with 1013.
  package var blockedBytesLimit = 256 * 1_024 * 1_024
  /// Of these, the most that the pages of one user take; see `MemoryShares`.
  package var userPageBytesLimit: Int {
    (blockedBytesLimit - publisherPageBytes) / MemoryShares.userDivisor
  }
  /// Of these, the most that the pages of the clients of one address take.
  package var addressPageBytesLimit: Int {
    (blockedBytesLimit - publisherPageBytes) / MemoryShares.addressDivisor
  }
  /// Of these, those that only publishers' pages use.
  package var publisherPageBytes: Int { blockedBytesLimit / MemoryShares.publisherDivisor }
  /// Events in the ring; a publish into a full ring is answered 503.
  package var ringCapacity = 4_096
  /// Events in the ring at which a shard adds no further typing and presence: publishers have the
  /// last quarter.
  package var userEventsLimit: Int { max(1, ringCapacity - ringCapacity / 4) }
  /// Events that a shard keeps outside a full ring until it delivers them.
  ///
  /// Its own events fill the ring when many users leave at once, or clients flood their rooms with
  /// typing. Past it a publish is answered 503, and an update of presence or typing is dropped.
  package var setAsideEventsLimit = 65_536
  /// Bytes of each frame log of a shard.
  package var frameLogCapacity = 1 << 20
  /// Rooms of one connection; a further one is refused.
  package var roomsPerConnectionLimit = 128
  /// Rooms that count for one user: those that it opened as their first member, while they have
  /// members, unless they passed to another member; a further one is refused.
  ///
  /// 0: unlimited. Nil: `standardRoomsPerUser`, and those opened from this machine are not counted.
  package var roomsPerUserLimit: Int?
  /// Rooms of the server, divided evenly among the shards; a further one is refused.
  package var roomsLimit = 100_000
  /// Members of the largest room with typing and presence updates.
  ///
  /// Each update goes to all members: n members that enter one after the other alone cause n² / 2
  /// messages.
  package var presenceMembersLimit = 256
  /// Missed notifications sent to a resuming client; past it the client gets `resync` instead.
  package var missedLimit = StoreQuery.resumableLimit
  /// Pending queries of one shard to all shards, half of them of users; a further one waits.
  package var shardQueriesLimit = 64
  /// Queries of publishers to all shards that wait on one shard; a further one is answered 503.
  package var waitingShardQueriesLimit = 1_024
  /// Connections in the list of one user's connections; further ones are left out.
  package var listedConnectionsLimit = 1_000
  /// Metrics streams of a shard; a further one is answered 503.
  package var metricsStreamsPerShardLimit = 16
  /// User agents that a shard keeps to share among its connections; past it the table starts over.
  package var userAgentsLimit = 1_024
  /// Time in which all shards have to answer a shard query; past it 503.
  package var shardQueryTimeoutMilliseconds: UInt64 = 2_000
  /// Time from a request's first byte to the end of its head; past it 408.
  package var headTimeoutMilliseconds: UInt64 = 10_000
  /// Time from the end of a request's head to the end of its body; past it 408.
  ///
  /// It begins again with each `bodyProgressBytes` that arrive.
  package var bodyTimeoutMilliseconds: UInt64 = 30_000
  /// Bytes of a body that begin its timeout again: a long body may take long while it arrives
  /// steadily, and one that comes by the byte may not.
  package var bodyProgressBytes = 64 * 1_024
  /// Time from an upgrade without a token to the `auth` message; past it 1008.
  package var authenticationTimeoutMilliseconds: UInt64 = 10_000
  /// Time in which the store has to answer a command or a query; past it 504 or 503.
  ///
  /// Well above the time for which the store waits for a lock, so that a lock is a 503; below the
  /// 10 s for which clients usually wait, so that they see the answer.
  package var storeTimeoutMilliseconds: UInt64 = 8_000
  /// How long the refusal of a request over its user's rate is held back.
  package var heldRefusalMilliseconds: UInt64 = 100
  /// Time that a kept-alive connection may stay without a request after its last answer was sent;
  /// past it, it is closed.
  package var idleTimeoutMilliseconds: UInt64 = 75_000
  /// The same for a trusted proxy, and for one after a request with a valid token or key.
  ///
  /// Longer than the 600 s for which load balancers keep their connections, so that they end them.
  package var trustedIdleTimeoutMilliseconds: UInt64 = 620_000
  /// Time in which a blocked client must take a byte; past it, it is dropped as a slow consumer.
  ///
  /// The only bound on the time that an answer takes.
  package var progressTimeoutMilliseconds: UInt64 = 10_000
  /// Time from our close frame to the end of the connection.
  package var closeTimeoutMilliseconds: UInt64 = 1_000
  /// Total time of a drain; past it, the remaining connections are dropped.
  package var drainTimeoutMilliseconds: UInt64 = 10_000
  /// TCP_USER_TIMEOUT of accepted connections: unacknowledged data ends them after this long.
  package var tcpUserTimeoutMilliseconds: UInt32 = 30_000

  /// The limits that apply where none is configured.
  package static let standardConnectionsPerAddress = 100
  package static let standardSessionsPerUser = 20
  /// Nearly four times the rooms of one connection, and one in two hundred of the server's.
  package static let standardRoomsPerUser = 500
  package static let standardConnectRate = RateLimit(perSecond: 20, burst: 100)
  package static let standardMessageRate = RateLimit(perSecond: 50, burst: 200)
  /// A page makes about ten requests when it loads and one for each action; a poll makes one for
  /// each batch of notifications.
  ///
  /// So a user with all of its 20 connections may load them at once, and then send five requests a
  /// second with each.
  package static let standardRequestRate = RateLimit(perSecond: 100, burst: 500)
  /// A verification takes 0.1 ms (ES256), so 50 addresses at this rate take a tenth of a processor,
  /// and their bursts together a fifth of a second.
  package static let standardBadTokenRate = RateLimit(perSecond: 20, burst: 40)
  /// The most bytes of an `Idempotency-Key`.
  package static let idempotencyKeyBytesLimit = IdempotencyKey.byteCountLimit

  /// The bounds of sending.
  var delivery: DeliveryLimits {
    DeliveryLimits(
      frameLogCapacity: frameLogCapacity, backlogBytesLimit: backlogBytesLimit,
      pageBytesLimit: SessionReads.missedBytesLimit,
      progressTimeoutMilliseconds: progressTimeoutMilliseconds,
      zeroWindowMilliseconds: zeroWindowMilliseconds, unsentBytesLimit: unsentBytesLimit,
      raisedUnsentBytesLimit: raisedUnsentBytesLimit)
  }

  /// The values that a setting may give `backlogBytesLimit`.
  package static let backlogBytes = 4_096...(256 * 1_024)
  /// The values that a setting may give `messageBytesLimit`.
  package static let messageBytes = 125...65_536
  /// The values that a setting may give the limits of an address and a user; 0 is no limit.
  package static let quotas = 0...1_000_000

  /// The defaults.
  package init() {}
}

/// The policy for a session past its user's limit.
package enum FullUserPolicy: String, Sendable {
  /// The new session is answered 429, or closed with 1008.
  case reject
  /// The new session is admitted, and the user's oldest is evicted.
  case replace
}

/// Log levels, from the least to the most verbose.
package enum LogLevel: UInt8, Sendable, Comparable {
  case error, warning, info, debug

  /// Parses the value of LOG_LEVEL.
  package init?(name: String) {
    switch name.lowercased() {
    case "error": self = .error
    case "warn", "warning": self = .warning
    case "info": self = .info
    case "debug", "trace": self = .debug
    default: return nil
    }
  }

  /// Its name in a line of the log.
  package var name: String {
    switch self {
    case .error: "error"
    case .warning: "warning"
    case .info: "info"
    case .debug: "debug"
    }
  }

  package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}
