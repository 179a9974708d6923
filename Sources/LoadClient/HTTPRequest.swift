// The client's HTTP requests, and their bytes.

internal import Wire

/// A header field of a request.
package struct HTTPField: Sendable, Equatable {
  package let name: String
  package let value: String

  /// A field; a control character in the value would end the field and is a programming error.
  package init(_ name: String, _ value: String) {
    precondition(Self.canHold(value), "control byte in \(name)")
    self.name = name
    self.value = value
  }

  /// Whether a field can have the value: a newline would begin another field.
  package static func canHold(_ value: String) -> Bool {
    value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
  }

  package static func bearer(_ token: String) -> Self { Self("Authorization", "Bearer \(token)") }
  package static func apiKey(_ key: String) -> Self { Self("X-API-Key", key) }
}

/// One request to a server.
package struct HTTPRequest: Sendable {
  package var method: String
  /// Path and query in their wire form, without the server's base path.
  package var target: String
  package var fields: [HTTPField]
  package var body: [UInt8]

  package init(
    _ method: String, _ target: String, fields: [HTTPField] = [], body: [UInt8] = []
  ) {
    self.method = method
    self.target = target
    self.fields = fields
    self.body = body
  }

  /// Appends the bytes of the request to `server`.
  package func write(to server: ServerURL, into bytes: inout [UInt8]) {
    bytes.appendText("\(method) \(server.basePath)\(target) HTTP/1.1\r\n")
    bytes.appendText("Host: \(server.hostField)\r\n")
    for field in fields { bytes.appendText("\(field.name): \(field.value)\r\n") }
    if !body.isEmpty || method == "POST" || method == "PUT" {
      bytes.appendText("Content-Length: ")
      bytes.appendDecimal(body.count)
      bytes.appendText("\r\n")
    }
    bytes.appendText("\r\n")
    bytes.append(contentsOf: body)
  }
}
