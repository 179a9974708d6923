// A set of slots: the members of a group, or the connections that a flush writes to.

/// A set of slots as one bit each, walked lowest first.
package struct SlotSet {
  package init() {}

  private var words: [UInt64] = []
  /// Words before this one are all ones.
  private var firstFree = 0
  /// Number of slots in the set.
  package private(set) var count = 0

  package var isEmpty: Bool { count == 0 }

  package func contains(_ slot: UInt32) -> Bool {
    let word = Int(slot >> 6)
    return word < words.count && words[word] & (1 << UInt64(slot & 63)) != 0
  }

  /// Inserts `slot`; false when the set already has it.
  @discardableResult
  package mutating func insert(_ slot: UInt32) -> Bool {
    let word = Int(slot >> 6)
    while words.count <= word { words.append(0) }
    let bit: UInt64 = 1 << UInt64(slot & 63)
    guard words[word] & bit == 0 else { return false }
    words[word] |= bit
    count += 1
    return true
  }

  @discardableResult
  package mutating func remove(_ slot: UInt32) -> Bool {
    let word = Int(slot >> 6)
    guard word < words.count else { return false }
    let bit: UInt64 = 1 << UInt64(slot & 63)
    guard words[word] & bit != 0 else { return false }
    words[word] &= ~bit
    count -= 1
    firstFree = min(firstFree, word)
    return true
  }

  /// Inserts the lowest slot that is not in the set, and returns it.
  package mutating func insertLowestFree() -> UInt32 {
    while firstFree < words.count, words[firstFree] == .max { firstFree += 1 }
    if firstFree == words.count { words.append(0) }
    let bit = (~words[firstFree]).trailingZeroBitCount
    words[firstFree] |= 1 << UInt64(bit)
    count += 1
    return UInt32(firstFree << 6 + bit)
  }

  /// Whether the set has none of the slots [first, first + count); both are multiples of 64.
  package func isEmpty(from first: UInt32, count: Int) -> Bool {
    let start = Int(first) >> 6
    guard start < words.count else { return true }
    return words[start..<min(words.count, start + count >> 6)].allSatisfy { $0 == 0 }
  }

  /// Calls `body` with each slot, lowest first.
  ///
  /// It walks the set as it was at the start: changes that `body` makes to another copy of the set
  /// have no effect.
  package func forEach(_ body: (UInt32) -> Void) {
    for (index, word) in words.enumerated() where word != 0 {
      var rest = word
      while rest != 0 {
        let bit = rest.trailingZeroBitCount
        rest &= rest - 1
        body(UInt32(index << 6 + bit))
      }
    }
  }

  /// Empties the set and keeps its memory.
  package mutating func removeAll() {
    for index in words.indices { words[index] = 0 }
    count = 0
    firstFree = 0
  }
}
