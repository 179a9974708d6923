// Ids, users and priorities.

import Notifications
import TestSupport
import Testing
import Wire

@Suite("RFC 9562, 5.7: notification ids")
struct NotificationIDTests {
  @Test("an id has the time, the version and the variant where the RFC puts them")
  func layout() {
    // The time of the RFC's own example, A.6.
    let id = NotificationID(
      milliseconds: 0x017F_22E2_79B0, random: (0xCC3, 0x18C4_DC0C_0C07_398F))
    #expect(id.text == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    let full = NotificationID(milliseconds: .max, random: (.max, .max))
    #expect(full.text == "ffffffff-ffff-7fff-bfff-ffffffffffff")
    let none = NotificationID(milliseconds: .min, random: (0, 0))
    #expect(none.text == "00000000-0000-7000-8000-000000000000")
  }

  @Test("ids survive the round trip through text, in either case, and rise with time")
  func roundTrip() throws {
    var random = SeededGenerator.announced()
    var previous = ""
    for time in Int64(1)...500 {
      let id = NotificationID(milliseconds: time, random: (random.next(), random.next()))
      #expect(NotificationID(id.text) == id)
      #expect(NotificationID(id.text.uppercased()) == id)
      #expect(id.text > previous)
      previous = id.text
    }
  }

  @Test(
    "an invalid id is nil",
    arguments: [
      "", "017f22e2-79b0-7cc3-98c4-dc0c0c07398", "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
      "017f22e2079b0-7cc3-98c4-dc0c0c07398f", "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
      "017f22e279b07cc398c4dc0c0c07398f", "-17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
      "017f22e2-79b0-7cc3-98c4-dc0c0c0739é", "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}",
    ])
  func invalid(text: String) {
    #expect(NotificationID(text) == nil)
  }
}

@Suite("User ids")
struct UserIDTests {
  @Test("1 to 128 bytes without control characters")
  func rule() {
    let valid = [
      "a", " ", "é", "🔔", "user@example.org", "\u{A0}", String(repeating: "x", count: 128),
    ]
    for id in valid { #expect(UserIDs.isValid(id), "\(id)") }
    let controls = (0...0x1F).map { $0 } + (0x7F...0x9F).map { $0 }
    for value in controls {
      let id = "a\(Character(Unicode.Scalar(UInt8(value))))b"
      #expect(!UserIDs.isValid(id), "\(value)")
    }
    #expect(!UserIDs.isValid(""))
    #expect(!UserIDs.isValid(String(repeating: "x", count: 129)))
    #expect(!UserIDs.isValid(String(repeating: "é", count: 64) + "x"))
  }

  @Test("keys are equal exactly when their bytes are")
  func keys() {
    #expect(TextKey("a") == TextKey("a"))
    #expect(TextKey("a") != TextKey("b"))
    #expect(TextKey("\u{E9}") != TextKey("e\u{301}"))
    // The same length and the same letter, with its marks in another order.
    #expect(TextKey("a\u{323}\u{307}") != TextKey("a\u{307}\u{323}"))
    #expect("a\u{323}\u{307}" == "a\u{307}\u{323}")
  }

  @Test("the spellings of a text have different hashes")
  func hashes() {
    let count = 1 << 10
    let spellings = (0..<count).map { bits in
      TextKey((0..<10).map { bits >> $0 & 1 == 0 ? "\u{E9}" : "e\u{301}" }.joined())
    }
    #expect(Set(spellings.map(\.text)).count == 1)
    #expect(Set(spellings.map(\.hashValue)).count > count - 3)
    #expect(Set(spellings).count == count)
  }

  @Test("keys are ordered by bytes, with a prefix before longer keys")
  func order() {
    let ordered = [
      "", "B", "a", "a\u{0}", "aa", "b", "ea", "e\u{301}", "z", "\u{E9}", "\u{FF5E}",
    ]
    for (index, text) in ordered.enumerated() {
      for (other, later) in ordered.enumerated() {
        #expect((TextKey(text) < TextKey(later)) == (index < other), "\(text) \(later)")
      }
    }
    // Above U+FFFF the orders by bytes and by UTF-16 units differ.
    #expect(TextKey("\u{FF5E}") < TextKey("\u{1F600}"))
  }
}

@Suite("Priorities")
struct PriorityTests {
  @Test("only the four wire names are priorities")
  func names() {
    for priority in Priority.allCases { #expect(Priority(name: priority.name) == priority) }
    #expect(Priority.allCases.map(\.name) == ["low", "normal", "high", "urgent"])
    for name in ["", "Low", "NORMAL", "critical", " low", "0"] {
      #expect(Priority(name: name) == nil)
    }
  }
}
