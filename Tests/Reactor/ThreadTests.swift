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

  @Test("a timer without slack expires at its millisecond, and a cancelled one never")
  func timers() {
    let wheel = TimerWheel(now: 1_000)
    var due = [UInt32](repeating: 0, count: 4)
    var window = TimerWindow()
    window.add(1_201)
    // A wheel cannot be copied, so `#expect` cannot capture it.
    let empty = wheel.timeout(now: 1_000)
    let areSet = wheel.schedule(5, in: window) && wheel.schedule(6, in: window)
    wheel.cancel(6)
    let early = wheel.expire(now: 1_200, into: &due)
    let left = wheel.timeout(now: 1_200)
    let count = wheel.expire(now: 1_201, into: &due)
    let after = wheel.timeout(now: 1_201)
    #expect(areSet && empty == -1 && early == 0 && left == 1 && after == -1)
    #expect(due.prefix(count) == [5])
  }

  @Test("a window begins at the earliest deadline and ends with the least slack after any")
  func windows() {
    var window = TimerWindow()
    #expect(window.earliest == .max)
    window.add(.max, slack: 127)
    #expect(window.earliest == .max && window.latest == .max)
    window.add(1_000, slack: 500)
    #expect(window.earliest == 1_000 && window.latest == 1_500)
    window.add(1_200)
    #expect(window.earliest == 1_000 && window.latest == 1_200)
    window.add(900, slack: 400)
    #expect(window.earliest == 900 && window.latest == 1_200)
  }

  @Test("timers with the shared slack expire at multiples of 128 ms, within their windows")
  func sharedWakeUps() {
    let wheel = TimerWheel(now: 0)
    var due = [UInt32](repeating: 0, count: 1_000)
    var areSet = true
    for slot in UInt32(0)..<1_000 {
      var window = TimerWindow()
      window.add(30_000 + UInt64(slot), slack: TimerWindow.sharedSlack)
      areSet = wheel.schedule(slot, in: window) && areSet
    }
    var late: [UInt32] = []
    var wakeUps: Set<UInt64> = []
    for now in UInt64(0)..<32_000 {
      let count = wheel.expire(now: now, into: &due)
      if count > 0 { wakeUps.insert(now) }
      late += due.prefix(count).filter { !(0...127).contains(Int(now) - 30_000 - Int($0)) }
    }
    let left = wheel.timeout(now: 32_000)
    #expect(areSet && late == [] && left == -1)
    #expect(wakeUps.count == 9 && wakeUps.allSatisfy { $0 % 128 == 0 })
  }

  @Test("an empty array for expired timers is a programming error")
  func noRoom() async {
    await #expect(processExitsWith: .failure) {
      var due: [UInt32] = []
      _ = TimerWheel(now: 0).expire(now: 0, into: &due)
    }
  }
}
