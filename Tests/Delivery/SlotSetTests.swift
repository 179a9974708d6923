// A set of slots against a model.

import TestSupport
import Testing

@testable import Delivery

@Suite("Set of slots")
struct SlotSetTests {
  @Test func `it behaves like a set and is walked in order`() {
    var random = SeededGenerator.announced()
    var set = SlotSet()
    var model: Set<UInt32> = []
    for step in 0..<20_000 {
      let slot = UInt32.random(in: 0..<700, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: #expect(set.insert(slot) == model.insert(slot).inserted)
      case 1: #expect(set.remove(slot) == (model.remove(slot) != nil))
      case 2:
        let lowest = (0...).first { !model.contains($0) }!
        #expect(set.insertLowestFree() == lowest)
        model.insert(lowest)
        if model.count > 600 {
          set.removeAll()
          model.removeAll()
        }
      default: #expect(set.contains(slot) == model.contains(slot))
      }
      #expect(set.count == model.count)
      if step % 500 == 0 {
        var walked: [UInt32] = []
        set.forEach { walked.append($0) }
        #expect(walked == model.sorted())
      }
    }
  }
}
