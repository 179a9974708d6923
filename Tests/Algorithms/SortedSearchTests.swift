// Compares the binary search with a search from the front.

import Algorithms
import TestSupport
import Testing

@Suite("Binary search")
struct SortedSearchTests {
  @Test func `the index found is that of a search from the front`() {
    var generator = SeededGenerator.announced()
    for _ in 0..<2_000 {
      let count = Int.random(in: 0...20, using: &generator)
      let values = (0..<count).map { _ in Int.random(in: 0...9, using: &generator) }.sorted()
      let start = Int.random(in: 0...count, using: &generator)
      for wanted in -1...10 {
        let found = (start..<count).partitioningIndex { values[$0] >= wanted }
        #expect(found == values[start...].firstIndex { $0 >= wanted } ?? count)
      }
    }
  }
}
