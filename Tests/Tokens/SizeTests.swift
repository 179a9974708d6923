// Limits on the content of a token (case 54).

import Testing
import Tokens

@Suite("limits on the content of a token")
struct SizeTests {
  /// A valid token with a compact form of `byteCount` bytes.
  static func token(byteCount: Int) -> String {
    let empty = Forge.token(members: #""a":"""#).utf8.count
    // Four characters for three bytes: the estimate is at most two bytes off.
    for fillerCount in ((byteCount - empty) * 3 / 4 - 2)...((byteCount - empty) * 3 / 4 + 2) {
      let token = Forge.token(members: #""a":"\#(String(repeating: "x", count: fillerCount))""#)
      if token.utf8.count == byteCount { return token }
    }
    return ""
  }

  @Test("a token of 8,192 bytes is accepted and one of 8,193 is refused")
  func size() {
    #expect(Self.token(byteCount: 8_192).utf8.count == 8_192)
    #expect(Self.token(byteCount: 8_193).utf8.count == 8_193)
    #expect(Forge.policy.refusal(of: Self.token(byteCount: 8_192)) == nil)
    #expect(Forge.policy.refusal(of: Self.token(byteCount: 8_193)) == .tooLarge)
    #expect(Forge.policy.refusal(of: String(repeating: ".", count: 1 << 20)) == .tooLarge)
    #expect(Forge.policy.refusal(of: String(repeating: "é", count: 4_097)) == .tooLarge)
  }

  /// `count` names in an array.
  static func names(_ count: Int) -> String {
    "[" + (0..<count).map { "\"n\($0)\"" }.joined(separator: ",") + "]"
  }

  @Test("64 scopes and roles are accepted and 65 are refused, however they are spread")
  func scopes() throws {
    let spaced = { String(repeating: "s ", count: $0) }
    let members: [(String, Bool)] = [
      (#""scopes":\#(Self.names(64))"#, true), (#""scopes":\#(Self.names(65))"#, false),
      (#""roles":\#(Self.names(1_000))"#, false), (#""scope":"\#(spaced(64))""#, true),
      (#""scope":"\#(spaced(65))""#, false), (#""scope":"\#(spaced(2_500))""#, false),
      (#""scope":"\#(spaced(32))","roles":\#(Self.names(32))"#, true),
      (#""scope":"\#(spaced(32))","roles":\#(Self.names(33))"#, false),
      (#""scopes":[\#(String(repeating: "1,", count: 64))1]"#, false),
    ]
    for (members, isAccepted) in members {
      let refusal = Forge.policy.refusal(of: Forge.token(members: members))
      #expect(refusal == (isAccepted ? nil : .tooLarge), "\(members.prefix(40))")
    }
    let full = Forge.token(members: #""scopes":\#(Self.names(64))"#)
    #expect(try Forge.policy.claims(of: full).scopes.count == 64)
  }

  @Test("64 audiences are accepted and 65 are refused")
  func audiences() {
    var policy = Forge.policy
    policy.audience = "n0"
    #expect(policy.refusal(of: Forge.token(members: #""aud":\#(Self.names(64))"#)) == nil)
    #expect(policy.refusal(of: Forge.token(members: #""aud":\#(Self.names(65))"#)) == .tooLarge)
  }

  @Test("nesting of 32 is accepted; 33, 100 and the deepest that fits are refused")
  func depth() {
    let nested = { (depth: Int) in
      // The payload itself is the first level.
      let value =
        String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1)
      return (#""a":\#(value)"#, #"{"alg":"HS256","a":\#(value)}"#)
    }
    for (depth, refusal) in [(32, nil), (33, .malformed), (100, .malformed), (2_900, .malformed)]
      as [(Int, TokenError?)]
    {
      let (members, header) = nested(depth)
      #expect(Forge.policy.refusal(of: Forge.token(members: members)) == refusal, "\(depth)")
      let token = Forge.token(#"{"exp":1800000000}"#, header: header)
      #expect(Forge.policy.refusal(of: token) == refusal, "header, \(depth)")
    }
  }
}
