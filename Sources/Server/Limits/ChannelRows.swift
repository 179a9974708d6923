// The bounds of requests to other servers.

internal import Channels
internal import Reactor

extension LimitRows {
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
