// The bounds of requests to other servers.

internal import Channels
internal import Notifications
internal import Reactor
internal import Storage

extension LimitRows {
  mutating func addWebhooks() {
    begin("webhooks")
    add("webhooks", WebhookEndpoint.countLimit, .count, "a further one is answered 409")
    add("URL of a webhook", WebhookEndpoint.urlByteCountLimit, .bytes, "it is answered 422")
    add(
      "description of a webhook", WebhookEndpoint.descriptionByteCountLimit, .bytes,
      "it is answered 422")
    add(
      "time for which a rotated secret is valid", WebhookEndpoint.overlapMilliseconds,
      .milliseconds, "it signs no longer")
    add(
      "longest setting of it", WebhookEndpoint.overlapMillisecondsLimit, .milliseconds,
      "it is answered 422")
    add(
      "deliveries of one webhook", OutboxLimits.destinationLimit, .count,
      "a further one is not recorded, and counted")
    add(
      "deliveries of all webhooks", OutboxLimits.totalLimit, .count,
      "a further one is not recorded, and counted")
    add(
      "dead deliveries of one webhook", OutboxLimits.deadLimit, .count, "the oldest is deleted")
    add(
      "deliveries that one replay sends again", StoreLimits.replayLimit, .count,
      "the answer says that there are more")
    add(
      "ids of one replay", WebhookFields.idCountLimit, .count, "it is answered 422")
    add(
      "deliveries of a page", Endpoints.deliveriesPageLimit, .count, "the rest is on the next one")
    add(
      "deliveries of a page by default", Endpoints.standardDeliveriesPageLimit, .count,
      "the rest is on the next one")
    add(
      "deliveries of deleted webhooks in one transaction", StoreLimits.sweptDeliveriesLimit,
      .count, "the rest follows")
    add(
      "ids in one event", StoreLimits.eventIDCountLimit, .count, "a further event has the rest")
    add(
      "events of a shard that wait for the store", EventRecorder.eventsLimit, .count,
      "a further one is lost, and counted")
    add("of these, those of one command", EventRecorder.commandLimit, .count, "the rest follows")
    add(
      "attempts in flight at one webhook", WebhookLimits.endpointInFlightLimit, .count,
      "a further one waits")
    add(
      "the same at one that keeps failing", WebhookLimits.endpointInFlightMinimum, .count,
      "a further one waits")
    add(
      "attempts in flight at all webhooks, above these", WebhookLimits.sharedInFlightLimit, .count,
      "a further one waits")
    add("deliveries read at once", WebhookLimits.pageRowsLimit, .count, "the rest is read later")
    add("results saved at once", WebhookLimits.settledRowsLimit, .count, "the rest is saved later")
    add(
      "results that wait to be saved", WebhookLimits.unsettledRowsLimit, .count, "no attempt begins"
    )
    add(
      "time for one attempt", WebhookLimits.attemptMilliseconds, .milliseconds, "the attempt fails")
    add(
      "succeeded deliveries of a webhook in memory", WebhookLimits.recentCountLimit, .count,
      "the oldest are forgotten")
  }

  mutating func addOutgoing() {
    begin("requests to other servers")
    add("URL of another server", Destination.bytesLimit, .bytes, "it is refused")
    add(
      "requests in flight to other servers", OutgoingLimits.transferCountLimit, .count,
      "a further one waits")
    add(
      "connections to one host and port", OutgoingLimits.hostConnectionCountLimit, .count,
      "a further request waits for one of them")
    add(
      "connections kept to other servers", OutgoingLimits.idleConnectionCountLimit, .count,
      "the one that was used longest ago is closed")
    add(
      "time to connect to another server", OutgoingLimits.connectMilliseconds, .milliseconds,
      "the request fails")
    add(
      "time from a request to the end of its answer", OutgoingLimits.totalMilliseconds,
      .milliseconds, "the request fails")
    add(
      "longest setting of it", OutgoingLimits.longestTotalMilliseconds, .milliseconds,
      "the request has this time")
    add(
      "head of another server's answer", OutgoingLimits.headBytesLimit, .bytes,
      "the request fails")
    add(
      "body of another server's answer", OutgoingLimits.bodyBytesLimit, .bytes,
      "the connection is closed, and the status counts")
    add(
      "bytes of that body that are kept", OutgoingLimits.keptBodyBytes, .bytes,
      "the rest is dropped")
    add(
      "longest Retry-After", OutgoingLimits.retryAfterSecondsLimit, .seconds,
      "a longer one counts as this")
    add(
      "delays of a retry schedule", RetrySchedule.delayCountLimit, .count, "it is refused")
    add(
      "longest delay of a retry schedule", RetrySchedule.longestDelaySeconds, .seconds,
      "it is refused")
    add(
      "key of a webhook's secret", WebhookSecret.keyByteCounts.upperBound, .bytes,
      "it is refused")
    add(
      "lookups of names that wait", OutgoingLimits.lookupCountLimit, .count, "the request fails")
    add("addresses of a name", HostLookup.addressCountLimit, .count, "the rest is not used")
    add(
      "names with cached addresses", OutgoingLimits.cachedNameCountLimit, .count,
      "the one that ends first is forgotten")
    add(
      "time for which a name's addresses are used", OutgoingLimits.nameMilliseconds,
      .milliseconds, "it is looked up again")
    add(
      "time until a name that did not resolve is looked up again",
      OutgoingLimits.failedNameMilliseconds, .milliseconds, "it is looked up again")
  }
}
