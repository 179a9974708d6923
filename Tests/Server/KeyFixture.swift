// API keys with known secrets, and requests with them.

import Cryptography
import Notifications
import Testing
import Wire

@testable import Server

/// A key, and the text of a secret of it.
struct TestKey {
  var key: APIKey
  let secret: String

  /// A key with that number and those rights; distinct numbers have distinct ids and secrets.
  init(
    _ number: UInt8, _ verbs: Set<APIVerb> = [.publish], types: [String] = [],
    until end: Int64? = nil
  ) {
    let id = APIKeyID(characters: String(repeating: "k", count: 14) + "\(10 + number % 90)")!
    secret = TestKey.secret(of: id, number)
    key = APIKey(
      id: id, name: "key \(number)", rights: APIRights(verbs: verbs, types: types),
      createdAt: ShardFixture.startWall, expiresAt: end, digest: TestKey.digest(of: secret))
  }

  static func secret(of id: APIKeyID, _ byte: UInt8) -> String {
    APIKeyText.make(id, random: [UInt8](repeating: byte, count: APIKeyText.randomByteCount))
  }

  static func digest(of secret: String) -> SecretDigest {
    SecretDigest(Digest.sha256(Array(secret.utf8)))!
  }
}

extension ShardFixture {
  /// Sends a request with a key in `X-API-Key`, on a new connection.
  func send(
    _ line: String, key: String, body: String = "", fields: String = "", to index: Int = 0
  ) throws -> TestPeer {
    let peer = try connect(to: index)
    peer.send(
      "\(line) HTTP/1.1\r\nHost: x\r\nX-API-Key: \(key)\r\nContent-Length: \(body.utf8.count)\r\n"
        + "\(fields)\r\n\(body)")
    return peer
  }

  /// The status of the answer to a request with a key, and its body.
  func answer(
    _ line: String, key: String, body: String = "", fields: String = ""
  ) throws -> (status: String, body: String) {
    let peer = try send(line, key: key, body: body, fields: fields)
    let (head, body) = try EndpointTests.answer(to: peer, self)
    return (String(head.dropFirst(9).prefix(3)), body)
  }

  /// The command about keys that the store has to carry out next.
  func keyCommand() throws -> APIKeyCommand {
    try turn(until: { !store.commands.isEmpty })
    guard case .apiKeys(let command) = store.commands[0].command else {
      throw UnexpectedCommand()
    }
    return command
  }

  struct UnexpectedCommand: Error {}
}
