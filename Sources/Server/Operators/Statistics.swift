// The numbers of users and connections, and all metrics.

internal import Broadcast
internal import Channels
internal import Notifications
internal import Reactor
internal import Wire

extension Endpoints {
  /// `GET /api/notifications/stats`, as tradepulse's clients know it.
  static func busStats(on shard: Shard) -> Answer {
    stats("total_clients", on: shard)
  }

  /// `GET /api/v1/websocket/connections/stats`, as rooms-hub's clients know it.
  static func connectionStats(on shard: Shard) -> Answer {
    stats("total_connections", on: shard)
  }

  private static func stats(_ name: String, on shard: Shard) -> Answer {
    // This shard's own numbers are current; the others' are from their last turn.
    shard.publishGauges()
    return .object { data in
      data.member("total_users", shard.core.metrics.total(.users))
      data.member(name, shard.core.metrics.total(.sessions))
      data.member("timestamp", time: shard.wall)
    }
  }
}

/// The metrics in Prometheus's text format.
enum MetricsText {
  static func answer(from core: ServerCore) -> Answer {
    Answer(
      response: HTTPResponse(
        status: 200, body: Array(text(from: core).utf8),
        contentType: "text/plain; version=0.0.4; charset=utf-8"),
      status: 200)
  }

  private static func webhookValues(_ webhooks: WebhookMetrics) -> [(String, String, Int)] {
    [
      ("webhook_delivered_total", "counter", webhooks.delivered),
      ("webhook_failed_attempts_total", "counter", webhooks.failed),
      ("webhook_dead_total", "counter", webhooks.dead),
      ("webhook_attempts_in_flight", "gauge", webhooks.inFlight),
    ]
  }

  private static func text(from core: ServerCore) -> String {
    var text = ""
    for counter in Counter.allCases {
      text += "# TYPE carillon_\(counter.name) counter\n"
      for (index, metrics) in core.metrics.enumerated() {
        // guard: metric-names-are-fixed
        text += "carillon_\(counter.name){shard=\"\(index)\"} \(metrics.value(counter))\n"
      }
    }
    for gauge in Gauge.allCases {
      text += "# TYPE carillon_\(gauge.name) gauge\n"
      for (index, metrics) in core.metrics.enumerated() {
        text += "carillon_\(gauge.name){shard=\"\(index)\"} \(metrics.value(gauge))\n"
      }
    }
    appendLatencies(of: core.metrics, to: &text)
    let store = core.store.metrics
    // guard: store-state-in-metrics
    let status = core.store.status
    let quotas = core.quotas.sizes(at: core.kernel.monotonicNanoseconds)
    let values: [(String, String, Int)] =
      [
        ("quota_addresses", "gauge", quotas.addresses),
        ("quota_users", "gauge", quotas.users),
        ("quota_rate_buckets", "gauge", quotas.buckets),
        ("connections_unauthenticated_limit", "gauge", core.fileBudget.strangerLimit),
        ("open_files", "gauge", core.fileBudget.openCount),
        ("open_files_limit", "gauge", core.fileBudget.limit),
        ("ring_depth", "gauge", core.ring.depth),
        ("ring_capacity", "gauge", core.ring.capacity),
        ("store_read_only", "gauge", status.name == "read_only" ? 1 : 0),
        ("store_unavailable", "gauge", status.name == "unavailable" ? 1 : 0),
        ("store_stalled", "gauge", status.name == "stalled" ? 1 : 0),
        ("store_free_bytes", "gauge", store.freeBytes ?? -1),
        ("api_keys", "gauge", store.apiKeys),
        ("store_commits_total", "counter", store.commits),
        ("store_commands_total", "counter", store.commands),
        ("store_stored_total", "counter", store.stored),
        ("store_silent_total", "counter", store.muted),
        ("store_expired_total", "counter", store.expired),
        ("store_displaced_total", "counter", store.evicted),
        ("store_largest_group", "gauge", store.largestGroup),
        ("store_write_queue_depth", "gauge", store.writeQueueDepth),
        ("store_read_queue_depth", "gauge", store.readQueueDepth),
        ("store_reads_total", "counter", store.reads),
        ("store_failed_reads_total", "counter", store.failedReads),
        ("store_refused_commands_total", "counter", store.refusedCommands),
        ("store_log_bytes", "gauge", store.logPages * 4_096),
        ("store_checkpoints_total", "counter", store.checkpoints),
        ("store_unknown_outcomes_total", "counter", store.unknownOutcomes),
        ("store_failed_groups_total", "counter", store.failedGroups),
        ("store_corrupt_rows_total", "counter", store.corruptRows),
        ("store_repairs_total", "counter", store.repairs),
        ("outbox_events_total", "counter", store.outbox.recorded),
        ("outbox_deliveries", "gauge", store.outbox.current),
        ("outbox_overflowed_total", "counter", store.outbox.overflowed),
        ("outbox_evicted_total", "counter", store.outbox.evicted),
      ] + webhookValues(core.webhooks?.metrics ?? WebhookMetrics())
    for (name, kind, value) in values {
      text += "# TYPE carillon_\(name) \(kind)\ncarillon_\(name) \(value)\n"
    }
    return text
  }

  /// One histogram for all shards: one series per bucket is enough, without one per shard.
  private static func appendLatencies(of shards: [ShardMetrics], to text: inout String) {
    let name = "carillon_publish_to_socket_seconds"
    var all = LatencyCounts()
    for shard in shards { all.add(shard.latencies) }
    text += "# TYPE \(name) histogram\n"
    var (done, bucket) = (UInt64(0), 0)
    for exponent in LatencyScale.reportedExponents {
      while bucket < LatencyScale.bucketCount(below: exponent) {
        done &+= all.counts[bucket]
        bucket += 1
      }
      let end = seconds(nanoseconds: 1_000 << exponent)
      text += "\(name)_bucket{le=\"\(end)\"} \(done)\n"
    }
    text += "\(name)_bucket{le=\"+Inf\"} \(all.count)\n"
    text += "\(name)_sum \(seconds(nanoseconds: all.sumNanoseconds))\n"
    text += "\(name)_count \(all.count)\n"
  }

  /// A time in seconds, without trailing zeros but with at least one decimal.
  static func seconds(nanoseconds: Int) -> String {
    let fraction = String(nanoseconds % 1_000_000_000)
    let digits = String(repeating: "0", count: 9 - fraction.count) + fraction
    let end = digits.lastIndex { $0 != "0" }
    let decimals = end.map { digits[...$0] } ?? "0"
    return "\(nanoseconds / 1_000_000_000).\(decimals)"
  }
}
