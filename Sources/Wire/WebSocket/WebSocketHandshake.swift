// The opening handshake, server side: RFC 6455, section 4.2.
//
// Every refusal comes before the 101, as an HTTP answer; a client that gets the 101 uses version
// 13. The accept value is a SHA-1, which this module cannot compute: the caller does.

/// The content of an accepted upgrade request.
package struct UpgradeRequest: Equatable, Sendable {
  /// `Sec-WebSocket-Key` as sent: its text, not its bytes, goes into the accept value.
  package let key: String
  /// The offered subprotocols, in the client's order of preference, without duplicates.
  package let protocols: [String]

  /// The token that follows the entry `bearer`, wherever it stands; nil where none does.
  ///
  /// A browser can set no header on a WebSocket, so its token travels in this list.
  package var bearerToken: String? { bearerIndex.map { protocols[$0 + 1] } }

  /// The subprotocol of the answer: the client's first one besides `bearer` and the token, else
  /// `bearer`; nil where the client offered none.
  ///
  /// A browser fails a connection whose answer names none of the offered subprotocols.
  package var answeredProtocol: String? {
    guard let bearer = bearerIndex else { return protocols.first }
    // guard: token-not-answered
    let own = protocols.indices.first { $0 != bearer && $0 != bearer + 1 }
    return protocols[own ?? bearer]
  }

  /// The index of `bearer`, in any case; as the last entry it is a name like any other.
  private var bearerIndex: Int? {
    // guard: bearer-anywhere
    protocols.dropLast().firstIndex { $0.lowercased() == "bearer" }
  }
}

/// Validates upgrade requests and writes the answer.
package enum WebSocketHandshake {
  /// The text appended to the key before it is hashed (section 1.3).
  package static let acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

  /// The most subprotocols that a client may offer.
  ///
  /// Real clients offer one to three. The bound keeps the search for duplicates small.
  package static let protocolCountLimit = 32

  /// Whether a request is meant as a WebSocket handshake, valid or not.
  ///
  /// True also for one that only carries a key, so that a broken handshake gets an error that names
  /// the mistake and is not served as a plain GET.
  package static func isUpgrade(_ head: HTTPRequestHead) -> Bool {
    (head.hasToken("upgrade", in: "connection") && head.hasToken("websocket", in: "upgrade"))
      || head.value(of: "sec-websocket-key") != nil
  }

  /// Checks an upgrade request (section 4.2.1).
  ///
  /// The order is fixed: method, HTTP version and body, Upgrade, Connection, WebSocket version,
  /// key, subprotocols.
  ///
  /// - Throws: 405 for another method than GET; 426 for another version than 13, to which the
  ///   caller adds `Sec-WebSocket-Version: 13` (section 4.4); 400 for everything else. Extensions
  ///   are declined by leaving them out of the answer.
  package static func validate(_ head: HTTPRequestHead) throws(HTTPViolation) -> UpgradeRequest {
    // guard: upgrade-is-get
    guard head.method == .get else {
      throw HTTPViolation(status: 405, reason: "a WebSocket handshake is a GET")
    }
    // guard: upgrade-is-http-1-1
    guard head.minorVersion >= 1 else { throw .malformed("a WebSocket needs HTTP/1.1") }
    // The head parser already requires it of HTTP/1.1; section 4.2.1 requires it again.
    guard head.host != nil else { throw .malformed("no Host") }
    // The server would read a body as the first frame.
    guard !head.hasBody else { throw .malformed("a WebSocket handshake has no body") }
    guard head.hasToken("websocket", in: "upgrade") else {
      throw .malformed("no Upgrade: websocket")
    }
    // guard: upgrade-in-connection-header
    guard head.hasToken("upgrade", in: "connection") else {
      throw .malformed("no Connection: Upgrade")
    }
    // guard: websocket-version-13
    guard head.values(of: "sec-websocket-version") == ["13"] else {
      throw HTTPViolation(status: 426, reason: "WebSocket version 13 only")
    }
    let keys = head.values(of: "sec-websocket-key")
    // The length is checked before anything is decoded: 16 bytes are 24 characters.
    // guard: websocket-key
    guard keys.count == 1, keys[0].utf8.count == 24, Base64.decode(keys[0])?.count == 16 else {
      throw .malformed("Sec-WebSocket-Key is not 16 bytes of base64, once")
    }
    return UpgradeRequest(key: keys[0], protocols: try parseProtocols(head))
  }

  /// Appends the 101 answer.
  ///
  /// - Parameters:
  ///   - accept: base64 of the SHA-1 of the key followed by `acceptSuffix`.
  ///   - protocol: one of the offered, or nil for none.
  ///   - bytes: the bytes to append to.
  package static func writeResponse(
    accept: String, protocol: String?, into bytes: inout [UInt8]
  ) {
    bytes.appendText("HTTP/1.1 101 Switching Protocols\r\n")
    bytes.appendText("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
    bytes.appendText(accept)
    if let `protocol` {
      precondition(
        `protocol`.utf8.allSatisfy(HTTPCharacter.isToken), "protocol: \(`protocol`)")
      bytes.appendText("\r\nSec-WebSocket-Protocol: ")
      bytes.appendText(`protocol`)
    }
    bytes.appendText("\r\n\r\n")
  }

  /// Reads the token lists of all `Sec-WebSocket-Protocol` fields as one list.
  ///
  /// One pass without backtracking: a field of 8 KiB costs eight times one of 1 KiB, whatever its
  /// content. Empty elements are ignored (RFC 9110, section 5.6.1.2).
  private static func parseProtocols(_ head: HTTPRequestHead) throws(HTTPViolation) -> [String] {
    var protocols: [String] = []
    for value in head.values(of: "sec-websocket-protocol") {
      var token: [UInt8] = []
      var isTokenEnded = false
      for byte in value.utf8 {
        switch byte {
        case UInt8(ascii: ","):
          try append(token, to: &protocols)
          token.removeAll(keepingCapacity: true)
          isTokenEnded = false
        case UInt8(ascii: " "), UInt8(ascii: "\t"):
          isTokenEnded = !token.isEmpty
        default:
          guard HTTPCharacter.isToken(byte), !isTokenEnded else { throw invalidProtocols }
          token.append(byte)
        }
      }
      try append(token, to: &protocols)
    }
    return protocols
  }

  private static func append(
    _ token: [UInt8], to protocols: inout [String]
  ) throws(HTTPViolation) {
    guard !token.isEmpty else { return }
    let name = String(decoding: token, as: UTF8.self)
    // guard: subprotocol-count
    guard protocols.count < protocolCountLimit, !protocols.contains(name) else {
      throw invalidProtocols
    }
    protocols.append(name)
  }

  private static var invalidProtocols: HTTPViolation {
    .malformed("invalid Sec-WebSocket-Protocol")
  }
}
