// Documents built to be expensive: deep, wide, with colliding names.

import TestSupport
import Testing

@testable import Wire

@Suite("JSON: the cost of hostile documents")
struct JSONCostTests {
  /// Containers nested to a depth, arrays and objects in turn according to `pattern`.
  static func nested(_ depth: Int, _ pattern: String) -> [UInt8] {
    var text: [UInt8] = []
    let kinds = Array(pattern)
    for level in 0..<depth { text.appendText(kinds[level % kinds.count] == "[" ? "[" : "{\"a\":") }
    text.appendText("1")
    for level in (0..<depth).reversed() {
      text.appendText(kinds[level % kinds.count] == "[" ? "]" : "}")
    }
    return text
  }

  // Case 34
  @Test("depth 32 is accepted and depth 33 refused", arguments: ["[", "{", "[{", "{[", "[[{"])
  func depth(pattern: String) {
    for (depth, isAccepted) in [(1, true), (31, true), (32, true), (33, false), (34, false)] {
      let document = Self.nested(depth, pattern)
      #expect((skipViolation(document) == nil) == isAccepted, "\(depth)")
      #expect((walkViolation(document) == nil) == isAccepted, "\(depth)")
    }
    #expect(skipViolation(Self.nested(33, pattern))?.reason == "nested deeper than 32")
    #expect(walkViolation(Self.nested(33, pattern))?.reason == "nested deeper than 32")
  }

  // Case 34
  @Test("a depth of 100,000 is refused at its 33rd bracket, closed or not", arguments: ["[", "{"])
  func veryDeep(pattern: String) {
    let closed = Self.nested(100_000, pattern)
    let open = Array(closed.prefix(closed.count / 2))
    for document in [closed, open] {
      let position = 32 * (pattern == "[" ? 1 : 5)
      for violation in [skipViolation(document), walkViolation(document)] {
        #expect(violation == JSONViolation(reason: "nested deeper than 32", position: position))
      }
    }
  }

  // Case 34
  @Test("a stack of 256 KiB suffices to read the deepest documents and to refuse deeper ones")
  func stack() async {
    await #expect(processExitsWith: .success) {
      onStack(byteCount: 256 * 1_024) {
        for pattern in ["[", "{", "[{"] {
          precondition(walkViolation(JSONCostTests.nested(32, pattern)) == nil)
          precondition(walkViolation(JSONCostTests.nested(100_000, pattern)) != nil)
          precondition(skipViolation(JSONCostTests.nested(100_000, pattern)) != nil)
        }
      }
    }
  }

  @Test("depth counts open containers only: siblings do not add up")
  func siblings() {
    let sibling = String(decoding: Self.nested(31, "[{"), as: UTF8.self)
    let document = "[" + [sibling, sibling, "[]", "{}", sibling].joined(separator: ",") + "]"
    #expect(skipViolation(Array(document.utf8)) == nil)
    #expect(walkViolation(Array(document.utf8)) == nil)
  }

  @Test("skipping inside containers counts their depth too")
  func mixedDepth() throws {
    for (inner, isAccepted) in [(30, true), (31, false)] {
      let document = Array("[{\"a\":".utf8) + Self.nested(inner, "[") + Array("}]".utf8)
      var reader = JSONReader(document)
      var violation: JSONViolation?
      do {
        try reader.readArray { (reader) throws(JSONViolation) in
          try reader.readObject { (reader, _) throws(JSONViolation) in
            _ = try reader.skipValue()
          }
        }
        try reader.finish()
      } catch { violation = error }
      #expect((violation == nil) == isAccepted)
    }
  }

  @Test("limits other than 32 hold, from 0 to 64")
  func otherLimits() {
    #expect(skipViolation(Array("1".utf8), depthLimit: 0) == nil)
    #expect(skipViolation(Array("[]".utf8), depthLimit: 0) != nil)
    for pattern in ["[", "{", "{["] {
      #expect(skipViolation(Self.nested(64, pattern), depthLimit: 64) == nil)
      #expect(skipViolation(Self.nested(65, pattern), depthLimit: 64) != nil)
    }
  }

  // Case 34
  @Test("100,000 names are read one by one, even if they collide in a hash or are all equal")
  func manyNames() throws {
    // Nothing here hashes; these collide under the classic multiply-by-31 and FNV-like families.
    let blocks = ["Aa", "BB"]
    let documents: [(Int) -> String] = [
      { "k\($0)" },
      { number in (0..<17).map { blocks[number >> $0 & 1] }.joined() },
      { _ in "same" },
      { _ in "" },
    ]
    for name in documents {
      var document: [UInt8] = [UInt8(ascii: "{")]
      for index in 0..<100_000 {
        if index > 0 { document.append(UInt8(ascii: ",")) }
        document.appendJSONString(name(index))
        document.appendText(":0")
      }
      document.append(UInt8(ascii: "}"))
      #expect(skipViolation(document) == nil)
      var count = 0
      var reader = JSONReader(document)
      try reader.readObject { (_, found) throws(JSONViolation) in
        if found == name(count) { count += 1 }
      }
      try reader.finish()
      #expect(count == 100_000)
    }
  }

  // Case 34
  @Test("time is linear in the length of a document, whatever its content")
  func linear() {
    let shapes: [(Int) -> [UInt8]] = [
      { count in Array(("[" + String(repeating: "1,", count: count) + "1]").utf8) },
      { count in Array(("[" + String(repeating: "[],{},", count: count / 3) + "1]").utf8) },
      { count in Array(("\"" + String(repeating: "\\n", count: count) + "\"").utf8) },
      { count in Array(String(repeating: "9", count: count * 2).utf8) },
      { count in Array(String(repeating: " ", count: count * 2).utf8) + [0x31] },
      { count in Array(("{" + String(repeating: "\"\":0,", count: count / 3) + "\"\":0}").utf8) },
      { count in Array(("\"" + String(repeating: "é", count: count) + "\"").utf8) },
    ]
    for (index, shape) in shapes.enumerated() {
      func cost(_ count: Int) -> Duration {
        let document = shape(count)
        return processorTime { #expect(walkViolation(document) == nil) }
      }
      let small = cost(2_000)
      let large = cost(32_000)
      // Sixteen times the length; quadratic cost would be 256 times.
      #expect(large / small <= 64, "shape \(index): \(small), \(large)")
    }
  }
}
