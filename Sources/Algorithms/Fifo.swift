// A queue in one array.

/// A queue: first in, first out, each operation in amortised constant time.
///
/// Invariant: the elements before `head` are nil, and no other is. So a removed element is released
/// at once.
package struct Fifo<Element> {
  private var elements: [Element?] = []
  private var head = 0

  package init() {}

  package var count: Int { elements.count - head }
  package var isEmpty: Bool { head == elements.count }

  package mutating func append(_ element: Element) { elements.append(element) }

  /// Removes the oldest element and returns it; nil if there is none.
  package mutating func popFirst() -> Element? {
    guard !isEmpty else { return nil }
    let element = elements[head].take()
    head += 1
    if head == elements.count {
      // A long queue gives its memory back; a short one keeps it.
      elements.removeAll(keepingCapacity: elements.count <= Self.keptCount)
      head = 0
    } else if head > Self.keptCount, head > elements.count / 2 {
      elements.removeFirst(head)
      head = 0
    }
    return element
  }

  /// Keeps the elements for which `isKept` is true, in their order.
  package mutating func filter(_ isKept: (Element) -> Bool) {
    let kept = elements.compactMap { $0 }.filter(isKept)
    elements = kept
    head = 0
  }

  package func forEach(_ body: (Element) -> Void) {
    for index in head..<elements.count { elements[index].map(body) }
  }

  /// Elements for which an empty queue keeps the memory.
  private static var keptCount: Int { 64 }
}
