// The answer to the handshake of a WebSocket: RFC 6455, section 4.2.2.

internal import Cryptography
internal import Delivery
internal import Wire

extension HTTPConnections {
  /// Writes the 101 response that turns the connection into a WebSocket.
  func acceptWebSocket(_ request: UpgradeRequest, at slot: UInt32) {
    let key = Array((request.key + WebSocketHandshake.acceptSuffix).utf8)
    delivery.write(at: slot) { bytes in
      WebSocketHandshake.writeResponse(
        accept: Base64.encode(Digest.sha1(key)), protocol: request.answeredProtocol, into: &bytes)
    }
  }
}
