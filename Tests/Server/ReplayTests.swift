// The events that a replaying session lets through.

import Notifications
import Testing

@testable import Server

@Suite("Replay")
struct ReplayTests {
  @Test func `a stored notification waits for its page; a change goes out at once`() {
    let replay = Replay(after: 5, continuityLost: false)
    #expect(!replay.admits(DialectTests.stored(), offset: 42))
    #expect(replay.deferredThrough == 42)
    let change = Event(
      audience: .user("u"), body: .deleted([DialectTests.id], DialectTests.counts), timestamp: 0,
      offset: 43)
    #expect(!replay.admits(change, offset: 43), "nothing overtakes the greeting")
    replay.isGreeted = true
    #expect(replay.admits(change, offset: 43))
    #expect(replay.changedThrough == 43 && replay.deferredThrough == 42)
  }
}
