// After a flush: the shard handles what sending has reported, once in each turn.

internal import Delivery

extension Shard {
  /// Ends the connections that sending gave up, sets the timers of those that blocked or no longer
  /// are, and continues the work that waited until everything was sent.
  func settle() {
    while true {
      let report = delivery.takeReport()
      metrics.add(.bytesSent, report.sentByteCount)
      connections.noteFreed(report.freedByteCount)
      for (nanoseconds, count) in report.latencies {
        metrics.addLatency(nanoseconds: nanoseconds, count: count)
      }
      if report.isEmpty { return }
      for id in report.failed where table.holds(id) { connections.drop(id.slot, counting: .resets) }
      for id in report.tooSlow where table.holds(id) { cutSlowConsumer(id.slot) }
      for id in report.blockChanged where table.holds(id) { connections.blockChanged(id.slot) }
      for id in report.packets where table.holds(id) { engine.flushWithoutSocket(id.slot) }
      for id in report.drained where table.holds(id) { sentAll(id.slot) }
    }
  }

  /// Closes a slow consumer with 1013, after the frame already in progress.
  private func cutSlowConsumer(_ slot: UInt32) {
    guard table[slot].state == .session else { return }
    metrics.add(.slowConsumers)
    let dialect = encoder(of: slot).dialect.name
    recorder.note(slowSessionOf: table[slot].user, dialect: dialect)
    life.close(slot, code: 1013, reason: "too far behind, resume with your cursor")
    // Only now: before the close frame, nothing that was published since may be queued.
    // guard: given-up-until-closed
    if table[slot].state == .closing { delivery.allowLastBytes(slot) }
  }
}
