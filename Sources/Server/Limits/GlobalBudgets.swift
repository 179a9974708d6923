// The budgets that many callers share: memory, files, queues and slots.
//
// A budget is first come, first served within the share of a class of callers, so a class cannot
// use up what another one needs. The sizes are bounds of `LimitTable`. A row names them, so the
// table of budgets cannot differ from the table of bounds, and tests find a shared bound that no
// row names.
//
// To add a budget: add its bounds to `LimitTable`, a row here, and the same row to the article
// about configuration. The test `GlobalBudgetTests` prints the row if it is missing there.

/// A budget that many callers share.
struct GlobalBudget {
  let name: String
  /// The names of the bounds in `LimitTable` that give its size and the sizes of its shares.
  let bounds: [String]
  /// The callers that may use it, and the share of each class of them.
  let shares: String
  /// The effect when it, or a share of it, is used up.
  let end: String

  init(_ name: String, bounds: [String], shares: String, end: String) {
    self.name = name
    self.bounds = bounds
    self.shares = shares
    self.end = end
  }

  /// Its row in the article: the sizes are those without any setting.
  func row(of entries: [LimitEntry]) -> String {
    let sizes = bounds.map { name in
      entries.first { $0.name == name }.map(\.standard.text) ?? "no bound \(name)"
    }
    return "| \(name) | \(sizes.joined(separator: ", ")) | \(shares) | \(end) |"
  }

  /// All budgets of a server, in the order of a message's path.
  static let all =
    connections + requests + delivery + rooms + webhooks + outgoing + operators
    + store

  private static let webhooks: [GlobalBudget] = [
    GlobalBudget(
      "webhooks", bounds: ["webhooks"], shares: "publishers, all of it",
      end: "a further one is answered 409"),
    GlobalBudget(
      "deliveries to webhooks",
      bounds: [
        "deliveries of all webhooks", "deliveries of one webhook", "dead deliveries of one webhook",
      ],
      shares: "every webhook; one has at most the second number, of which dead ones the third",
      end: "a further one is not recorded, and counted; of dead ones the oldest is deleted"),
    GlobalBudget(
      "attempts at webhooks",
      bounds: [
        "attempts in flight at all webhooks, above these", "attempts in flight at one webhook",
        "the same at one that keeps failing",
      ],
      shares: "each webhook has the third number of its own, and up to the second half of those "
        + "that are free",
      end: "a further attempt waits"),
    GlobalBudget(
      "results of attempts", bounds: ["results that wait to be saved"], shares: "every webhook",
      end: "no attempt begins"),
    GlobalBudget(
      "events for webhooks of a shard", bounds: ["events of a shard that wait for the store"],
      shares: "every user and room", end: "a further one is lost, and counted"),
  ]

  private static let connections: [GlobalBudget] = [
    GlobalBudget(
      "connections of a shard", bounds: ["connections of a shard"],
      shares: "every caller; those without a token have a share of the files alone",
      end: "a further one is closed at once and counted"),
    GlobalBudget(
      "open files of the process",
      bounds: [
        "share of the open files for connections without a valid token",
        "open files that are kept free",
      ],
      shares: "callers without a token the first share, callers with one all but the spare ones",
      end: "the connection of the shard that has been idle longest is closed, without a token "
        + "first; if none is idle a further one without a token is answered 503, and others wait"),
    GlobalBudget(
      "rejected connections of a shard", bounds: ["rejected connections of a shard"],
      shares: "callers over a limit, all of it", end: "a further one is closed without an answer"),
    GlobalBudget(
      "rate buckets", bounds: ["rate buckets of addresses, of users, and of publishers"],
      shares: "addresses, users and publishers have a table of this size each",
      end: "further ones share one bucket"),
    GlobalBudget(
      "user agents of a shard", bounds: ["user agents that a shard keeps"],
      shares: "every caller", end: "the table starts over; no caller is refused"),
  ]

  private static let requests: [GlobalBudget] = [
    GlobalBudget(
      "bytes of request bodies of a shard",
      bounds: [
        "bodies of publishers that a shard holds at once",
        "bodies of users that a shard holds at once",
        "bodies without a token that a shard holds at once",
        "parts of such a share of which a user or address has one",
      ],
      shares: "publishers, users and callers without a token have one each; one user, and one "
        + "address without a token, has a part of it",
      end: "a further body from a caller of the same share is answered 503")
  ]

  private static let delivery: [GlobalBudget] = [
    GlobalBudget(
      "pages, and private bytes for blocked clients, of a shard",
      bounds: [
        "pages, and private bytes for blocked clients, of a shard",
        "of these, those of one user's pages", "of these, those of one address's pages",
        "of these, those for publishers alone",
      ],
      shares: "one user and one address have at most their part, and less as others use more; "
        + "publishers have the last part alone",
      end: "no page is read for the holder of that share: requests are answered 503, resuming "
        + "sessions closed with 1013"),
    GlobalBudget(
      "events in the ring",
      bounds: [
        "events in the ring", "events in the ring, for those of users",
        "events of a full ring that a shard sets aside",
      ],
      shares: "publishers and the store all of it, typing and presence the second number",
      end: "a publish is answered 503, an update of presence or typing is dropped"),
    GlobalBudget(
      "reads of a shard for everyone", bounds: ["reads of a shard for everyone"],
      shares: "every session once", end: "further sessions wait for their turn"),
  ]

  private static let rooms: [GlobalBudget] = [
    GlobalBudget(
      "rooms of the server", bounds: ["rooms of the server", "rooms that one user holds"],
      shares: "every user; one user holds a part of them, and enters all that have members",
      end: "a further room is refused"),
    GlobalBudget(
      "updates of typing of a shard", bounds: ["members of a shard's rooms with such an update"],
      shares: "every user, one update for each of its rooms",
      end: "a further start of typing is not sent"),
    GlobalBudget(
      "presence updates with known receivers", bounds: ["presence updates with known receivers"],
      shares: "every user", end: "a client in several rooms may get an older one twice"),
    GlobalBudget(
      "lost presence updates", bounds: ["lost presence updates that a shard keeps"],
      shares: "every user, one for each of its rooms", end: "a further one is not sent again"),
    GlobalBudget(
      "remembered departures", bounds: ["departures from rooms that are remembered"],
      shares: "every user", end: "a return is sent to all members of its room"),
  ]

  private static let outgoing: [GlobalBudget] = [
    GlobalBudget(
      "requests to other servers",
      bounds: [
        "requests in flight to other servers", "connections to one host and port",
        "connections kept to other servers",
      ],
      shares: "every destination; one host and port has as many connections as the second number",
      end: "a further one waits"),
    GlobalBudget(
      "names of other servers",
      bounds: ["lookups of names that wait", "names with cached addresses"],
      shares: "every destination",
      end: "the request fails, and can be repeated; the addresses that end first are forgotten"),
  ]

  private static let operators: [GlobalBudget] = [
    GlobalBudget(
      "queries of a shard to all shards",
      bounds: ["queries of a shard to all shards", "publishers' queries that wait for that"],
      shares: "users have half of them, and one at a time each; publishers have seven eighths",
      end: "a further one waits; one of a publisher is answered 503 when that many wait"),
    GlobalBudget(
      "lines of the log", bounds: ["lines of the log in a second"],
      shares: "every caller that causes one", end: "further ones are left out and counted"),
    GlobalBudget(
      "metrics streams of a shard", bounds: ["metrics streams of a shard"],
      shares: "publishers, all of it", end: "a further one is answered 503"),
  ]

  private static let store: [GlobalBudget] = [
    GlobalBudget(
      "commands of the store",
      bounds: ["commands in the queue", "commands in the queue, for those of users"],
      shares: "publishers all of them, users the second number",
      end: "a further one is answered 503"),
    GlobalBudget(
      "changes of whole inboxes",
      bounds: ["changes of whole inboxes under way", "such changes of one user"],
      shares: "users; one user has a part of them",
      end: "a further one is answered 503, one of the same user 429"),
    GlobalBudget(
      "rows that are no notifications",
      bounds: ["idempotency keys of a publisher", "sessions of a user whose rooms are kept"],
      shares: "each publisher has that many keys, each user that many kept sessions",
      end: "a publish with a further key is answered 429; "
        + "the session that ends first is forgotten"),
    GlobalBudget(
      "API keys", bounds: ["API keys"], shares: "administrators, all of them",
      end: "ended keys make room; a further one is answered 409"),
    GlobalBudget(
      "disk", bounds: ["pages of the write-ahead log", "free bytes of the disk, at least"],
      shares: "every command",
      end: "commands wait for the copy into the file; with less free, /readyz answers 503"),
    GlobalBudget(
      "notifications for everyone", bounds: ["notifications for everyone"],
      shares: "publishers, all of it", end: "the oldest is removed"),
    GlobalBudget(
      "queries of a shard to the store",
      bounds: [
        "queries of a shard in the queues of the readers",
        "the part of users, and that of publishers",
      ],
      shares: "users and publishers have a part each, and turns of their own; each user has one "
        + "at a time",
      end: "a further one waits for its turn"),
    GlobalBudget(
      "queries of the store, for each reader",
      bounds: ["readers", "queries in the queue of a reader"],
      shares: "shards, as many as their queries to the store",
      end: "a further one is answered 503"),
    GlobalBudget(
      "memory of a reader",
      bounds: ["preferences cached by a reader", "users whose comparison a reader remembers"],
      shares: "every user", end: "the cache starts over; no caller is refused"),
    GlobalBudget(
      "recounts", bounds: ["recounts under way"], shares: "the server itself",
      end: "a further one begins when its damage is found again"),
  ]
}
