// Readiness is proven, not assumed: a probe of this server goes into the ring and must come back
// out of it.

internal import Broadcast
internal import Notifications
internal import Wire

/// A readiness probe that has not returned.
///
/// Each shard has at most one, however many requests wait for it: any client may ask, and the
/// ring's room is for publishers.
struct ReadinessProbe {
  let number: UInt64
  let endsAt: UInt64
  /// The requests that its return answers.
  var waiting: [ConnectionID] = []
}

extension Shard {
  /// Time that a probe has to return.
  private static let probeTimeoutMilliseconds: UInt64 = 1_000

  /// Makes the request at `slot` wait for a probe.
  ///
  /// Nil when it waits, else the answer.
  func sendReadinessProbe(for slot: UInt32) -> Answer? {
    if drain != nil { return .unavailable("draining", "the server is shutting down") }
    if let reason = core.store.failure {
      return .unavailable("read_only", "the store refuses writes: \(reason)")
    }
    if probe == nil {
      lastReadinessProbe &+= 1
      // The shard's number in the low byte: every shard sees every probe, and handles only its own.
      let number = lastReadinessProbe << 8 | UInt64(index & 0xFF)
      let event = Event(audience: .everyone, body: .probe(number), timestamp: wall)
      guard offer(event) else { return .unavailable("ring_full", "the ring is full") }
      probe = ReadinessProbe(number: number, endsAt: now + Shard.probeTimeoutMilliseconds)
    }
    probe?.waiting.append(table.id(of: slot))
    return nil
  }

  /// Handles a probe that came out of the ring.
  func readinessProbeReturned(_ number: UInt64) {
    guard let returned = probe, returned.number == number else { return }
    probe = nil
    answer(
      returned,
      .object { data in
        data.member("status", "ready")
        data.member("timestamp", time: wall)
      })
  }

  /// Answers the requests of a probe that has timed out.
  func expireReadinessProbe() {
    guard let expired = probe, now >= expired.endsAt else { return }
    probe = nil
    answer(expired, .unavailable("not_ready", "the readiness probe did not return in time"))
  }

  private func answer(_ probe: ReadinessProbe, _ answer: Answer) {
    for id in probe.waiting where table.holds(id) {
      respond(answer, at: id.slot)
      if table.contains(id.slot) { resumeWhenFlushed(id.slot) }
    }
  }
}
