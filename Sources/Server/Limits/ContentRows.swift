// The bounds of sessions, rooms, notifications and tokens.

internal import Channels
internal import Notifications
internal import Tokens
internal import Wire

extension LimitRows {
  mutating func addResuming() {
    begin("resuming and polling")
    add(
      "missed notifications", \Limits.missedLimit, .count, "the client gets resync instead")
    add(
      "epoch of a cursor", Cursor.epochLimit, .bytes, "it is no cursor: the client gets resync")
    add(
      "incarnation of a cursor", Cursor.incarnationLimit, .bytes,
      "it is no cursor: the client gets resync")
    add(
      "notifications of a page for a resuming client", SessionReads.pageLimit, .count,
      "further pages follow")
    add(
      "bytes of such a page as frames", SessionReads.missedBytesLimit, .bytes,
      "a resuming client may be so far behind in addition to its backlog")
    add(
      "reads of a shard for everyone", CatchUps.readLimit, .count,
      "further sessions wait for their turn")
    add(
      "pause of these reads", CatchUps.pauseMilliseconds,
      .milliseconds, "they are tried again, after the store's queue was full")
    add(
      "ids of expired notifications for a session", SessionReads.expiredLimit, .count,
      "closed with 1013")
    add("notifications in the answer to a poll", Poll.pageLimit, .count, "the next poll has more")
    add("wait of a poll", Endpoints.longestWait, .seconds, "answered 422")
  }

  mutating func addRooms() {
    begin("rooms and presence")
    add(
      "name of a room", RoomNames.byteCountLimit, .bytes,
      "answered 422, 400 in a query, or an error")
    add(
      "rooms of a connection", \Limits.roomsPerConnectionLimit, .count, "a further one is refused")
    add(
      "rooms that one user holds", \Quotas.roomLimit, flag: "rooms-per-user",
      "it opens no further one; a default does not count this machine's own")
    add(
      "members asked to take on a room", RoomShares.candidatesLimit, .count,
      "with none below the limit, it counts for the user that left")
    add("rooms in a query", RoomQuery.countLimit, .count, "answered 400")
    add(
      "rooms of the server", \Limits.roomsLimit, .count,
      "a further one is refused; divided evenly among the shards")
    add(
      "members in the answer to a client that joins", RoomOwner.namedMembersLimit, .count,
      "further ones are left out")
    add(
      "members in an answer to a program", RoomMembers.largestLimit, .count,
      "the call fails")
    add(
      "members of a room with typing and presence", \Limits.presenceMembersLimit, .count,
      "a larger room has neither")
    add(
      "departures from rooms that are remembered", RoomOwner.departuresLimit, .count,
      "a return is sent to all members of its room")
    add(
      "time for which a member counts as typing", RoomOwner.typingMilliseconds, .milliseconds,
      "the typing ends")
    add(
      "time between updates of a member's typing", TypingPaces.changeMilliseconds, .milliseconds,
      "the latest state is sent at its end")
    add(
      "members of a shard's rooms with such an update", TypingPaces.countLimit, .count,
      "a further start of typing is not sent")
    add(
      "time between renewals of typing", RoomOwner.typingRenewalMilliseconds, .milliseconds,
      "an earlier one is ignored")
    add(
      "time of a user online without a connection", UserOwner.graceMilliseconds,
      .milliseconds, "the user is offline")
    add(
      "time between updates of a user's presence in a room", PresenceTracker.changeMilliseconds,
      .milliseconds, "the latest state is sent at its end")
    add(
      "lost presence updates that a shard keeps", RoomOwner.lostUpdatesLimit, .count,
      "a further one is not sent again")
    add(
      "time after which a lost presence update is sent again", RoomOwner.lostUpdateMilliseconds,
      .milliseconds, "it is sent again")
    add(
      "presence updates with known receivers", PresenceReceipts.updateCountLimit,
      .count, "a client in several rooms may get an older one twice")
    add(
      "step of the deadlines of typing and presence", Shard.ownerStepMilliseconds, .milliseconds,
      "they are handled so much later at most")
  }

  mutating func addNotifications() {
    begin("notifications")
    add("user id", UserIDs.byteCountLimit, .bytes, "answered 422")
    add("users of a publish", Draft.userCountLimit, .count, "answered 422")
    add("type", Draft.typeByteCountLimit, .bytes, "answered 422")
    add("title", Draft.titleByteCountLimit, .bytes, "answered 422")
    add("message", Draft.messageByteCountLimit, .bytes, "answered 422")
    add("data or payload", Draft.dataByteCountLimit, .bytes, "answered 422")
    add("entity_type", Draft.entityTypeByteCountLimit, .bytes, "answered 422")
    add("entity_id", Draft.entityIDByteCountLimit, .bytes, "answered 422")
    add("group_key", Draft.groupKeyByteCountLimit, .bytes, "answered 422")
    add("entity_url, or the URL of an action", Draft.urlByteCountLimit, .bytes, "answered 422")
    add("actions", Draft.actionCountLimit, .count, "answered 422")
    add("label of an action", Draft.labelByteCountLimit, .bytes, "answered 422")
    add("id of a payment", PaymentRules.idByteCountLimit, .bytes, "answered 422")
    add(
      "amount of a payment, with either sign", PaymentRules.numbers.upperBound, .count,
      "answered 422")
    add(
      "message of Stripe about a card", StripeObject.textByteCountLimit, .bytes,
      "the notification does not repeat it")
    add("document of preferences", Preferences.documentByteCountLimit, .bytes, "answered 422")
    add("rules of preferences", Preferences.ruleCountLimit, .count, "answered 422")
    add(
      "UTC offset of quiet hours", QuietHours.utcOffsetLimit, .minutes, "answered 422")
    add("name of a time zone", TimeZoneTable.nameByteCountLimit, .bytes, "answered 422")
    add(
      "zone file", TimeZoneRules.fileByteCountLimit, .bytes, "its zone is unknown")
    add("time zones", TimeZoneTable.countLimit, .count, "further ones are unknown")
    add("bytes of all zone files", TimeZoneFiles.bytesLimit, .bytes, "further ones are unknown")
    add(
      "entries of a directory of zone files", TimeZoneFiles.entryCountLimit, .count,
      "further ones are unknown")
    add(
      "depth of directories of zone files", TimeZoneFiles.depthLimit, .count,
      "deeper ones are unknown")
  }

  mutating func addInboxes() {
    begin("inbox")
    add(
      "notifications of a page", StoreQuery.pageLimit, .count,
      "422; an inbox client gets as many")
    add("ids of a change", InboxChange.idCountLimit, .count, "answered 422, or an error")
    add(
      "time until an expired notification is removed", StoreWatch.sweepMilliseconds, .milliseconds,
      "the removal begins")
    add(
      "time for the store to answer", \Limits.storeTimeoutMilliseconds, .milliseconds,
      "answered 504 for a command, 503 for a query")
  }

  mutating func addTokens() {
    begin("tokens")
    add("token", TokenVerifier.tokenBytesLimit, .bytes, "answered 401")
    add("scopes and roles, or audiences", TokenVerifier.nameCountLimit, .count, "answered 401")
    add("rooms", TokenVerifier.roomCountLimit, .count, "answered 401")
    add("user id", UserIDs.byteCountLimit, .bytes, "answered 401")
    add(
      "tokens of an address with a wrong signature", \Quotas.badTokenRate, flag: "bad-token-rate",
      "no token of the address is verified: 429, or the session ends; a default does not count "
        + "this machine's own")
    add(
      "text of public keys", KeyDocument.bytesLimit, .bytes,
      "the server does not start, or keeps the keys that it has")
    add(
      "public keys of a text", KeyDocument.keyCountLimit, .count,
      "the server does not start, or keeps the keys that it has")
    add(
      "public keys of one algorithm and id", KeyDocument.alikeCountLimit, .count,
      "the server does not start, or keeps the keys that it has")
    add("URL of a set of keys", Destination.bytesLimit, .bytes, "the server does not start")
    add(
      "time for a fetch of a set of keys", KeySetRefresher.fetchMilliseconds, .milliseconds,
      "the keys that are there stay in use")
    add(
      "time for which a start waits for a set of keys", KeySetRefresher.startMilliseconds,
      .milliseconds,
      "the server starts without it")
    add(
      "time of a set of keys without max-age", KeySetSchedule.standardLifetimeSeconds, .seconds,
      "the set is fetched again, after four fifths of it")
    add(
      "shortest time of a set of keys", KeySetSchedule.shortestLifetimeSeconds, .seconds,
      "a shorter max-age counts as this")
    add(
      "longest time of a set of keys", KeySetSchedule.longestLifetimeSeconds, .seconds,
      "a longer max-age counts as this")
    add(
      "time between fetches for unknown keys", KeySetSchedule.unknownKeyMilliseconds, .milliseconds,
      "a further one waits; its tokens are answered 401")
    add(
      "time between reports of unknown keys, of a shard",
      Authenticator.unknownKeyReportMilliseconds, .milliseconds,
      "a further one is not reported")
    add(
      "time after a first failed fetch of keys", KeySetSchedule.firstRetryMilliseconds,
      .milliseconds,
      "the set is fetched again; doubles with each failure")
    add(
      "longest time after a failed fetch of keys", KeySetSchedule.longestRetryMilliseconds,
      .milliseconds,
      "the set is fetched again")
    addLeeway(
      "tolerated difference of clocks", flag: "jwt-leeway", "the token is expired or not yet valid")
    add(
      "largest setting of it", TokenPolicy.leeways.upperBound, .seconds, "the server does not start"
    )
    add(
      "secrets of Stripe", StripeSignature.secretCountLimit, .count, "the server does not start")
    add(
      "secret of Stripe, at least", Configuration.stripeSecretMinimum, .bytes,
      "the server does not start")
  }

  mutating func addAPIKeys() {
    begin("API keys")
    add("API keys", APIKey.countLimit, .count, "ended ones are removed, else answered 409")
    add("name of an API key", APIKey.nameByteCountLimit, .bytes, "answered 422")
    add("types of an API key", APIRights.typeCountLimit, .count, "answered 422")
    add("overlap of two secrets", APIKey.longestOverlapSeconds, .seconds, "answered 422")
    add(
      "time for which an ended API key is kept", APIKey.keptMilliseconds, .milliseconds,
      "it is removed")
    add("API keys of a page", APIKeyPage.limit, .count, "answered 422")
    add(
      "memory reserved for a page of API keys", StoreReads.keyPageBytes, .bytes,
      "no page is longer")
    add(
      "precision of the last use of an API key", APIKeys.useMilliseconds, .milliseconds,
      "the next time is written")
    add(
      "time between writes of last uses", APIKeys.writeMilliseconds, .milliseconds,
      "the next ones are written")
  }

  mutating func addEngine(_ engine: EnginePath) {
    let settings = engine.settings
    begin("Engine.IO and Socket.IO at \(engine.path)")
    add(
      "message", \EngineSettings.messageBytesLimit, of: settings, .bytes, "the session ends")
    add(
      "posted body", \EngineSettings.bodyBytesLimit, of: settings, .bytes,
      "answered 413, and the session ends")
    add(
      "posted body before a namespace", \EngineSettings.firstBodyBytesLimit, of: settings, .bytes,
      "answered 413, and the session ends")
    add(
      "time between pings", \EngineSettings.pingIntervalMilliseconds, of: settings,
      .milliseconds, flag: "socketio-ping-interval", "the next ping is sent")
    add(
      "time to answer a ping", \EngineSettings.pingTimeoutMilliseconds, of: settings,
      .milliseconds, flag: "socketio-ping-timeout", "the session ends")
    add(
      "time for an upgrade", \EngineSettings.upgradeTimeoutMilliseconds, of: settings,
      .milliseconds, "the new connection is closed with 1000, the session goes on")
    add(
      "time to connect to a namespace", \EngineSettings.connectTimeoutMilliseconds, of: settings,
      .milliseconds, "the session ends")
    add(
      "packets in the answer to a poll", EngineSessions.packetsPerPoll, .count,
      "the next poll has more")
    add("name of a namespace", SocketIOPacket.namespaceBytesLimit, .bytes, "the session ends")
    add("attachments of a packet", SocketIOPacket.attachmentCountLimit, .count, "the session ends")
    add(
      "time for a packet's attachments", PendingAssembly.timeoutMilliseconds, .milliseconds,
      "the session ends")
    add("nesting of JSON", SocketIOPacket.depthLimit, .count, "the session ends")
    add(
      "id of an acknowledgement", SocketIOPacket.acknowledgementIDLimit, .count,
      "the session ends")
    add(
      "acknowledgements and delays awaited", PendingAcknowledgements.countLimit, .count,
      "the application gets no acknowledgement")
    add(
      "since of a connect", SocketIOSession.sinceBytesLimit, .bytes,
      "it is no cursor: the client gets resync")
  }
}
