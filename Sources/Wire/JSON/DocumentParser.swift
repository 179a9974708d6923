// Reads a JSON document whose root is an object, and names its first invalid field.
//
// One rule for every body that a publisher or a user sends. Broken JSON is malformed (400) and
// takes precedence over all other errors, so the whole document is read first. JSON with an
// impossible value is invalid (422), and the first invalid field is named. `null` is the same as
// absent. A known field given twice is refused, because an intermediary that inspected the request
// may have read the other value. An unknown field is refused with the nearest known one, because a
// misspelt field that is ignored loses its value silently.

/// Why a document was refused.
///
/// A reason is constant text, numbers and names of known fields, never a value of the document.
package enum DocumentError: Error, Equatable {
  /// Not JSON: 400.
  case malformed(reason: String)
  /// JSON with an invalid field: 422.
  case invalid(field: String, reason: String)
}

/// The first invalid field so far, and the way to the member that is being read.
///
/// Every method that takes the reader consumes one value.
package struct DocumentParser {
  /// The most bytes of an unknown name that an answer repeats.
  package static let shownNameByteCountLimit = 64

  private var problem: (field: String, reason: String)?
  /// Names of the members being read, outermost first; joined only for an error.
  private var path: [String] = []

  /// Whether unknown fields are skipped instead.
  private let ignoresUnknown: Bool

  private init(ignoresUnknown: Bool) { self.ignoresUnknown = ignoresUnknown }

  /// Reads a whole document: an object with fields of these names.
  ///
  /// `member` is called for each known field at its first occurrence, unless its value is null; of
  /// the field `nullable` null is a value, too. A value that it does not consume is skipped.
  /// `isLine` is for a line of NDJSON: an error of its syntax then has no line number.
  package static func parse(
    _ bytes: [UInt8], in range: Range<Int>? = nil, isLine: Bool = false, _ names: [String],
    ignoresUnknown: Bool = false, keepingNullOf nullable: String? = nil,
    _ member: (inout DocumentParser, inout JSONReader, String) throws(JSONViolation) -> Void
  ) throws(DocumentError) {
    var parser = DocumentParser(ignoresUnknown: ignoresUnknown)
    var reader = JSONReader(bytes, in: range)
    do throws(JSONViolation) {
      try parser.readObject(names, keepingNullOf: nullable, from: &reader, member)
      try reader.finish()
    } catch {
      throw .malformed(
        reason: error.located(in: bytes, from: range?.lowerBound ?? 0, isLine: isLine))
    }
    if let problem = parser.problem {
      throw .invalid(field: problem.field, reason: problem.reason)
    }
  }

  // MARK: Refusing

  /// Whether a field was refused: a caller need not assemble values any more.
  package var hasProblem: Bool { problem != nil }

  /// Refuses the member being read.
  package mutating func refuse(_ reason: String) {
    guard problem == nil else { return }
    problem = (path.isEmpty ? "body" : path.joined(separator: "."), reason)
  }

  /// Refuses the object that contains the member being read.
  package mutating func refuseObject(_ reason: String) {
    let name = path.removeLast()
    refuse(reason)
    path.append(name)
  }

  /// Refuses the member of the given name, of the object that is being read.
  package mutating func refuse(member name: String, _ reason: String) {
    path.append(name)
    refuse(reason)
    path.removeLast()
  }

  /// Refuses the member being read if its text is longer than a limit.
  package mutating func check(_ text: String, byteCountLimit: Int) {
    // guard: limit-names-its-bound
    if text.utf8.count > byteCountLimit { refuse("over \(byteCountLimit) bytes") }
  }

  private mutating func refuse(unknown name: String, among names: [String]) {
    guard problem == nil, !ignoresUnknown else { return }
    // guard: unknown-field-name
    guard 1...Self.shownNameByteCountLimit ~= name.utf8.count, !name.hasControlCharacter else {
      return refuse("has an unknown field")
    }
    // guard: nearest-field-named
    let near = Suggestion.nearest(to: name, among: names)
    refuse(
      member: name, "unknown field" + (near.map { " (did you mean \($0)?)" } ?? ""))
  }

  // MARK: Reading

  /// Reads an object with fields of these names.
  package mutating func readObject(
    _ names: [String], keepingNullOf nullable: String? = nil, from reader: inout JSONReader,
    _ member: (inout DocumentParser, inout JSONReader, String) throws(JSONViolation) -> Void
  ) throws(JSONViolation) {
    precondition(names.count <= 64, "\(names.count) names")
    // A bit for each name.
    var taken: UInt64 = 0
    try readMembers(from: &reader) { (parser, reader, name) throws(JSONViolation) in
      // guard: unknown-field-refused
      guard let index = names.firstIndex(of: name) else {
        return parser.refuse(unknown: name, among: names)
      }
      let bit: UInt64 = 1 << UInt64(index)
      let isRepeated = taken & bit != 0
      taken |= bit
      try parser.readMember(
        name, isRepeated: isRepeated, keepsNull: name == nullable, from: &reader, member)
    }
  }

  /// Reads an object with any names.
  ///
  /// `isValid` refuses a name with `refuseObject` where it returns false.
  package mutating func readMap(
    from reader: inout JSONReader, isValid: (inout DocumentParser, String) -> Bool,
    _ member: (inout DocumentParser, inout JSONReader, String) throws(JSONViolation) -> Void
  ) throws(JSONViolation) {
    var taken: Set<String> = []
    try readMembers(from: &reader) { (parser, reader, name) throws(JSONViolation) in
      guard isValid(&parser, name) else { return }
      let isRepeated = !taken.insert(name).inserted
      try parser.readMember(
        name, isRepeated: isRepeated, keepsNull: false, from: &reader, member)
    }
  }

  /// Reads an array.
  ///
  /// A value that `element` does not consume is skipped.
  package mutating func readArray(
    from reader: inout JSONReader,
    _ element: (inout DocumentParser, inout JSONReader) throws(JSONViolation) -> Void
  ) throws(JSONViolation) {
    guard try reader.nextKind() == .array else {
      refuse("must be an array")
      _ = try reader.skipValue()
      return
    }
    try reader.readArray { (reader: inout JSONReader) throws(JSONViolation) in
      try element(&self, &reader)
    }
  }

  /// Reads a string; nil, and refused, for any other value.
  package mutating func readText(
    from reader: inout JSONReader
  ) throws(JSONViolation) -> String? {
    guard try reader.nextKind() == .string else {
      refuse("must be a string")
      _ = try reader.skipValue()
      return nil
    }
    return try reader.readString()
  }

  /// Reads true or false; nil, and refused, for any other value.
  package mutating func readFlag(from reader: inout JSONReader) throws(JSONViolation) -> Bool? {
    guard try reader.nextKind() == .boolean else {
      refuse("must be true or false")
      _ = try reader.skipValue()
      return nil
    }
    return try reader.readBool()
  }

  /// Reads a whole number of a range; nil, and refused, for any other value.
  ///
  /// A number with a fraction or an exponent, or one that is out of bounds, is valid JSON: it is
  /// refused as this field's value and does not make the document malformed.
  package mutating func readInteger(
    in range: ClosedRange<Int64>, from reader: inout JSONReader
  ) throws(JSONViolation) -> Int64? {
    guard try reader.nextKind() == .number else {
      refuse("must be a whole number")
      _ = try reader.skipValue()
      return nil
    }
    var number = JSONReader(reader.bytes, in: try reader.skipValue())
    do throws(JSONViolation) {
      let value = try number.readInteger()
      // guard: payment-number-range
      if range.contains(value) { return value }
    } catch {
      // A fraction, an exponent or too many digits: refused like a number that is out of range.
    }
    refuse("must be a whole number of \(range.lowerBound) to \(range.upperBound)")
    return nil
  }

  /// Reads any value, or only an object, of at most so many bytes, and returns it as it was sent.
  package mutating func readJSON(
    byteCountLimit: Int, mustBeObject: Bool, from reader: inout JSONReader
  ) throws(JSONViolation) -> [UInt8]? {
    let kind = try reader.nextKind()
    let range = try reader.skipValue()
    guard kind == .object || !mustBeObject else {
      refuse("must be an object")
      return nil
    }
    guard range.count <= byteCountLimit else {
      refuse("over \(byteCountLimit) bytes")
      return nil
    }
    return Array(reader.bytes[range])
  }

  private mutating func readMembers(
    from reader: inout JSONReader,
    _ member: (inout DocumentParser, inout JSONReader, String) throws(JSONViolation) -> Void
  ) throws(JSONViolation) {
    guard try reader.nextKind() == .object else {
      refuse("must be an object")
      _ = try reader.skipValue()
      return
    }
    try reader.readObject { (reader: inout JSONReader, name: String) throws(JSONViolation) in
      try member(&self, &reader, name)
    }
  }

  /// Reads the value of a known member, if it is the first and not null.
  private mutating func readMember(
    _ name: String, isRepeated: Bool, keepsNull: Bool, from reader: inout JSONReader,
    _ member: (inout DocumentParser, inout JSONReader, String) throws(JSONViolation) -> Void
  ) throws(JSONViolation) {
    path.append(name)
    defer { path.removeLast() }
    if isRepeated { return refuse("given twice") }
    if try reader.nextKind() == .null, !keepsNull { return }
    try member(&self, &reader, name)
  }
}
