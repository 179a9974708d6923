// Numbers and text appended to a byte array.

import TestSupport
import Testing

@testable import Wire

@Suite("Appending text and numbers")
struct AppendTests {
  static func text(_ body: (inout [UInt8]) -> Void) -> String {
    var bytes = Array("x".utf8)
    body(&bytes)
    return String(decoding: bytes.dropFirst(), as: UTF8.self)
  }

  @Test("room for a first text is exact, and repeated calls move the bytes only when they double")
  func room() {
    var bytes: [UInt8] = []
    bytes.makeRoom(for: 1_000)
    #expect((1_000...1_064).contains(bytes.capacity))
    var capacities: Set<Int> = []
    for _ in 0..<10_000 {
      bytes.makeRoom(for: 10)
      let capacity = bytes.capacity
      bytes.append(contentsOf: repeatElement(0, count: 10))
      #expect(bytes.capacity == capacity)
      capacities.insert(capacity)
    }
    #expect(capacities.count <= 12, "moved \(capacities.count) times")
  }

  @Test("events and responses that follow one another in an array are moved a few times only")
  func many() {
    let writers: [(inout [UInt8]) -> Void] = [
      { ServerSentEvent.append(data: Array("{}".utf8), into: &$0) },
      { HTTPResponse(status: 200, body: Array("{}".utf8)).write(keepsAlive: true, into: &$0) },
    ]
    for (index, write) in writers.enumerated() {
      var output: [UInt8] = []
      var capacities: Set<Int> = []
      while output.count < 100_000 {
        write(&output)
        capacities.insert(output.capacity)
      }
      #expect(capacities.count <= 20, "writer \(index): moved \(capacities.count) times")
    }
  }

  @Test("numbers at every edge are written as the standard library writes them")
  func decimal() {
    var generator = SeededGenerator.announced()
    var numbers: [UInt64] = [0, 1, 9, 10, 11, 99, 100, .max, .max - 1]
    for shift in 0..<64 {
      numbers += [1 << shift, 1 << shift - 1, generator.next() >> shift]
    }
    for number in numbers {
      #expect(Self.text { $0.appendDecimal(number) } == String(number))
      let signed = Int64(bitPattern: number)
      #expect(Self.text { $0.appendDecimal(signed) } == String(signed))
      #expect(Self.text { $0.appendDecimal(Int(signed)) } == String(signed))
      #expect(
        Self.text { $0.appendDecimal(UInt16(truncatingIfNeeded: number)) }
          == String(UInt16(truncatingIfNeeded: number)))
      #expect(
        Self.text { $0.appendDecimal(Int8(truncatingIfNeeded: number)) }
          == String(Int8(truncatingIfNeeded: number)))
    }
    #expect(Self.text { $0.appendDecimal(Int64.min) } == "-9223372036854775808")
    #expect(Self.text { $0.appendDecimal(UInt128.max) } == String(UInt128.max))
    #expect(Self.text { $0.appendDecimal(Int128.min) } == String(Int128.min))
    #expect(Self.text { $0.appendDecimal(7) } == "7")
  }

  @Test("text is appended as its UTF-8")
  func text() {
    for text in ["", "a", "é€😀\0\n", String(repeating: "long ", count: 100)] {
      #expect(Self.text { $0.appendText(text) } == text)
    }
  }

  @Test("a field is filled with a number's lowest digits, and no other byte changes")
  func fields() {
    let table: [(UInt64, String)] = [
      (0, "-000-"), (7, "-007-"), (42, "-042-"), (999, "-999-"), (1_234, "-234-"),
      (.max, "-615-"),
    ]
    for (number, expected) in table {
      var bytes = Array("-xyz-".utf8)
      bytes.setDigits(of: number, in: 1..<4)
      #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }
  }
}
