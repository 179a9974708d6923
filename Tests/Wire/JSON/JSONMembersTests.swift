// Writing objects and arrays: the commas, and the names.

import Testing
import Wire

@Suite("RFC 8259: writing objects and arrays")
struct JSONMembersTests {
  private func written(_ body: (inout [UInt8]) -> Void) -> String {
    var bytes: [UInt8] = []
    body(&bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func `there is a comma between two elements or members, and nowhere else`() {
    let json = written { json in
      json.openObject()
      json.member("none", texts: [])
      json.member("texts", texts: ["a\"", "["])
      json.member("lists", array: [[], [1], [2, 3]]) { json, list in
        json.array(of: list) { $0.appendDecimal($1) }
      }
      json.member("objects", array: 1...2) { json, number in
        json.openObject()
        json.member("number", number)
        json.closeObject()
      }
      json.memberName(escaping: "\n")
      json.appendText("null")
      json.closeObject()
    }
    #expect(
      json == #"{"none":[],"texts":["a\"","["],"lists":[[],[1],[2,3]],"#
        + #""objects":[{"number":1},{"number":2}],"\n":null}"#)
  }
}
