// The ids of webhook messages.

import Notifications
import Testing

@Suite("Ids of webhook messages")
struct OutboxMessageIDTests {
  @Test("an id has the number of its event")
  func roundTrip() {
    for sequence: Int64 in [1, 42, 999_999_999_999_999_999] {
      let id = OutboxMessageID.make(runName: "0a9z", sequence: sequence)
      #expect(OutboxMessageID.sequence(id) == sequence)
    }
  }

  @Test(
    "any other text has none",
    arguments: [
      "", "msg_", "msg_a", "msg_a_", "msg_a_-1", "msg_a_+1", "msg_a_1x", "msg_a_ 1", "MSG_a_1",
      "msg_a_1_", "msg_a_9223372036854775807", "msg_a_1e3", "msg_a_\u{661}",
      "msg_" + String(repeating: "a", count: 60) + "_1",
    ])
  func ids(text: String) {
    #expect(OutboxMessageID.sequence(text) == nil)
  }
}
