// Writing JSON objects member by member, straight into the bytes that go out.
//
// The comma is decided by the byte before: after an opening bracket there is none. So writers need
// no state of their own, and members can be left out freely.

extension [UInt8] {
  /// Begins an object.
  package mutating func openObject() { append(0x7B) }
  /// Ends an object.
  package mutating func closeObject() { append(0x7D) }

  /// Begins the member `name`, whose characters need no escape: its value is written next.
  package mutating func memberName(_ name: String) {
    if let last, last != 0x7B, last != 0x5B { append(0x2C) }
    append(0x22)
    appendText(name)
    append(0x22)
    append(0x3A)
  }

  /// Writes a member whose value is a string, or `null`.
  package mutating func member(_ name: String, _ value: String?) {
    memberName(name)
    if let value { appendJSONString(value) } else { appendText("null") }
  }

  /// Writes a member whose value is a number.
  package mutating func member(_ name: String, _ value: Int) {
    memberName(name)
    appendDecimal(value)
  }

  /// Writes a member whose value is true or false.
  package mutating func member(_ name: String, _ value: Bool) {
    memberName(name)
    appendText(value ? "true" : "false")
  }

  /// Writes a member whose value is a time in milliseconds since 1970, or `null`.
  package mutating func member(_ name: String, time milliseconds: Int64?) {
    memberName(name)
    guard let milliseconds else { return appendText("null") }
    append(0x22)
    RFC3339.append(milliseconds: milliseconds, into: &self)
    append(0x22)
  }

  /// Writes a member whose value is JSON already.
  package mutating func member(_ name: String, json: [UInt8]) {
    memberName(name)
    append(contentsOf: json)
  }

  /// Writes a member whose value is an object that `body` fills.
  package mutating func member(_ name: String, object body: (inout [UInt8]) -> Void) {
    memberName(name)
    openObject()
    body(&self)
    closeObject()
  }
}
