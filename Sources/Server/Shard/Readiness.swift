// Readiness is proven, not assumed: a probe goes through the ring and must come back out of it, and
// the store must be able to commit.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// A readiness probe that has not returned.
///
/// Each shard has at most one, however many requests wait for it: any client may ask, and the
/// ring's room is for publishers.
struct ReadinessProbe {
  let number: UInt64
  let endsAt: UInt64
  /// Whether it has come out of the ring.
  var hasReturned = false
  /// The status that the check of the store found.
  var store: StoreStatus?
  /// The requests that its return answers.
  var waiting: [ConnectionID] = []
}

/// What a shard knows of its readiness.
struct Readiness {
  /// The probe that has not returned.
  var probe: ReadinessProbe?
  var lastNumber: UInt64 = 0
  /// When the check of the store in progress began; nil if there is none.
  var storeCheckBeganAt: UInt64?
}

extension Shard {
  /// Time that a probe has to return, and a check of the store to end.
  static let probeTimeoutMilliseconds: UInt64 = 2_000

  /// Makes the request at `slot` wait for a probe.
  ///
  /// Nil when it waits, else the answer.
  func sendReadinessProbe(for slot: UInt32) -> Answer? {
    if drain.hasBegun { return .unavailable("draining", "the server is shutting down") }
    switch core.store.status {
    // An unavailable store may accept the next write, which only the check can find out.
    case .ready, .unavailable: break
    case .stalled, .readOnly:
      if let refusal = Shard.refusal(for: core.store.status) { return refusal }
    }
    // guard: hung-check-not-repeated
    if let late = lateStoreCheck { return late }
    if readiness.probe == nil {
      readiness.lastNumber &+= 1
      // The shard's number in the low byte: every shard sees every probe, and handles only its own.
      let number = readiness.lastNumber << 8 | UInt64(index & 0xFF)
      let event = Event(audience: .everyone, body: .probe(number), timestamp: wall)
      guard offer(event) else { return .unavailable("ring_full", "the ring is full") }
      readiness.probe = ReadinessProbe(number: number, endsAt: now + Shard.probeTimeoutMilliseconds)
      checkStore()
    }
    readiness.probe?.waiting.append(table.id(of: slot))
    return nil
  }

  /// Handles a probe that came out of the ring.
  func readinessProbeReturned(_ number: UInt64) {
    guard readiness.probe?.number == number else { return }
    readiness.probe?.hasReturned = true
    finishReadinessProbe()
  }

  /// Handles the end of the check of the store.
  func storeChecked(_ status: StoreStatus) {
    readiness.storeCheckBeganAt = nil
    readiness.probe?.store = status
    finishReadinessProbe()
  }

  /// Answers the requests of a probe that has timed out.
  func expireReadinessProbe() {
    guard let expired = readiness.probe, now >= expired.endsAt else { return }
    readiness.probe = nil
    let answer =
      expired.hasReturned
      ? lateStoreCheck : .unavailable("not_ready", "the readiness probe did not return in time")
    self.answer(expired, answer ?? .unavailable("not_ready", "the store's check is late"))
  }

  /// Checks the store for the probe that has just begun.
  ///
  /// No check is in progress: one that outlives its probe is late, and prevents a new probe.
  private func checkStore() {
    readiness.storeCheckBeganAt = now
    let mailbox = mailbox
    core.store.check { mailbox.append(.storeChecked($0)) }
  }

  /// The answer while a check of the store takes longer than a probe may; nil otherwise.
  private var lateStoreCheck: Answer? {
    guard let began = readiness.storeCheckBeganAt, now >= began + Shard.probeTimeoutMilliseconds
    else {
      return nil
    }
    return .unavailable(
      "store_stalled", "the store has not committed the probe for \((now - began) / 1_000) s")
  }

  private func finishReadinessProbe() {
    guard let finished = readiness.probe, finished.hasReturned, let status = finished.store else {
      return
    }
    readiness.probe = nil
    // guard: readiness-needs-the-store
    if let refusal = Shard.refusal(for: status) { return answer(finished, refusal) }
    answer(
      finished,
      .object { data in
        data.member("status", "ready")
        data.member("timestamp", time: wall)
      })
  }

  /// The answer for a store with that status; nil if it is ready.
  private static func refusal(for status: StoreStatus) -> Answer? {
    switch status {
    case .ready: nil
    case .unavailable(let reason): .unavailable("store_unavailable", reason)
    case .stalled: .unavailable("store_stalled", status.reason ?? "")
    case .readOnly(let reason): .unavailable("read_only", reason)
    }
  }

  private func answer(_ probe: ReadinessProbe, _ answer: Answer) {
    for id in probe.waiting where table.holds(id) {
      respond(answer, at: id.slot)
      resumeWhenFlushed(id.slot)
    }
  }
}
