// Writes JSON objects and arrays piece by piece, straight into the outgoing bytes.
//
// The preceding byte decides about the comma: after an opening bracket there is none. So writers
// need no state, and members and elements can be left out freely.

extension [UInt8] {
  /// Begins an object.
  package mutating func openObject() { append(0x7B) }
  /// Ends an object.
  package mutating func closeObject() { append(0x7D) }

  /// Begins an array.
  package mutating func openArray() { append(0x5B) }
  /// Ends an array.
  package mutating func closeArray() { append(0x5D) }

  /// Begins an element of an array; the caller writes the value next.
  package mutating func beginElement() {
    if let last, last != 0x7B, last != 0x5B { append(0x2C) }
  }

  /// Begins the member `name`, which must need no escapes; the caller writes the value next.
  package mutating func memberName(_ name: String) {
    beginElement()
    append(0x22)
    appendText(name)
    append(0x22)
    append(0x3A)
  }

  /// Begins a member with any name.
  package mutating func memberName(escaping name: String) {
    beginElement()
    appendJSONString(name)
    append(0x3A)
  }

  /// Writes a member with a string, or `null`.
  package mutating func member(_ name: String, _ value: String?) {
    memberName(name)
    if let value { appendJSONString(value) } else { appendText("null") }
  }

  /// Writes a member with a number.
  package mutating func member(_ name: String, _ value: Int) {
    memberName(name)
    appendDecimal(value)
  }

  /// Writes a member with true or false.
  package mutating func member(_ name: String, _ value: Bool) {
    memberName(name)
    appendText(value ? "true" : "false")
  }

  /// Writes a member with a time in milliseconds since 1970, or `null`.
  package mutating func member(_ name: String, time milliseconds: Int64?) {
    memberName(name)
    guard let milliseconds else { return appendText("null") }
    append(0x22)
    RFC3339.append(milliseconds: milliseconds, into: &self)
    append(0x22)
  }

  /// Writes a member with a value that is already JSON.
  package mutating func member(_ name: String, json: [UInt8]) {
    memberName(name)
    append(contentsOf: json)
  }

  /// Writes a member with an object that `body` fills.
  package mutating func member(_ name: String, object body: (inout [UInt8]) -> Void) {
    memberName(name)
    openObject()
    body(&self)
    closeObject()
  }

  /// Writes a member with an array that has an element for each of `values`, written by `element`.
  package mutating func member<Values: Sequence>(
    _ name: String, array values: Values, _ element: (inout [UInt8], Values.Element) -> Void
  ) {
    memberName(name)
    array(of: values, element)
  }

  /// Writes a member with an array of strings.
  package mutating func member(_ name: String, texts: [String]) {
    member(name, array: texts) { $0.appendJSONString($1) }
  }

  /// Writes an array with an element for each of `values`, written by `element`.
  package mutating func array<Values: Sequence>(
    of values: Values, _ element: (inout [UInt8], Values.Element) -> Void
  ) {
    openArray()
    for value in values {
      beginElement()
      element(&self, value)
    }
    closeArray()
  }
}
