// The bearer's user id and rights.

import Testing
import Tokens

@Suite("RFC 7519, 4: claims")
struct ClaimTests {
  /// Members beside `exp`, and the user id that they make.
  static let users: [(String, String?)] = [
    (#""sub":"user-1""#, "user-1"), (#""user_id":"u""#, "u"), (#""userId":"u""#, "u"),
    (#""id":"u""#, "u"), (#""name":"u""#, nil),
    // The first claim present decides, in this order and not in the token's.
    (#""id":"d","userId":"c","user_id":"b","sub":"a""#, "a"),
    (#""id":"d","userId":"c","user_id":"b""#, "b"), (#""id":"d","userId":"c""#, "c"),
    (#""sub":null,"user_id":"b""#, nil), (#""sub":"","user_id":"b""#, nil),
    (#""sub":false,"id":"d""#, nil),
    // Integers are read as their digits, however many.
    (#""sub":42"#, "42"), (#""sub":0"#, "0"), (#""sub":-7"#, "-7"),
    (#""sub":9223372036854775808"#, "9223372036854775808"),
    (#""sub":18446744073709551617"#, "18446744073709551617"),
    (#""sub":\#(String(repeating: "9", count: 128))"#, String(repeating: "9", count: 128)),
    (#""sub":\#(String(repeating: "9", count: 129))"#, nil), (#""sub":-0"#, nil),
    (#""sub":1.0"#, nil), (#""sub":1e3"#, nil), (#""sub":1E3"#, nil), (#""sub":1e308"#, nil),
    (#""sub":-1.5"#, nil),
    (#""sub":true"#, nil), (#""sub":{}"#, nil), (#""sub":["u"]"#, nil),
    (#""sub":{"id":"u"}"#, nil),
    // Strings of 1 to 128 bytes, and no control character of Unicode's.
    (#""sub":" ""#, " "), (#""sub":"ü/é 日本""#, "ü/é 日本"), (#""sub":"\u0041""#, "A"),
    (#""sub":"\#(String(repeating: "a", count: 128))""#, String(repeating: "a", count: 128)),
    (#""sub":"\#(String(repeating: "a", count: 129))""#, nil),
    (#""sub":"\#(String(repeating: "é", count: 64))""#, String(repeating: "é", count: 64)),
    (#""sub":"\#(String(repeating: "é", count: 64))a""#, nil),
    (#""sub":"a\u0000""#, nil), (#""sub":"a\nb""#, nil), (#""sub":"\r\n""#, nil),
    (#""sub":"\u001f""#, nil), (#""sub":"\u007f""#, nil), (#""sub":"\u0080""#, nil),
    (#""sub":"\u009f""#, nil), (#""sub":"\u00a0""#, "\u{A0}"), (#""sub":"a\u0085b""#, nil),
  ]

  @Test("the user id is the first claim of the four, if it is usable", arguments: users)
  func user(members: String, userID: String?) throws {
    let token = Forge.token(#"{"exp":1800000000,\#(members)}"#)
    let claims = try Forge.policy.claims(of: token)
    #expect(claims.userID.map { Array($0.utf8) } == userID.map { Array($0.utf8) })
  }

  @Test("a user id keeps its bytes, also where Unicode calls two spellings equal")
  func spellings() throws {
    let composed = try Forge.policy.claims(of: Forge.token(#"{"exp":1800000000,"sub":"\u00e9"}"#))
    let parted = try Forge.policy.claims(of: Forge.token(#"{"exp":1800000000,"sub":"e\u0301"}"#))
    #expect(composed.userID.map { Array($0.utf8) } == [0xC3, 0xA9])
    #expect(parted.userID.map { Array($0.utf8) } == [0x65, 0xCC, 0x81])
  }

  @Test("a configured claim replaces the usual ones")
  func userClaim() throws {
    var policy = Forge.policy
    policy.userClaim = "https://example.org/uid"
    let token = { (member: String) in
      Forge.token(#"{"exp":1800000000,"sub":"a","user_id":"b"\#(member)}"#)
    }
    #expect(try policy.claims(of: token(#","https://example.org/uid":7"#)).userID == "7")
    #expect(try policy.claims(of: token("")).userID == nil)
    #expect(try policy.claims(of: token(#","https://example.org/uid":null"#)).userID == nil)
  }

  /// Members beside `exp`, the names in them, and whether those make a publisher.
  static let rights: [(String, [String], Bool)] = [
    (#""a":1"#, [], false), (#""scope":"""#, [], false), (#""scope":"publish""#, ["publish"], true),
    (#""scope":"read publish""#, ["read", "publish"], true),
    (#""scope":"read,publish""#, ["read", "publish"], true),
    (#""scope":" read , ,publish ""#, ["read", "publish"], true),
    (#""scopes":["read","service"]"#, ["read", "service"], true),
    (#""role":"admin""#, ["admin"], true), (#""roles":["user","admin"]"#, ["user", "admin"], true),
    (#""roles":"user admin""#, ["user", "admin"], true), (#""role":["admin"]"#, ["admin"], true),
    (#""scope":"a","scopes":["b"],"role":"c","roles":["d"]"#, ["a", "b", "c", "d"], false),
    (#""roles":["publish"],"scope":"a""#, ["a", "publish"], true),
    // A name that only resembles that of a right grants none.
    (#""scope":"Publish PUBLISH""#, ["Publish", "PUBLISH"], false),
    (#""scope":"publisher unpublish""#, ["publisher", "unpublish"], false),
    (#""scope":"publish;read""#, ["publish;read"], false),
    (#""scope":"publish\u0000""#, ["publish\0"], false),
    (#""scope":"publish\u0301""#, ["publish\u{301}"], false),
    (#""scope":"publish\tread""#, ["publish\tread"], false),
    (#""scopes":["publish read"]"#, ["publish read"], false),
    (#""admin":true"#, [], false), (#""scope":{"publish":true}"#, [], false),
    (#""scope":true"#, [], false), (#""scope":null"#, [], false), (#""role":1"#, [], false),
    (#""scopes":[["publish"],{"a":"publish"},1,null,true]"#, [], false),
    (#""scopes":[1,"publish"]"#, ["publish"], true), (#""scope_":"publish""#, [], false),
    (#""permissions":["publish"]"#, [], false), (#""sub":"admin""#, [], false),
    // A separator separates also if a combining mark follows it.
    (#""scope":"publish \u0301""#, ["publish", "\u{301}"], true),
  ]

  @Test("only an exact name of a scope or role makes a publisher", arguments: rights)
  func publisher(members: String, scopes: [String], isPublisher: Bool) throws {
    let claims = try Forge.policy.claims(of: Forge.token(#"{"exp":1800000000,\#(members)}"#))
    #expect(claims.scopes.map { Array($0.utf8) } == scopes.map { Array($0.utf8) })
    #expect(claims.isPublisher == isPublisher)
  }

  @Test(
    "only the exact scope or role admin of a publisher makes an administrator",
    arguments: [
      (#""scope":"admin""#, true), (#""roles":["x","admin"]"#, true), (#""role":"admin""#, true),
      (#""scope":"publish""#, false), (#""scope":"service""#, false), (#""scope":"Admin""#, false),
      (#""scope":"administrator""#, false), (#""sub":"admin""#, false),
    ])
  func administrator(members: String, isAdmin: Bool) throws {
    let token = Forge.token(#"{"exp":1800000000,\#(members)}"#)
    #expect(try Forge.policy.claims(of: token).isAdmin == isAdmin)
    var policy = Forge.policy
    policy.publisherScopes = ["publish"]
    #expect(try !policy.claims(of: token).isAdmin)
  }

  @Test("the policy may name other scopes")
  func publisherScopes() throws {
    var policy = Forge.policy
    policy.publisherScopes = ["Kiln"]
    #expect(try policy.claims(of: Forge.token(members: #""scope":"a Kiln""#)).isPublisher)
    #expect(try !policy.claims(of: Forge.token(members: #""scope":"publish""#)).isPublisher)
    #expect(try !policy.claims(of: Forge.token(members: #""scope":"\u212ailn""#)).isPublisher)
  }

  @Test(
    "the issuer must be the configured one, byte for byte",
    arguments: [
      (#""iss":"Kestrel""#, true), (#""iss":"kestrel""#, false), (#""iss":"Kestrel/""#, false),
      (#""iss":"\u212aestrel""#, false), (#""iss":["Kestrel"]"#, false), (#""iss":null"#, false),
      (#""iss":"""#, false), (#""a":1"#, false), (#""iss":1"#, false),
    ])
  func issuer(members: String, isAccepted: Bool) {
    var policy = Forge.policy
    #expect(policy.refusal(of: Forge.token(members: members)) == nil)
    policy.issuer = "Kestrel"
    #expect(policy.refusal(of: Forge.token(members: members)) == (isAccepted ? nil : .wrongIssuer))
  }

  @Test(
    "the audience must be or contain the configured one, byte for byte",
    arguments: [
      (#""aud":"Kite""#, true), (#""aud":["a","Kite"]"#, true), (#""aud":["Kite"]"#, true),
      (#""aud":[1,"Kite"]"#, true), (#""aud":"kite""#, false), (#""aud":"Kite a""#, false),
      (#""aud":[]"#, false), (#""aud":[["Kite"]]"#, false), (#""aud":{"Kite":1}"#, false),
      (#""aud":null"#, false), (#""aud":"\u212aite""#, false), (#""aud":["\u212aite"]"#, false),
      (#""a":1"#, false), (#""aud":7"#, false),
    ])
  func audience(members: String, isAccepted: Bool) {
    var policy = Forge.policy
    #expect(policy.refusal(of: Forge.token(members: members)) == nil)
    policy.audience = "Kite"
    #expect(
      policy.refusal(of: Forge.token(members: members)) == (isAccepted ? nil : .wrongAudience))
  }
}
