// The metrics that a shard samples, and sends to operators.

extension Shard {
  /// Takes the sample and sends the events of metrics that are due.
  func reportMetrics() {
    guard metricsStreams.isDue || metricsSampler?.isDue == true else { return }
    // Updates this shard's own gauges; the others do so in their turns.
    publishGauges()
    metricsSampler?.sample()
    metricsStreams.send()
  }

  /// Answers the request with a metrics stream.
  func openMetricsStream(_ request: Request) {
    let slot = request.slot
    guard beginStream(request) else { return }
    let group = fanOutGroups.first(
      of: .named(DialectRegistry.metrics.name), .eventStream(answering: request.head))
    life.begin(at: slot, in: group)
    table[slot].user = request.caller.user ?? ""
    table[slot].tokenEnd = request.caller.end
    if case .key(let use) = request.caller.identity { apiKeys.addStream(at: slot, of: use) }
    table[slot].connectedAt = wall
    table[slot].deadline = .max
    connectionLog.began(at: slot)
    connections.scheduleTimer(slot)
    publishGauges()
    metricsStreams.add(slot)
  }
}
