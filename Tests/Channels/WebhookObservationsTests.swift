// What other threads see of the thread that sends webhooks.

import Notifications
import Testing

@testable import Channels

@Suite("Observations of webhooks")
struct WebhookObservationsTests {
  private static func record(_ number: Int64) -> DeliveredRecord {
    DeliveredRecord(
      sequence: number, messageID: "msg_a_\(number)", type: .userOnline, attempts: 1,
      status: 200, time: number, milliseconds: 1)
  }

  @Test("the newest deliveries are kept, newest first, up to a bound")
  func bound() {
    let observed = WebhookObservations()
    let limit = WebhookLimits.recentCountLimit
    for number in 1...Int64(5 * limit) { observed.note(Self.record(number), of: "wh_1") }
    let recent = observed.recent(of: "wh_1")
    #expect((limit...2 * limit).contains(recent.count))
    #expect(recent.first?.sequence == Int64(5 * limit))
    #expect(recent.map(\.sequence) == recent.map(\.sequence).sorted(by: >))
    #expect(observed.recent(of: "wh_2").isEmpty)
    #expect(observed.metrics.delivered == 5 * limit)
    observed.forget([])
    #expect(observed.recent(of: "wh_1").isEmpty)
  }
}
