// Ids of sessions: 16 bytes, 22 characters, one spelling.

import Notifications
import TestSupport
import Testing

@Suite("Recovery ids")
struct RecoveryIDTests {
  @Test("the bytes are in order, in 22 characters that need no escape in a query")
  func layout() throws {
    let id = RecoveryID(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_FBFF)
    #expect(id.bytes == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xFB, 0xFF])
    #expect(id.text == "AAECAwQFBgcICQoLDA37_w")
    #expect(RecoveryID(high: 0, low: 0).text == String(repeating: "A", count: 22))
    #expect(RecoveryID(high: .max, low: .max).text == String(repeating: "_", count: 21) + "w")
  }

  @Test("an id survives the round trip through text and through bytes")
  func roundTrip() {
    var random = SeededGenerator.announced()
    var ids: Set<RecoveryID> = []
    for _ in 0..<1_000 {
      let id = RecoveryID(high: random.next(), low: random.next())
      #expect(RecoveryID(id.text) == id)
      #expect(RecoveryID(bytes: id.bytes) == id)
      #expect(id.text.utf8.count == RecoveryID.textCount)
      ids.insert(id)
    }
    #expect(ids.count == 1_000)
  }

  @Test(
    "an invalid id is nil",
    arguments: [
      "", "A", String(repeating: "A", count: 21), String(repeating: "A", count: 23),
      String(repeating: "A", count: 24), String(repeating: "A", count: 22) + "==",
      String(repeating: "A", count: 20) + "==", String(repeating: "A", count: 21) + "=",
      String(repeating: "A", count: 21) + "\n", " " + String(repeating: "A", count: 21),
      String(repeating: "A", count: 21) + "+", String(repeating: "A", count: 21) + "/",
      String(repeating: "A", count: 20) + "é", String(repeating: "Ａ", count: 22),
      String(repeating: "A", count: 1 << 20),
    ])
  func refused(text: String) {
    #expect(RecoveryID(text) == nil)
  }

  @Test("only four characters are valid in the last position: no spare bit is set")
  func lastCharacter() {
    let start = String(repeating: "A", count: 21)
    let accepted = (UInt8.min...0x7F).compactMap { byte in
      RecoveryID(start + String(Character(Unicode.Scalar(byte))))
    }
    #expect(accepted.map(\.low).sorted() == [0, 1, 2, 3])
    #expect(accepted.allSatisfy { $0.high == 0 })
  }

  @Test("an accepted mutant is the canonical spelling of its id")
  func mutated() {
    var random = SeededGenerator.announced()
    for _ in 0..<200 {
      let id = RecoveryID(high: random.next(), low: random.next())
      for mutant in mutants(of: Array(id.text.utf8), count: 50, using: &random) {
        guard let text = String(validating: mutant, as: UTF8.self) else { continue }
        if let read = RecoveryID(text) { #expect(read.text == text) }
      }
    }
  }

  @Test("any other number of bytes is not an id")
  func byteCounts() {
    for count in Array(0...15) + [17, 32] {
      #expect(RecoveryID(bytes: [UInt8](repeating: 1, count: count)) == nil)
    }
  }
}
