// Cursors from clients: one spelling, and nothing else is a cursor.

import TestSupport
import Testing

@testable import Wire

@Suite("Cursors")
struct CursorTests {
  @Test("a cursor is written and read as epoch.incarnation.offset, or without an incarnation")
  func accepted() throws {
    let longest = String(repeating: "z", count: 32)
    let longestRun = String(repeating: "9", count: 10)
    let table: [(String, String, String, UInt64)] = [
      ("a.0", "a", "", 0), ("0.1", "0", "", 1), ("k3x9.42", "k3x9", "", 42),
      ("a.18446744073709551615", "a", "", .max), ("\(longest).7", longest, "", 7),
      ("\(longest).18446744073709551615", longest, "", .max), ("a.b.1", "a", "b", 1),
      ("a.1.2", "a", "1", 2), ("\(longest).\(longestRun).0", longest, longestRun, 0),
    ]
    for (text, epoch, incarnation, offset) in table {
      let cursor = try #require(Cursor(text), "\(text)")
      #expect(cursor.epoch == epoch)
      #expect(cursor.offset == offset)
      #expect(cursor.description == text)
      #expect(cursor.incarnation == incarnation)
      #expect(cursor == Cursor(epoch: epoch, incarnation: incarnation, offset: offset))
    }
  }

  // Cases 33, 37
  @Test("an invented text is not a cursor")
  func refused() {
    let texts = [
      "", ".", "a", "a.", ".1", "1", "0", "-1", "a.-1", "a.+1", "a. 1", "a.1 ", " a.1", "a.01",
      "a.00", "a..1", "a.b.", "a.b", "a.b.01", "a.B.1", "a.b.c.1", "a.b.1.2", ".b.1", "A.1", "é.1",
      "a-b.1", "a_b.1", "a.1e3", "a.0x1", "a.1_0", "a.１",
      "a.18446744073709551616", "a.18446744073709551620", "a.99999999999999999999",
      "a.28446744073709551615", "a." + String(repeating: "9", count: 400),
      String(repeating: "a", count: 33) + ".1", "a." + String(repeating: "b", count: 11) + ".1",
      String(repeating: "a", count: 100_000),
      "a.1\0", "a\0.1", "a\n.1", "a,1", "a.%31",
    ]
    for text in texts { #expect(Cursor(text) == nil, "\(text.prefix(60))") }
  }

  // Case 98
  @Test("an accepted mutant is its own cursor's spelling")
  func fuzz() {
    var generator = SeededGenerator.announced()
    for seed in [
      "k3x9.42", "k3x9.w7.42", "a.18446744073709551615", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz.9",
    ] {
      for mutant in mutants(of: Array(seed.utf8), count: 7_000, using: &generator) {
        let text = String(decoding: mutant, as: UTF8.self)
        if let cursor = Cursor(text) { #expect(cursor.description == text) }
      }
    }
  }

  @Test("the text at an offset is the cursor there, of the incarnation that the offset is of")
  func format() {
    let format = CursorFormat(epoch: "e", earlier: "k", latest: "w", start: 7)
    for (offset, text) in [(0, "e.k.0"), (7, "e.k.7"), (8, "e.w.8"), (.max, "e.w.\(UInt64.max)")]
      as [(UInt64, String)]
    {
      #expect(format.text(at: offset) == text)
      #expect(format.cursor(at: offset) == Cursor(text))
    }
    let unnamed = CursorFormat(epoch: "e")
    #expect(unnamed.text(at: 3) == "e.3")
    #expect(unnamed.cursor(at: 3) == Cursor("e.3"))
  }

  @Test func `an epoch that could not be read back is a programming error`() async {
    await #expect(processExitsWith: .failure) { _ = Cursor(epoch: "A.b", offset: 1) }
    await #expect(processExitsWith: .failure) { _ = Cursor(epoch: "", offset: 1) }
    await #expect(processExitsWith: .failure) {
      _ = Cursor(epoch: "a", incarnation: "b.c", offset: 1)
    }
  }
}
