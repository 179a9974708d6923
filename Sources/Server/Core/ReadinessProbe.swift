// Readiness is proven, not believed: a probe of this server's own goes into the ring and must come
// back out of it.

internal import Broadcast
internal import Notifications
internal import Wire

/// A readiness probe that has not come back.
///
/// One at a time on each shard, whoever asks and however many: anyone may ask, and the ring's room
/// is for publishers.
struct ReadinessProbe {
  let number: UInt64
  let endsAt: UInt64
  /// The requests that it answers.
  var waiting: [ConnectionID] = []
}

extension Shard {
  /// Time that a probe has to come back.
  private static let probeTimeoutMilliseconds: UInt64 = 1_000

  /// Lets the request at `slot` wait for a probe.
  ///
  /// Nil when one is under way, else the answer.
  func sendReadinessProbe(for slot: UInt32) -> Answer? {
    if drain != nil { return .unavailable("draining", "the server is shutting down") }
    if let reason = core.store.failure {
      return .unavailable("read_only", "the store refuses writes: \(reason)")
    }
    if probe == nil {
      lastReadinessProbe &+= 1
      // The shard's number in the low byte: every shard sees every probe, and answers its own.
      let number = lastReadinessProbe << 8 | UInt64(index & 0xFF)
      let event = Event(audience: .everyone, body: .probe(number), timestamp: wall)
      guard offer(event) else { return .unavailable("ring_full", "the ring is full") }
      probe = ReadinessProbe(number: number, endsAt: now + Shard.probeTimeoutMilliseconds)
    }
    probe?.waiting.append(table.id(of: slot))
    return nil
  }

  /// A probe has come out of the ring.
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

  /// Answers the requests of a probe whose time is up.
  func expireReadinessProbe() {
    guard let late = probe, now >= late.endsAt else { return }
    probe = nil
    answer(late, .unavailable("not_ready", "a probe did not come back through the ring"))
  }

  private func answer(_ probe: ReadinessProbe, _ answer: Answer) {
    for id in probe.waiting where table.holds(id) {
      respond(answer, at: id.slot)
      if table.contains(id.slot) { resumeWhenFlushed(id.slot) }
    }
  }
}
