// A request to another server, checked when it is made.

/// A field or a size that no request may have.
package enum OutgoingRequestError: Error, CaseIterable, CustomStringConvertible {
  case fieldName
  case fieldValue
  case fieldCount
  case bodySize

  package var description: String {
    switch self {
    case .fieldName: "a field's name must be 1 to 64 letters, digits and hyphens, and not reserved"
    case .fieldValue: "a field's value must be printable ASCII of at most 4,096 bytes"
    case .fieldCount: "a request has at most 32 fields"
    case .bodySize: "a body has at most 1 MiB"
    }
  }
}

/// A request to another server.
///
/// Invariant: no field has a byte that could end it, and none decides how the message is framed.
package struct OutgoingRequest: Sendable {
  package enum Method: Sendable {
    case get
    case post
  }

  package struct Field: Sendable {
    package let name: String
    package let value: String
  }

  /// Fields of a request.
  package static let fieldCountLimit = 32
  /// Bytes of a field's name.
  package static let fieldNameBytesLimit = 64
  /// Bytes of a field's value.
  package static let fieldValueBytesLimit = 4_096
  /// Bytes of a body.
  package static let bodyBytesLimit = 1_024 * 1_024

  /// Fields that the transport sets, in lower case.
  private static let reservedNames: Set<String> = [
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "expect", "te",
    "trailer", "upgrade", "proxy-connection", "proxy-authorization",
  ]

  package let method: Method
  package let destination: Destination
  package let fields: [Field]
  package let body: [UInt8]
  /// Time from `OutgoingHTTP.start` to the end of the answer.
  package let timeoutMilliseconds: UInt64
  /// Bytes of the answer's body that are kept.
  package let keptBodyBytes: Int

  /// A request; `timeoutMilliseconds` and `keptBodyBytes` are clamped to their bounds.
  package init(
    _ method: Method, _ destination: Destination, fields: [(String, String)] = [],
    body: [UInt8] = [], timeoutMilliseconds: UInt64 = OutgoingLimits.totalMilliseconds,
    keptBodyBytes: Int = OutgoingLimits.keptBodyBytes
  ) throws(OutgoingRequestError) {
    guard fields.count <= OutgoingRequest.fieldCountLimit else { throw .fieldCount }
    for (name, value) in fields {
      // guard: outgoing-field-names
      guard OutgoingRequest.isName(name) else { throw .fieldName }
      // guard: outgoing-field-values
      guard OutgoingRequest.isValue(value) else { throw .fieldValue }
    }
    guard body.count <= OutgoingRequest.bodyBytesLimit else { throw .bodySize }
    self.method = method
    self.destination = destination
    self.fields = fields.map { Field(name: $0.0, value: $0.1) }
    self.body = body
    self.timeoutMilliseconds = min(timeoutMilliseconds, OutgoingLimits.longestTotalMilliseconds)
    self.keptBodyBytes = min(max(0, keptBodyBytes), OutgoingLimits.bodyBytesLimit)
  }

  private static func isName(_ name: String) -> Bool {
    let isShaped =
      (1...fieldNameBytesLimit).contains(name.utf8.count)
      && name.utf8.allSatisfy { byte in
        let letter = byte | 0x20
        return (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(letter)
          || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
      }
    return isShaped && !reservedNames.contains(name.lowercased())
  }

  private static func isValue(_ value: String) -> Bool {
    value.utf8.count <= fieldValueBytesLimit
      && value.utf8.allSatisfy { (UInt8(ascii: " ")...UInt8(ascii: "~")).contains($0) }
  }
}
