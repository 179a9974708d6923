// The deadlines of a connection, and the window in which its one timer may fire.

internal import Delivery
internal import Reactor

extension Connections {
  /// The window of the connection's deadlines.
  func timerWindow(of slot: UInt32) -> TimerWindow {
    var window = TimerWindow()
    if let session = table[slot].engineLink.session {
      // guard: engine-timers-exact
      window.add(session.deadline(of: slot, table[slot].deadline))
    } else {
      window.add(table[slot].deadline, slack: slackOfDeadline(of: slot))
    }
    // A polling session counts as blocked between two polls; pings detect a lost client instead.
    if delivery[slot].flags.contains(.blocked), !delivery[slot].flags.contains(.polling) {
      window.add(
        delivery[slot].progressAt + limits.progressTimeoutMilliseconds,
        slack: TimerWindow.sharedSlack)
    }
    if table[slot].state == .session {
      let heartbeat = encoder(of: slot).dialect.heartbeat
      if !delivery[slot].flags.contains(.blocked), table[slot].engineLink.session == nil {
        window.add(
          table[slot].lastReceivedAt + heartbeat.silenceLimitMilliseconds,
          slack: TimerWindow.sharedSlack)
      }
      if let tokenEnd = tokenEndTime(of: slot) { window.add(tokenEnd) }
    }
    return window
  }

  /// The slack of `deadline` for a connection without an Engine.IO session.
  ///
  /// A client can measure when its poll, its upgrade or its time for a token ends, and a refusal is
  /// held for its time. Heartbeats and
  /// the timeouts that only free what a lost client holds need not be exact.
  private func slackOfDeadline(of slot: UInt32) -> UInt64 {
    let isExact: Bool
    switch table[slot].state {
    case .http:
      isExact =
        table[slot].flags.contains(.awaitsAnswer)
        && table[slot].activity.exchange?.pending?.hasExactDeadline == true
    case .session:
      isExact = table[slot].activity.awaitsToken || table[slot].activity.probe != nil
    case .free, .closing, .lingering, .ended: isExact = false
    }
    // guard: measurable-timers-exact
    // guard: heartbeats-share-wake-ups
    return isExact ? 0 : TimerWindow.sharedSlack
  }

  /// Extends deadlines that expired while this thread was stalled, to the stall grace period's end.
  ///
  /// The peer may have sent or accepted bytes that this thread has not seen yet.
  func extendExpiredDeadlines(of slot: UInt32) {
    // guard: stall-grace-period
    guard clock.isInStallGrace else { return }
    let end = clock.stallGraceUntil
    let progress = limits.progressTimeoutMilliseconds
    delivery.extendProgress(of: slot, to: end - min(end, progress))
    if table[slot].state == .http {
      table[slot].deadline = max(table[slot].deadline, end)
    } else if table[slot].state == .session {
      let silence = encoder(of: slot).dialect.heartbeat.silenceLimitMilliseconds
      table[slot].lastReceivedAt = max(table[slot].lastReceivedAt, end - min(end, silence))
    }
  }
}
