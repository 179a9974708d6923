// What a server is started with: addresses, keys and every bound that holds while it runs.
//
// Memory is bounded by the numbers here and by nothing else, so each of them says its unit and
// what is done when it is reached.

package import Tokens

/// How a server is set up.
///
/// Immutable once it runs.
package struct Configuration: Sendable {
  /// Addresses that may be listened on at once.
  package static let hostLimit = Shard.listenerLimit

  /// A numeric address to listen on.
  package var host = "127.0.0.1"
  /// Numeric addresses to listen on besides, at most 15.
  package var furtherHosts: [String] = []
  /// The port to listen on; 0 lets the kernel choose.
  package var port: UInt16 = 8080
  /// Reactor threads, each with a listening socket and connections of its own.
  package var shardCount = 1
  /// Whether shard N is pinned to processor N.
  package var pinsShards = false
  /// The directory of the store, or `:memory:` to keep nothing.
  package var dataPath = ":memory:"
  /// Whose tokens are accepted.
  package var tokenPolicy: TokenPolicy
  /// The value of `X-API-Key` that makes a caller a publisher.
  ///
  /// Nil: no such key.
  package var apiKey: String?
  /// Origins that a browser may come from, as `scheme://host[:port]`; `*` is every origin.
  ///
  /// Empty: this machine's own names only.
  package var allowedOrigins: [String] = []
  /// Who may enter which room.
  package var roomPolicy = RoomPolicy.open
  /// Where Engine.IO is served, and what is spoken over it there.
  package var engines: [EnginePath]
  /// Makes the tokens of the demo, good from a second since 1970 on; nil: there is no demo.
  ///
  /// For development alone: whoever reaches the server is told them. Called on a shard's thread.
  package var demoTokens: (@Sendable (_ nowSeconds: Int64) -> DemoTokens)?
  /// What is written to the log.
  package var logLevel = LogLevel.info
  /// The bounds.
  package var limits = Limits()

  /// A configuration with the defaults of the command.
  package init(tokenPolicy: TokenPolicy) {
    self.tokenPolicy = tokenPolicy
    engines = [.notifications()]
  }
}

/// What the demo's page is given: users to be, and the publisher who writes to them.
package struct DemoTokens: Sendable {
  /// The users, in their order on the page, each with a token of theirs.
  package let users: [(id: String, token: String)]
  /// A token that may publish.
  package let publisher: String

  /// Takes the tokens as they are.
  package init(users: [(id: String, token: String)], publisher: String) {
    self.users = users
    self.publisher = publisher
  }
}

/// Every bound of a running server.
package struct Limits: Sendable {
  /// Places in the slab of a shard; a further connection is closed at once and counted.
  package var connectionsPerShardLimit = 1 << 20
  /// Connections of one IPv4 address, or one IPv6 network of 64 bits, over all shards; a further
  /// one is answered 429 before anything of it is read.
  ///
  /// 0: as many as come. Nil: 100, and those from this machine are not counted.
  package var connectionsPerAddressLimit: Int?
  /// Sessions and waiting polls of one user over all shards.
  ///
  /// 0: as many as come. Nil: 20, and those from this machine are not counted.
  package var sessionsPerUserLimit: Int?
  /// What becomes of a user's session past `sessionsPerUserLimit`.
  package var whenUserFull = FullUserPolicy.reject
  /// Connections of a shard that have shown no good token or key: HTTP without one, and WebSockets
  /// whose token is awaited; a further one is answered 503.
  ///
  /// 0: as many as come. Nil: a tenth of `connectionsPerShardLimit`, and those from this machine
  /// are not counted.
  package var unauthenticatedPerShardLimit: Int?
  /// Connections of a shard that are being told 429 or 503 for having come; a further one is closed
  /// without a word.
  package var rejectedPerShardLimit = 1_024
  /// Connections that an address may begin; one too soon is answered 429.
  ///
  /// Nil: 20 a second and 100 at once, and those from this machine are not counted.
  package var connectRate: RateLimit?
  /// Messages, pings and pongs that a WebSocket may send; one too many closes with 1008, or is
  /// answered with an error where the dialect has one.
  ///
  /// Nil: 50 a second and 200 at once, and those from this machine are not counted.
  package var messageRate: RateLimit?
  /// Requests to publish by one user's tokens, or by the API key; one too soon is answered 429.
  ///
  /// A request counts as one, however much it publishes.
  package var publishRate = RateLimit.off
  /// Addresses, and publishers, whose rate is remembered; those that come when as many are in use
  /// share one.
  package var rateBucketCountLimit = 65_536
  /// Bytes of an inbound WebSocket message; more closes with 1009.
  package var messageBytesLimit = 512
  /// Bytes of an inbound `auth` message, which carries a token: 8 KiB of it, and the rest.
  ///
  /// So many may be received before it is known what a message is; one that is longer than
  /// `messageBytesLimit` and is something else closes with 1009.
  package var authMessageBytesLimit = 8 * 1_024 + 256
  /// Frames of a fragmented message; more closes with 1008.
  package var fragmentCountLimit = 1_024
  /// Bytes that a client may be behind before it is a slow consumer and closed with 1013.
  package var backlogBytesLimit = 64 * 1_024
  /// Bytes that the kernel takes for a connection beyond those that it may send at once.
  ///
  /// Left to itself it takes megabytes for a client that does not read. To fill those of thousands
  /// takes seconds, in which nobody else is served, and all of TCP's memory.
  package var unsentBytesLimit: UInt32 = 128 * 1_024
  /// The same for a client that is too far behind for the first time and not asleep.
  ///
  /// What comes at once, a batch of a thousand for one user say, has to find room before its reader
  /// has had time.
  package var raisedUnsentBytesLimit: UInt32 = 1_024 * 1_024
  /// A client that has read nothing for so long, though there was something to read, is asleep.
  package var zeroWindowMilliseconds: UInt32 = 100
  /// Bytes of a JSON request body; more is answered 413.
  package var bodyBytesLimit = 64 * 1_024
  /// Bytes of the body of a single publish: a notification, and 10,000 ids of its users.
  package var publishBytesLimit = 2 * 1_024 * 1_024
  /// Bytes of an NDJSON batch; more is answered 413.
  package var batchBytesLimit = 8 * 1_024 * 1_024
  /// Lines of an NDJSON batch; more is answered 413.
  package var batchLinesLimit = 10_000
  /// Lines of an NDJSON batch that are for everyone; more is answered 413.
  ///
  /// Each is read once for every session that is open.
  package var batchEveryoneLimit = 100
  /// Bytes of request bodies that a shard holds at once, from their first byte until they are
  /// answered, so also while the store has them; more is answered 503.
  package var bodiesInFlightBytesLimit = 64 * 1_024 * 1_024
  /// Bytes that a response queue holds before the connection's next requests wait.
  package var responseBytesLimit = 64 * 1_024
  /// Bytes of their own that a shard holds for clients that do not take them; past it no page is
  /// read for anyone: 503, and 1013 for a session that resumes.
  package var blockedBytesLimit = 256 * 1_024 * 1_024
  /// Events that the ring holds; a publish into a full ring is answered 503.
  package var ringCapacity = 4_096
  /// Bytes of each frame log of a shard.
  package var frameLogCapacity = 1 << 20
  /// Rooms that one connection may be in; a further one is refused.
  package var roomsPerConnectionLimit = 128
  /// Rooms that there may be at once, shared out evenly among the shards; a further one is refused.
  package var roomsLimit = 100_000
  /// Members of the largest room in which typing and presence are told.
  ///
  /// Each is told to everybody there, so that among n members who come, they alone would be n² / 2
  /// messages.
  package var presenceMembersLimit = 256
  /// Missed notifications that a resuming client is sent; past it the client is told `resync`.
  package var missedLimit = 10_000
  /// Questions to all shards that a shard has under way at once; a further one is answered 503.
  package var shardQueriesLimit = 64
  /// Connections of its own that a user is told of.
  package var listedConnectionsLimit = 1_000
  /// Streams of metrics that a shard serves at once; a further one is answered 503.
  package var metricsStreamsPerShardLimit = 16
  /// Names of clients' programs that a shard keeps to share among its connections; past it they
  /// are gathered anew.
  package var userAgentsLimit = 1_024
  /// Time in which all shards have to answer a question; past it 503.
  package var shardQueryTimeoutMilliseconds: UInt64 = 2_000
  /// Time from a request's first byte to the end of its head; past it 408.
  package var headTimeoutMilliseconds: UInt64 = 10_000
  /// Time from the end of a request's head to the end of its body; past it 408.
  package var bodyTimeoutMilliseconds: UInt64 = 30_000
  /// Time from an upgrade without a token to the message that brings one; past it 1008.
  package var authenticationTimeoutMilliseconds: UInt64 = 10_000
  /// Time that a kept-alive connection may stay without a request.
  package var idleTimeoutMilliseconds: UInt64 = 75_000
  /// Time in which a client that is behind must take a byte.
  package var progressTimeoutMilliseconds: UInt64 = 10_000
  /// Time from our close frame to the end of the connection.
  package var closeTimeoutMilliseconds: UInt64 = 1_000
  /// Time that a drain may take in all before what is left is cut.
  package var drainTimeoutMilliseconds: UInt64 = 10_000
  /// TCP_USER_TIMEOUT of accepted connections: unacknowledged data ends them after this long.
  package var tcpUserTimeoutMilliseconds: UInt32 = 30_000

  /// The defaults.
  package init() {}
}

/// What becomes of a user's session past the limit.
package enum FullUserPolicy: String, Sendable {
  /// It is answered 429, or closed with 1008.
  case reject
  /// It is let in, and the user's oldest is ended.
  case replace
}

/// How much is logged, from least to most.
package enum LogLevel: UInt8, Sendable, Comparable {
  case error, warning, info, debug

  /// The level of that name, as LOG_LEVEL gives it.
  package init?(name: String) {
    switch name.lowercased() {
    case "error": self = .error
    case "warn", "warning": self = .warning
    case "info": self = .info
    case "debug", "trace": self = .debug
    default: return nil
    }
  }

  package static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}
