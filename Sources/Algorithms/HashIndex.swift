// An index of numbers by keys that are stored elsewhere.
//
// A dictionary holds each key a second time, beside its number: 20 bytes an entry for text, taken
// or vacant. An entry of this index has 8 bytes: the number, and 32 bits of the hash of its key. So
// a search looks only at the keys with its hash, and growing, shrinking and removing look at none.
//
//     home(h) = h mod capacity, here 8; four entries with the homes 2, 2, 3 and 2
//
//       0     1     2     3     4     5     6     7
//     ┌─────┬─────┬─────┬─────┬─────┬─────┬─────┬─────┐
//     │     │     │ h:2 │ h:2 │ h:3 │ h:2 │     │     │     a search ends at the vacant entry 6
//     └─────┴─────┴─────┴─────┴─────┴─────┴─────┴─────┘
//
// Removing an entry moves later ones back into the gap, so no entry is a mark of a removed one, and
// a search does not get longer with the number of removals.

/// Numbers below 2^32 - 1, each found by the hash of a key that its owner stores.
///
/// The owner's hashes must be seeded at random if a peer can choose keys. Searching, inserting and
/// removing are O(1). Growing and shrinking move 8 bytes for each entry, after a number of changes
/// that is proportional to the entries.
///
/// Invariant: at most three quarters of the entries are taken; no entry between the home of a taken
/// entry and its place is vacant; a capacity over the least one is less than eight times the count.
package struct HashIndex: Sendable {
  private struct Entry {
    static let vacantNumber = UInt32.max

    var number = vacantNumber
    var hash: UInt32 = 0

    var isVacant: Bool { number == Entry.vacantNumber }
  }

  private static let leastCapacity = 8

  private var entries = [Entry](repeating: Entry(), count: HashIndex.leastCapacity)
  package private(set) var count = 0

  package init() {}

  /// The entries for which there is memory: a power of two.
  package var capacity: Int { entries.count }

  /// The number with that hash for which `isWanted` returns true; nil if there is none.
  ///
  /// `isWanted` compares the key of a number with the one that is searched for.
  package func number(hash: Int, where isWanted: (UInt32) -> Bool) -> UInt32? {
    let hash = UInt32(truncatingIfNeeded: hash)
    var place = home(of: hash)
    while !entries[place].isVacant {
      // guard: hash-index-compares-keys
      if entries[place].hash == hash, isWanted(entries[place].number) {
        return entries[place].number
      }
      place = after(place)
    }
    return nil
  }

  /// Adds a number; neither it nor its key may be in the index.
  package mutating func insert(_ number: UInt32, hash: Int) {
    precondition(number != Entry.vacantNumber, "number \(number)")
    if (count + 1) * 4 > capacity * 3 { resize(to: capacity * 2) }
    place(Entry(number: number, hash: UInt32(truncatingIfNeeded: hash)))
    count += 1
  }

  /// Replaces a number by another one of the same key; false if it is not in the index.
  @discardableResult
  package mutating func replace(_ number: UInt32, hash: Int, by successor: UInt32) -> Bool {
    precondition(successor != Entry.vacantNumber, "number \(successor)")
    guard let place = place(of: number, UInt32(truncatingIfNeeded: hash)) else { return false }
    entries[place].number = successor
    return true
  }

  /// Removes a number; false if it is not in the index.
  @discardableResult
  package mutating func remove(_ number: UInt32, hash: Int) -> Bool {
    guard var gap = place(of: number, UInt32(truncatingIfNeeded: hash)) else { return false }
    var next = after(gap)
    while !entries[next].isVacant {
      // An entry may move back to the gap unless its home lies after it.
      // guard: hash-index-gap-closed
      if distance(from: home(of: entries[next].hash), to: next) >= distance(from: gap, to: next) {
        entries[gap] = entries[next]
        gap = next
      }
      next = after(next)
    }
    entries[gap] = Entry()
    count -= 1
    // guard: hash-index-shrinks
    if count * 8 <= capacity, capacity > HashIndex.leastCapacity { resize(to: capacity / 2) }
    return true
  }

  /// Calls `body` with each number, in no particular order.
  package func forEach(_ body: (UInt32) -> Void) {
    for entry in entries where !entry.isVacant { body(entry.number) }
  }

  /// Traps in a debug build when the invariant does not hold.
  package func checkInvariants() {
    assert(capacity & (capacity - 1) == 0 && capacity >= HashIndex.leastCapacity, "\(capacity)")
    assert(count * 4 <= capacity * 3, "\(count) of \(capacity) entries are taken")
    assert(capacity == HashIndex.leastCapacity || count * 8 > capacity, "\(count) in \(capacity)")
    assert(entries.count { !$0.isVacant } == count)
    for place in entries.indices where !entries[place].isVacant {
      assert(
        self.place(of: entries[place].number, entries[place].hash) == place,
        "\(entries[place].number) is not found, or is there twice")
    }
  }

  // MARK: Places

  private func home(of hash: UInt32) -> Int { Int(hash) & (capacity - 1) }

  private func after(_ place: Int) -> Int { (place + 1) & (capacity - 1) }

  private func distance(from start: Int, to end: Int) -> Int { (end - start) & (capacity - 1) }

  private func place(of number: UInt32, _ hash: UInt32) -> Int? {
    var place = home(of: hash)
    while !entries[place].isVacant {
      if entries[place].number == number, entries[place].hash == hash { return place }
      place = after(place)
    }
    return nil
  }

  /// Puts an entry at the first vacant place from its home on.
  private mutating func place(_ entry: Entry) {
    var place = home(of: entry.hash)
    while !entries[place].isVacant { place = after(place) }
    entries[place] = entry
  }

  private mutating func resize(to capacity: Int) {
    let old = entries
    entries = [Entry](repeating: Entry(), count: capacity)
    for entry in old where !entry.isVacant { place(entry) }
  }
}
