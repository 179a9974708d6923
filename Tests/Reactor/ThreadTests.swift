// Threads and timers.

import Glibc
import Reactor
import Testing

/// A thread's result for the joining thread.
private final class Box: @unchecked Sendable {
  // Unchecked: written by the thread, read after the join.
  var text = ""
}

@Suite("Threads and timers")
struct ThreadTests {
  @Test("a thread has its name and its processor, and has ended after the join")
  func running() throws {
    let box = Box()
    let thread = try Thread(name: "a thread's name", processor: 0) {
      box.text = BlockingFile.read("/proc/thread-self/comm") ?? ""
    }
    thread.join()
    thread.join()
    #expect(box.text == "a thread's name\n")
  }

  @Test("the closure is released before the join returns")
  func release() throws {
    var box: Box? = Box()
    weak let watched = box
    let thread = try Thread(name: "holder") { [box] in _ = box?.text }
    box = nil
    thread.join()
    #expect(watched == nil)
  }

  @Test("a processor that does not exist is an error, and the closure is released")
  func noProcessor() throws {
    var box: Box? = Box()
    weak let watched = box
    var code: Int32 = 0
    do throws(SystemError) {
      _ = try Thread(name: "nowhere", processor: 1 << 20) { [box] in _ = box?.text }
    } catch {
      code = error.code
    }
    box = nil
    #expect(code == EINVAL)
    #expect(watched == nil)
  }

  @Test("a timer expires at its time, not before, and a cancelled one never")
  func timers() {
    let wheel = TimerWheel(now: 1_000)
    var due = [UInt32](repeating: 0, count: 4)
    // A wheel cannot be copied, so `#expect` cannot capture it.
    let empty = wheel.timeout(now: 1_000)
    let areSet = wheel.schedule(5, at: 1_200) && wheel.schedule(6, at: 1_200)
    wheel.cancel(6)
    let early = wheel.expire(now: 1_199, into: &due)
    let count = wheel.expire(now: 1_250, into: &due)
    let after = wheel.timeout(now: 1_250)
    #expect(areSet && empty == -1 && early == 0 && after == -1)
    #expect(due.prefix(count) == [5])
  }

  @Test("an empty array for expired timers is a programming error")
  func noRoom() async {
    await #expect(processExitsWith: .failure) {
      var due: [UInt32] = []
      _ = TimerWheel(now: 0).expire(now: 0, into: &due)
    }
  }
}
