// The error that a caller gets for each outcome of the store.

import Notifications
import Testing

@testable import Carillon

@Suite("Errors of a bus")
struct BusErrorTests {
  @Test(
    "an outcome that is no success is an error of its own",
    arguments: [
      (StoreOutcome.unavailable(reason: "r"), BusError.unavailable(reason: "r")),
      (.readOnly(reason: "r"), .readOnly(reason: "r")),
      (.unknown(reason: "r"), .outcomeUnknown(reason: "r")),
    ])
  func failures(outcome: StoreOutcome, error: BusError) {
    #expect(BusError(outcome) == error)
    #expect(error.description.hasSuffix(": r"))
  }

  @Test("the outcome of a command that was carried out is no error")
  func successes() {
    for outcome in [StoreOutcome.published, .saved, .changed(count: 1, Counts())] {
      #expect(BusError(outcome) == nil)
    }
  }
}
