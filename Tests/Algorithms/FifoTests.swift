// The queue in an array.

import Algorithms
import TestSupport
import Testing

@Suite("A queue in an array")
struct FifoTests {
  @Test func `elements leave in the order of their arrival, however the two alternate`() {
    var random = SeededGenerator.announced()
    var queue = Fifo<Int>()
    var model: [Int] = []
    for step in 0..<20_000 {
      // It grows in one half of the time and shrinks in the other.
      if Int.random(in: 0..<10, using: &random) < (step / 500 % 2 == 0 ? 7 : 3) {
        queue.append(step)
        model.append(step)
      } else if step % 997 == 0 {
        queue.filter { $0.isMultiple(of: 2) }
        model = model.filter { $0.isMultiple(of: 2) }
      } else {
        let element = queue.popFirst()
        #expect(element == model.first)
        if !model.isEmpty { model.removeFirst() }
      }
      #expect(queue.count == model.count && queue.isEmpty == model.isEmpty)
    }
    var rest: [Int] = []
    queue.forEach { rest.append($0) }
    #expect(rest == model)
  }

  private final class Element {}

  @Test func `a removed element is released at once`() {
    var queue = Fifo<Element>()
    weak var first: Element?
    do {
      let element = Element()
      first = element
      queue.append(element)
      queue.append(Element())
    }
    #expect(first != nil)
    _ = queue.popFirst()
    #expect(first == nil)
  }
}
