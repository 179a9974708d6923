// The index of numbers by the hashes of their keys, against a plain dictionary.

import Algorithms
import TestSupport
import Testing

/// An index and the keys of its numbers, with as few hashes as a test wants.
private final class Fixture {
  let hashCount: Int
  var index = HashIndex()
  private(set) var keys: [UInt32: Int] = [:]

  init(hashCount: Int) { self.hashCount = hashCount }

  private func hash(of key: Int) -> Int {
    // Neighbours share their high bits, and a negative hash is one like any other.
    hashCount == .max ? key &* -0x61C8_8646_80B5_83EB >> 7 : -(key % hashCount)
  }

  func insert(_ number: UInt32, _ key: Int) {
    index.insert(number, hash: hash(of: key))
    keys[number] = key
  }

  func remove(_ number: UInt32, _ key: Int) -> Bool {
    if keys[number] == key { keys[number] = nil }
    return index.remove(number, hash: hash(of: key))
  }

  func replace(_ number: UInt32, _ key: Int, by successor: UInt32) -> Bool {
    if keys[number] == key {
      keys[number] = nil
      keys[successor] = key
    }
    return index.replace(number, hash: hash(of: key), by: successor)
  }

  func number(_ key: Int) -> UInt32? {
    index.number(hash: hash(of: key)) { keys[$0] == key }
  }

  var numbers: [UInt32] {
    var numbers: [UInt32] = []
    index.forEach { numbers.append($0) }
    return numbers
  }
}

@Suite("Index by hashes")
struct HashIndexTests {
  @Test func `an empty index finds and removes nothing`() {
    let fixture = Fixture(hashCount: .max)
    #expect(fixture.number(1) == nil && fixture.index.count == 0 && fixture.numbers == [])
    #expect(!fixture.remove(1, 1) && !fixture.replace(1, 1, by: 2))
    fixture.index.checkInvariants()
  }

  @Test func `keys with one hash are distinguished by the keys`() {
    let fixture = Fixture(hashCount: 1)
    for number: UInt32 in 0..<6 { fixture.insert(number, 10 + Int(number)) }
    #expect((10..<16).map { fixture.number($0) } == [0, 1, 2, 3, 4, 5])
    #expect(fixture.number(16) == nil)
  }

  @Test(arguments: [0, 2, 5])
  func `the entries after a removed one are found, across the end of the memory too`(removed: Int) {
    // Six entries with the home 6 of 8 take 6, 7 and 0 to 3.
    for home in 0..<8 {
      var index = HashIndex()
      for number: UInt32 in 0..<6 { index.insert(number, hash: home) }
      let wasThere = index.remove(UInt32(removed), hash: home)
      #expect(wasThere && index.capacity == 8)
      for number: UInt32 in 0..<6 {
        let found = index.number(hash: home) { $0 == number }
        #expect(found == (number == UInt32(removed) ? nil : number), "home \(home)")
      }
      index.checkInvariants()
    }
  }

  @Test(arguments: [1, 5, 40, Int.max])
  func `after random changes it equals a dictionary`(hashCount: Int) {
    var random = SeededGenerator.announced()
    let fixture = Fixture(hashCount: hashCount)
    var model: [Int: UInt32] = [:]
    let steps = hashCount == 1 ? 2_000 : 10_000
    for step in 0..<steps {
      // It grows to about 150 entries, and empties at the end.
      let isGrowing = step < steps / 2
      let number = UInt32.random(in: 0..<200, using: &random)
      let key = Int.random(in: 0..<300, using: &random)
      let isFree = fixture.keys[number] == nil && model[key] == nil
      if isFree, isGrowing || step % 8 == 0 {
        fixture.insert(number, key)
        model[key] = number
      } else if let old = model[key], fixture.keys[number] == nil, step % 3 == 0 {
        #expect(fixture.replace(old, key, by: number))
        model[key] = number
      } else if let old = model[key], !isGrowing || step % 4 == 0 {
        #expect(fixture.remove(old, key))
        #expect(!fixture.remove(old, key))
        model[key] = nil
      } else if model[key] == nil, fixture.keys[number] == nil {
        #expect(!fixture.remove(number, key), "seed \(random.seed)")
        #expect(!fixture.replace(number, key, by: number))
      }
      #expect(fixture.number(key) == model[key], "seed \(random.seed)")
      #expect(fixture.index.count == model.count, "seed \(random.seed)")
      if hashCount > 1 || step % 10 == 0 { fixture.index.checkInvariants() }
      if step % 50 == 0 {
        #expect(fixture.numbers.sorted() == model.values.sorted(), "seed \(random.seed)")
      }
    }
    for key in 0..<300 { #expect(fixture.number(key) == model[key], "seed \(random.seed)") }
  }

  @Test func `its memory follows the number of entries, up and down`() {
    var index = HashIndex()
    var largest = 0
    for number: UInt32 in 0..<10_000 {
      index.insert(number, hash: Int(number) &* 0x9E37_79B1)
      #expect(index.capacity <= max(8, index.count * 8 / 3 + 1))
      largest = max(largest, index.capacity)
    }
    #expect(largest == 16_384)
    for number: UInt32 in 0..<10_000 {
      index.remove(number, hash: Int(number) &* 0x9E37_79B1)
      #expect(index.capacity <= max(8, index.count * 8))
    }
    #expect(index.capacity == 8 && index.count == 0)
  }

  @Test func `the number that marks a vacant entry is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      var index = HashIndex()
      index.insert(.max, hash: 1)
    }
  }
}
