// The answers of a shard to its requests that waited for a probe.

internal import Delivery
internal import Wire

extension Shard {
  /// Answers the requests of a probe, if it has a verdict.
  func respond(_ verdict: Readiness.Verdict?) {
    guard let verdict else { return }
    for id in verdict.waiting where table.holds(id) { finish(id.slot, verdict.answer) }
  }
}
