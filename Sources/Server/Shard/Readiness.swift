// Readiness is proven, not assumed: a probe goes through the ring and must come back out of it, and
// the store must be able to commit.
//
// A shard has at most one probe at a time, however many requests wait for it: any client may send
// them, and the ring's room is for publishers.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// The readiness of one shard's part of the server, and the requests that wait for its proof.
///
/// Invariant: a pending probe has waiting requests, and it has not returned or its check of the
/// store has not ended. At most one check is in progress, also if it outlives its probe.
final class Readiness: ShardComponent {
  /// Time that a probe has to return, and a check of the store to end.
  static let probeTimeoutMilliseconds: UInt64 = 2_000

  /// The result of a probe: one answer to all requests that waited for it.
  struct Verdict {
    let answer: Answer
    let waiting: [ConnectionID]
  }

  /// A probe without a verdict.
  private struct Probe {
    let number: UInt64
    let endsAt: UInt64
    /// Whether it has come out of the ring.
    var hasReturned = false
    /// The status that the check of the store found.
    var store: StoreStatus?
    var waiting: [ConnectionID] = []
  }

  let context: ShardContext
  private let drain: Drain
  private var probe: Probe?
  private var lastNumber: UInt64 = 0
  /// When the check of the store in progress began; nil if there is none.
  private var storeCheckBeganAt: UInt64?

  init(_ context: ShardContext, drain: Drain) {
    self.context = context
    self.drain = drain
  }

  /// Makes the request at `slot` wait for a probe, which `offer` puts into the ring.
  ///
  /// Nil when it waits, else the answer.
  func begin(for slot: UInt32, offer: (Event) -> Bool) -> Answer? {
    if drain.hasBegun { return .unavailable("draining", "the server is shutting down") }
    switch core.store.status {
    // An unavailable store may accept the next write, which only the check can find out.
    case .ready, .unavailable: break
    case .stalled, .readOnly:
      if let refusal = Readiness.refusal(for: core.store.status) { return refusal }
    }
    // guard: hung-check-not-repeated
    if let late = lateStoreCheck { return late }
    // guard: one-probe-for-all
    if probe == nil {
      lastNumber &+= 1
      // The shard's number in the low byte: every shard sees every probe, and handles only its own.
      let number = lastNumber << 8 | UInt64(index & 0xFF)
      let event = Event(audience: .everyone, body: .probe(number), timestamp: wall)
      guard offer(event) else { return .unavailable("ring_full", "the ring is full") }
      probe = Probe(number: number, endsAt: now + Readiness.probeTimeoutMilliseconds)
      checkStore()
    }
    probe?.waiting.append(table.id(of: slot))
    return nil
  }

  /// Takes a probe that came out of the ring, of this shard or another.
  func returned(_ number: UInt64) -> Verdict? {
    guard probe?.number == number else { return nil }
    probe?.hasReturned = true
    return finish()
  }

  /// Takes the result of the check of the store.
  func storeChecked(_ status: StoreStatus) -> Verdict? {
    storeCheckBeganAt = nil
    probe?.store = status
    return finish()
  }

  /// Ends the probe if it has timed out.
  func expire() -> Verdict? {
    // guard: readiness-has-a-deadline
    guard let expired = probe, now >= expired.endsAt else { return nil }
    probe = nil
    let answer =
      expired.hasReturned
      ? lateStoreCheck : .unavailable("not_ready", "the readiness probe did not return in time")
    return Verdict(
      answer: answer ?? .unavailable("not_ready", "the store's check is late"),
      waiting: expired.waiting)
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    guard let probe else { return }
    assert(!probe.waiting.isEmpty, "a probe without a request")
    assert(!probe.hasReturned || probe.store == nil, "a probe whose verdict is due")
    assert(storeCheckBeganAt != nil || probe.store != nil, "a probe without a check")
  }

  /// Checks the store for the probe that has just begun.
  ///
  /// No check is in progress: one that outlives its probe is late, and prevents a new probe.
  private func checkStore() {
    storeCheckBeganAt = now
    let mailbox = mailbox
    core.store.check { mailbox.append(.storeChecked($0)) }
  }

  /// The answer while a check of the store takes longer than a probe may; nil otherwise.
  private var lateStoreCheck: Answer? {
    guard let began = storeCheckBeganAt, now >= began + Readiness.probeTimeoutMilliseconds else {
      return nil
    }
    return .unavailable(
      "store_stalled", "the store has not committed the probe for \((now - began) / 1_000) s")
  }

  /// Ends the probe if it has returned and the check of the store has ended.
  private func finish() -> Verdict? {
    guard let finished = probe, finished.hasReturned, let status = finished.store else {
      return nil
    }
    probe = nil
    // guard: readiness-needs-the-store
    if let refusal = Readiness.refusal(for: status) {
      return Verdict(answer: refusal, waiting: finished.waiting)
    }
    let ready = Answer.object { data in
      data.member("status", "ready")
      data.member("timestamp", time: wall)
    }
    return Verdict(answer: ready, waiting: finished.waiting)
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
}
