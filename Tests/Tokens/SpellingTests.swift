// Each token has one spelling and strict JSON (case 47).

import TestSupport
import Testing
import Tokens
import Wire

@Suite("RFC 7515, 2 and 7.1: one spelling")
struct SpellingTests {
  static let token = Forge.token(#"{"sub":"user","exp":1800000000,"scope":"publish"}"#)

  // Case 47
  @Test("none of 10,000 mutants of valid tokens is accepted")
  func mutants() throws {
    var random = SeededGenerator.announced("token mutants")
    let originals = [
      Self.token,
      Forge.token(members: #""scope":"a b c","aud":["x","y"]"#),
      Forge.token(members: #""name":"\#(String(repeating: "é", count: 40))""#),
    ]
    for original in originals { try #require(Forge.policy.refusal(of: original) == nil) }
    var accepted: [String] = []
    for _ in 0..<10_000 {
      let original = originals.randomElement(using: &random) ?? Self.token
      var mutant = original
      while mutant == original { mutant = Self.mutate(original, using: &random) }
      if Forge.policy.refusal(of: mutant) == nil { accepted.append(mutant) }
    }
    #expect(accepted == [])
  }

  /// One to three small changes of kinds that have deceived parsers.
  static func mutate(_ token: String, using random: inout SeededGenerator) -> String {
    var bytes = Array(token.utf8)
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let index = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<9, using: &random) {
      case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<7, using: &random)
      case 1: bytes[index] = Array("AQgw_-09az".utf8).randomElement(using: &random) ?? 0
      case 2:
        bytes.insert(Array("=+/ .\t\n\rA\0%".utf8).randomElement(using: &random) ?? 0, at: index)
      case 3: bytes.remove(at: index)
      case 4: bytes.swapAt(index, Int.random(in: 0..<bytes.count, using: &random))
      case 5: bytes.append(Array("=. \nA".utf8).randomElement(using: &random) ?? 0)
      case 6: bytes.removeLast()
      case 7: bytes.insert(Array("=. \nA".utf8).randomElement(using: &random) ?? 0, at: 0)
      default: bytes[bytes.count - 1] ^= UInt8.random(in: 1...3, using: &random)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  // Case 47
  @Test("of the 64 possible last characters of a signature, one is accepted")
  func lastCharacter() throws {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="
    let accepted = alphabet.filter {
      Forge.policy.refusal(of: String(Self.token.dropLast()) + String($0)) == nil
    }
    let last = try #require(Self.token.last)
    #expect(accepted == String(last))
  }

  // Case 47
  @Test("unused bits, padding and foreign characters are refused in parts signed with them")
  func signedMisspellings() {
    // 16 bytes, so that the last of 22 characters has four unused bits.
    let header = Base64.encodeURL(Array(#"{"alg":"HS256" }"#.utf8))
    let payload = Base64.encodeURL(Array(#"{"exp":1800000000  }"#.utf8))
    #expect(header.hasSuffix("Q") && payload.hasSuffix("0"))
    #expect(Forge.policy.refusal(of: Forge.sign("\(header).\(payload)")) == nil)
    let headers = [
      header.dropLast() + "R", header.dropLast() + "f", header + "==", header + "=",
      header + "A", header + "\n", " " + header, header + "%3D",
    ]
    for misspelt in headers {
      let token = Forge.sign("\(misspelt).\(payload)")
      #expect(Forge.policy.refusal(of: token) == .malformed, "\(misspelt)")
    }
    let payloads = [
      payload.dropLast() + "1", payload.dropLast() + "3", payload + "=", payload + " ",
      payload + "\r\n", payload + "\0", "\t" + payload,
    ]
    for misspelt in payloads {
      let token = Forge.sign("\(header).\(misspelt)")
      #expect(Forge.policy.refusal(of: token) == .malformed, "\(misspelt)")
    }
  }

  @Test("the alphabet of plain base64 is refused even if it would decode to the same bytes")
  func plainAlphabet() {
    // Its encoding has both `-` and `_`.
    let payload = Base64.encodeURL(Array(#"{"exp":1800000000,"a":"~~~???>>>"}"#.utf8))
    let header = Base64.encodeURL(Array(Forge.header.utf8))
    #expect(payload.contains("_") && payload.contains("-"))
    #expect(Forge.policy.refusal(of: Forge.sign("\(header).\(payload)")) == nil)
    let plain = String(payload.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
    #expect(Forge.policy.refusal(of: Forge.sign("\(header).\(plain)")) == .malformed)
  }

  // Case 47
  @Test("anything but three parts is refused")
  func parts() {
    let parts = Self.token.split(separator: ".").map(String.init)
    let (header, payload, code) = (parts[0], parts[1], parts[2])
    let tokens = [
      "", ".", "..", "...", header, "\(header).\(payload)", "\(payload).\(code)",
      "\(Self.token).", ".\(Self.token)", "\(Self.token).\(code)", "\(header)..\(payload).\(code)",
      "\(header).\(payload).\(code)..", "\(header).\(payload)\(code)", "..\(code)",
      // Five parts, as an encrypted token has.
      "\(header).\(payload).\(code).\(code).\(code)",
      "\(Self.token) ", " \(Self.token)", "\(Self.token)\n", "Bearer \(Self.token)",
      "\"\(Self.token)\"", "\(Self.token)\0", "\u{FEFF}\(Self.token)",
    ]
    for token in tokens { #expect(Forge.policy.refusal(of: token) == .malformed, "\(token)") }
    // An encrypted token is not treated as a signed one made of its first parts.
    let encrypted = Base64.encodeURL(Array(#"{"alg":"dir","enc":"A128GCM"}"#.utf8))
    #expect(Forge.policy.refusal(of: "\(encrypted)..\(payload).\(payload).\(code)") == .malformed)
    #expect(Forge.policy.refusal(of: "\(header)..\(code)") == .badSignature)
    #expect(Forge.policy.refusal(of: Forge.sign("\(header).")) == .malformed)
  }

  /// Texts that are not a strict JSON object, or have a duplicate name.
  static let looseObjects = [
    "", " ", "null", "[]", "\"{}\"", "1", "{", "}", "{}{}", "{} x", "{},", "{\"a\":1,}",
    "{'exp':1800000000}", "{exp:1800000000}", "{\"exp\":1800000000}//", "{\"exp\":1800000000}\0",
    "\u{FEFF}{\"exp\":1800000000}", "{\"exp\":1800000000,\"a\":NaN}",
    "{\"exp\":1800000000,\"a\":01}", "{\"exp\":1800000000,\"a\":+1}",
    "{\"exp\":1800000000,\"a\":.5}",
    "{\"exp\":1800000000,\"a\":\"\n\"}", "{\"exp\":1800000000,\"a\":\"\\ud800\"}",
    "{\"exp\":1800000000,\"a\":\"\\x\"}", "{\"exp\":1800000000,\"a\":tru}",
    "{\"exp\":1800000000 \"a\":1}", "{\"exp\" 1800000000}", "{\"exp\":1800000000,,\"a\":1}",
    "{\"exp\":1800000000,\"exp\":1800000000}", "{\"exp\":1,\"exp\":1800000000}",
    "{\"exp\":1800000000,\"\\u0065xp\":1800000000}", "{\"exp\":1800000000,\"a\":1,\"a\":1}",
    "{\"exp\":1800000000,\"sub\":\"a\",\"sub\":\"b\"}", "{\"exp\":1800000000,\"\":1,\"\":2}",
    "{\"exp\":1800000000,\"a\":1,\"b\":2,\"c\":3,\"a\":4}",
  ]

  @Test("a payload that is not a strict object of unique names is refused", arguments: looseObjects)
  func loosePayloads(payload: String) {
    #expect(Forge.policy.refusal(of: Forge.token(payload)) == .malformed)
  }

  @Test("a header that is not a strict object of unique names is refused")
  func looseHeaders() {
    for object in Self.looseObjects {
      let header = object.replacing("1800000000", with: "1,\"alg\":\"HS256\"")
      let token = Forge.token(#"{"exp":1800000000}"#, header: header)
      #expect(Forge.policy.refusal(of: token) == .malformed, "\(header)")
    }
  }

  @Test(
    "invalid UTF-8 is refused in header and payload",
    arguments: [
      [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0x80],
    ] as [[UInt8]])
  func invalidUnicode(bytes: [UInt8]) {
    let payload = Array(#"{"exp":1800000000,"sub":""#.utf8) + bytes + Array("\"}".utf8)
    let header = Array(#"{"alg":"HS256","typ":""#.utf8) + bytes + Array("\"}".utf8)
    let goodPayload = Array(#"{"exp":1800000000}"#.utf8)
    let tokens = [
      TokenSigner.sign(header: Array(Forge.header.utf8), payload: payload, secret: Forge.secret),
      TokenSigner.sign(header: header, payload: goodPayload, secret: Forge.secret),
    ]
    for token in tokens { #expect(Forge.policy.refusal(of: token) == .malformed) }
  }

  @Test("names are compared by their bytes, without normalisation")
  func equivalentNames() {
    let members = #""\u00e9":1,"e\u0301":2,"\u212a":3,"K":4"#
    #expect(Forge.policy.refusal(of: Forge.token(members: members)) == nil)
  }

  @Test("duplicate names in a nested object are ignored")
  func nestedDuplicates() {
    #expect(Forge.policy.refusal(of: Forge.token(members: #""a":{"b":1,"b":2}"#)) == nil)
  }
}
