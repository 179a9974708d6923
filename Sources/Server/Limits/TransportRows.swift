// The bounds of connections, requests and messages.

internal import Channels
internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

extension LimitRows {
  mutating func addConnections() {
    begin("connections")
    add(
      "addresses to listen on", Configuration.hostLimit, .count, "the server does not start")
    add(
      "shards", Configuration.shardCounts.upperBound, .count, "the server does not start")
    add(
      "connections of a shard", \Limits.connectionsPerShardLimit, .count,
      "a further one is closed at once and counted")
    add(
      "connections of an address or IPv6 /64 network", \Quotas.addressLimit,
      flag: "connections-per-address",
      "a further one is answered 429; a default does not count this machine's own")
    add(
      "new connections of an address", \Quotas.connectRate, flag: "connect-rate",
      "one over it is answered 429; a default does not count this machine's own")
    add(
      "sessions and waiting polls of a user", \Quotas.sessionLimit, flag: "connections-per-user",
      "a further one gets 429 or 1008, or replaces the oldest with --when-user-full replace")
    add(
      "share of the open files for connections without a valid token",
      FileBudget.strangerPercent, .percent,
      "the one that has been idle longest is closed, else a further one is answered 503; "
        + "this machine's own do not count")
    add(
      "open files that are kept free", FileBudget.spareCount, .count,
      "the connection that has been idle longest is closed for a further one; "
        + "a sixteenth of the files if that is less")
    add(
      "idle connections that a walk finds", IdleCandidates.countLimit, .count,
      "a further walk finds the next ones")
    add(
      "idle connections that a shard closes for another one", IdleConnections.foreignCount, .count,
      "the other shard asks again")
    add(
      "rejected connections of a shard", \Limits.rejectedPerShardLimit, .count,
      "a further one is closed without an answer")
    add(
      "rate buckets of addresses, of users, and of publishers", \Limits.rateBucketCountLimit,
      .count, "further ones share one bucket")
    add(
      "each number of a rate", RateLimit.highest, .count, "the server does not start")
    add(
      "header of PROXY protocol version 1", ProxyHeader.lineBytesLimit, .bytes,
      "a longer line is answered 400")
    add(
      "header of PROXY protocol version 2", ProxyHeader.binaryBytesLimit, .bytes,
      "a longer one is answered 400")
    add(
      "time between requests without a token", \Limits.idleTimeoutMilliseconds, .milliseconds,
      "an idle kept-alive connection is closed")
    add(
      "time between requests after one with a token, or of a trusted proxy",
      \Limits.trustedIdleTimeoutMilliseconds, .milliseconds,
      "an idle kept-alive connection is closed")
    add(
      "time for data to be acknowledged", \Limits.tcpUserTimeoutMilliseconds, .milliseconds,
      "the kernel ends the connection (TCP_USER_TIMEOUT)")
    add(
      "pause of a listener", Acceptor.pauseMillisecondsLimit, .milliseconds,
      "while descriptors or memory lack, the listener is tried again")
    add(
      "time from a close frame to the end", \Limits.closeTimeoutMilliseconds, .milliseconds,
      "the connection is closed")
    add(
      "time of a drain", \Limits.drainTimeoutMilliseconds, .milliseconds,
      "the remaining connections are dropped")
  }

  mutating func addRequests() {
    begin("head of a request")
    add(
      "requests of a user", \Quotas.requestRate, flag: "request-rate",
      "one over it gets 429, and no session ends; a default does not count this machine's own")
    add(
      "time for which the refusal of a request over that rate is held",
      \Limits.heldRefusalMilliseconds, .milliseconds,
      "the connection is not read before; with a body it is refused at once, and closed"
    )
    add("method", HTTPRequestHeadParser.methodBytesLimit, .bytes, "answered 400")
    add("target", \HTTPLimits.targetBytes, .bytes, "answered 414")
    add("parameters of a query", QueryString.pairCountLimit, .count, "answered 400")
    add("header fields", \HTTPLimits.fieldCount, .count, "answered 431")
    add("name of a field", \HTTPLimits.fieldNameBytes, .bytes, "answered 431")
    add("value of a field", \HTTPLimits.fieldValueBytes, .bytes, "answered 431")
    add("whole head", \HTTPLimits.headBytes, .bytes, "answered 431")
    add(
      "time from its first byte to its end", \Limits.headTimeoutMilliseconds, .milliseconds,
      "answered 408")
    add("subprotocols", WebSocketHandshake.protocolCountLimit, .count, "answered 400")
    add("Idempotency-Key", IdempotencyKey.byteCountLimit, .bytes, "answered 400")
    add("Stripe-Signature", StripeSignature.fieldByteCountLimit, .bytes, "answered 400")
    add(
      "elements of Stripe-Signature", StripeSignature.elementCountLimit, .count, "answered 400")
    add(
      "tolerated age of Stripe-Signature", StripeSignature.toleranceSeconds, .seconds,
      "answered 400, and so is one so far ahead")
    add(
      "Access-Control-Request-Headers", OriginPolicy.requestedFieldsBytesLimit, .bytes,
      "a longer list gets the fields that the server reads, not those asked for")
    add(
      "Origin that a refusal repeats", OriginPolicy.namedOriginLimit, .bytes,
      "a longer one is not repeated")
    add("User-Agent", UserAgents.byteCountLimit, .bytes, "the rest is not kept")
  }

  mutating func addBodies() {
    begin("body of a request")
    add("JSON body", \Limits.bodyBytesLimit, .bytes, "answered 413")
    add("body of a publish with user_ids", \Limits.publishBytesLimit, .bytes, "answered 413")
    add("batch", \Limits.batchBytesLimit, .bytes, "answered 413")
    add("event of Stripe", \Limits.stripeBytesLimit, .bytes, "answered 413")
    add("lines or notifications of a batch", \Limits.batchLinesLimit, .count, "answered 413")
    add("lines of a batch for everyone", \Limits.batchEveryoneLimit, .count, "answered 413")
    add(
      "publish requests of a user or key", \Quotas.publishRate, flag: "publish-rate",
      "one over it is answered 429")
    add("nesting of JSON", JSONReader.standardDepthLimit, .count, "answered 400")
    add(
      "number with a fraction or an exponent", JSONReader.numberBytesLimit, .bytes, "answered 400")
    add("text of a time", RFC3339.textBytesLimit, .bytes, "answered 422")
    add("digits of a chunk's size", ChunkedBodyDecoder.digitCountLimit, .count, "answered 400")
    add("extensions of a chunk", ChunkedBodyDecoder.extensionBytesLimit, .bytes, "answered 400")
    add(
      "trailers", ChunkedBodyDecoder.trailerLimits.headBytes, .bytes, "answered 431")
    add(
      "fields of the trailers", ChunkedBodyDecoder.trailerLimits.fieldCount, .count, "answered 431")
    add(
      "value of a trailer", ChunkedBodyDecoder.trailerLimits.fieldValueBytes, .bytes, "answered 431"
    )
    add(
      "time from the head to the end of the body", \Limits.bodyTimeoutMilliseconds, .milliseconds,
      "answered 408, unless the body grows steadily")
    add(
      "growth of a body that begins this time again", \Limits.bodyProgressBytes, .bytes,
      "less does not")
    add(
      "bodies of publishers that a shard holds at once", \Limits.publisherBodiesBytesLimit, .bytes,
      "a further one of theirs is answered 503")
    add(
      "bodies of users that a shard holds at once", \Limits.userBodiesBytesLimit, .bytes,
      "a further one of theirs is answered 503")
    add(
      "bodies without a token that a shard holds at once", \Limits.strangerBodiesBytesLimit, .bytes,
      "a further one of theirs is answered 503")
    add(
      "parts of such a share of which a user or address has one", BodiesInFlight.holderShareFactor,
      .count, "a further body of that user or address is answered 503")
    add(
      "queued answers of a connection", \Limits.responseBytesLimit, .bytes,
      "its next requests wait")
    add(
      "unknown member that a refusal names", DocumentParser.shownNameByteCountLimit, .bytes,
      "a longer name is cut")
  }

  mutating func addMessages() {
    begin("messages of a WebSocket client")
    add(
      "message", \Limits.messageBytesLimit, .bytes, flag: "message-bytes", "closed with 1009")
    add("auth message", \Limits.authMessageBytesLimit, .bytes, "closed with 1009")
    add(
      "start that shows an auth message", AuthMessage.headByteCount, .bytes,
      "a message whose auth or token comes later closes with 1009")
    add("frames of a message", \Limits.fragmentCountLimit, .count, "closed with 1008")
    add(
      "payload of a control frame", WebSocketFrame.controlPayloadBytesLimit, .bytes,
      "closed with 1002")
    add(
      "messages, pings and pongs", \Quotas.messageRate, flag: "message-rate",
      "closed with 1008, or answered with an error; a default does not count this machine's own")
    add(
      "bursts in debt of a typed client", TokenBucket.floodFactor, .count, "closed with 1008")
    add(
      "time to send the auth message", \Limits.authenticationTimeoutMilliseconds, .milliseconds,
      "closed with 1008")
    add(
      "bytes of the reason of a disconnect", DisconnectReasons.byteCountLimit, .bytes,
      "answered 422")
  }

  /// The times of each dialect.
  mutating func addHeartbeats() {
    begin("heartbeats")
    for dialect in DialectRegistry.ofUsers {
      add(
        "time between pings, dialect \(dialect.name)",
        dialect.heartbeat.pingIntervalMilliseconds, .milliseconds, "the next ping is sent")
      guard dialect.heartbeat.silenceLimitMilliseconds < .max / 2 else { continue }
      add(
        "silence, dialect \(dialect.name)", dialect.heartbeat.silenceLimitMilliseconds,
        .milliseconds, "closed with 1001")
    }
    add(
      "time between heartbeats that a page sees", Heartbeat.visibleIntervalMilliseconds,
      .milliseconds, "the next one is sent")
  }

  mutating func addSending() {
    begin("sending")
    add(
      "unsent bytes of a client", \Limits.backlogBytesLimit, .bytes, flag: "backlog-bytes",
      "closed with 1013 as a slow consumer")
    add(
      "bytes in the kernel ahead of the wire", \Limits.unsentBytesLimit, .bytes,
      "the rest waits in the server")
    add(
      "bytes in the kernel after a burst", \Limits.raisedUnsentBytesLimit, .bytes,
      "the rest waits in the server")
    add(
      "time in which a client reads nothing", \Limits.zeroWindowMilliseconds, .milliseconds,
      "it is a zero-window peer, and gets no more room after a burst")
    add(
      "time in which a blocked client takes no byte", \Limits.progressTimeoutMilliseconds,
      .milliseconds, "dropped as a slow consumer")
    add(
      "pages, and private bytes for blocked clients, of a shard", \Limits.blockedBytesLimit, .bytes,
      "no page is read: requests are answered 503, resuming sessions closed with 1013")
    add(
      "of these, those of one user's pages", \Limits.userPageBytesLimit, .bytes,
      "the same for this user; less, as others use more")
    add(
      "of these, those of one address's pages", \Limits.addressPageBytesLimit, .bytes,
      "the same for this address; less, as others use more")
    add(
      "of these, those for publishers alone", \Limits.publisherPageBytes, .bytes,
      "users' pages leave them free")
    add(
      "memory reserved for an answer about webhooks", StoreReads.outboxAnswerBytes, .bytes,
      "a further query of a publisher waits")
    add(
      "memory reserved for an answer that is no page", StoreReads.smallAnswerBytes, .bytes,
      "the rest is among the connection's own bytes")
    add(
      "memory reserved for a list of connections", ShardQueries.listBytes, .bytes,
      "a longer list counts once it is made")
    add(
      "body of a page that is copied for its connection", PageMemory.sharedBodyBytes, .bytes,
      "a longer one is sent from one copy for all that asked the same")
    add(
      "ranges of the logs that a blocked client keeps", Delivery.pinnedRangesLimit, .count,
      "its frames are copied")
    add("events in the ring", \Limits.ringCapacity, .count, "a publish is answered 503")
    add(
      "events in the ring, for those of users", \Limits.userEventsLimit, .count,
      "an update of typing or presence is dropped")
    add(
      "events of a full ring that a shard sets aside", \Limits.setAsideEventsLimit, .count,
      "a publish is answered 503, an update of presence or typing is dropped")
    add(
      "fan-out groups of a shard", Delivery.groupCountLimit, .count,
      "a server with more Engine.IO paths does not start")
    add("frame log of a shard", \Limits.frameLogCapacity, .bytes, "the oldest frames are replaced")
    add(
      "frame in a log", Delivery.largestFrameBytes, .bytes,
      "a longer reply is queued for its connection alone")
  }
}
