// Texts of public keys: PEM, JWK and sets, and the reasons for which they are refused (case 46).

import Cryptography
import TestSigning
import TestSupport
import Testing
import Wire

@testable import Tokens

@Suite("RFC 7468, RFC 7517 and RFC 7518, 6: texts of public keys")
struct KeyDocumentTests {
  static func fault(_ text: String) -> KeyFault? {
    do throws(KeyFault) {
      _ = try KeyDocument.parse(text)
      return nil
    } catch {
      return error
    }
  }

  static func setFault(_ text: String) -> KeyFault? {
    do throws(KeyFault) {
      _ = try KeyDocument.parseSet(Array(text.utf8))
      return nil
    } catch {
      return error
    }
  }

  static let (rsa, ec, ed) = (TestKey.key(.rs256), TestKey.key(.es256), TestKey.key(.eddsa))

  // MARK: PEM

  @Test("a PEM key has the algorithm of its kind", arguments: TestKey.kinds)
  func standardAlgorithms(key: TestKey) throws {
    let keys = try KeyDocument.parse(key.pem)
    #expect(keys.map(\.algorithm) == [key.algorithm])
    #expect(keys.map(\.identifier) == [nil])
    #expect(TokenPolicy(keys: keys).refusal(of: key.token()) == nil)
  }

  @Test("a name before a block is its algorithm", arguments: TestKey.all)
  func namedAlgorithms(key: TestKey) throws {
    for separator in ["", "\n", " "] {
      let keys = try KeyDocument.parse("\(key.algorithm.rawValue):\(separator)\(key.pem)")
      #expect(keys.map(\.algorithm) == [key.algorithm])
    }
    for other in SigningAlgorithm.allCases {
      let isFitting = other.fits(key.numbers.kind)
      #expect(
        Self.fault("\(other.rawValue):\(key.pem)")
          == (isFitting ? nil : .algorithmOfAnotherKind(other)))
    }
  }

  @Test("several blocks follow each other, and white space is free")
  func spellings() throws {
    let all = Self.rsa.pem + "PS512:" + Self.rsa.pem + "\n\n" + Self.ec.pem + Self.ed.pem
    let algorithms: [SigningAlgorithm] = [.rs256, .ps512, .es256, .eddsa]
    for text in [
      all, all.replacing("\n", with: "\r\n"), all.replacing("\n", with: "\\n"),
      all.replacing("\n", with: "\\r\\n"), all.replacing("\n", with: " "),
      all.replacing("\n", with: ""), "\n\t " + all + " \n",
    ] {
      #expect(try KeyDocument.parse(text).map(\.algorithm) == algorithms)
    }
  }

  static let refusedTexts: [(text: String, fault: KeyFault)] = [
    ("", .noKey), (" \n", .noKey), ("key", .notPEM), ("/etc/key.pem", .notPEM),
    ("RS256:", .notPEM), ("RS256: RS256:" + rsa.pem, .notPEM), (rsa.pem + "x", .notPEM),
    ("key " + rsa.pem, .notPEM), ("rs256:" + rsa.pem, .unknownAlgorithm),
    ("none:" + rsa.pem, .unknownAlgorithm), (":" + rsa.pem, .unknownAlgorithm),
    ("HS256:" + rsa.pem, .algorithmOfAnotherKind(.hs256)),
    ("-----BEGIN ", .damagedBlock), ("-----BEGIN PUBLIC KEY-----", .damagedBlock),
    ("-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----", .unusable(.encoding)),
    ("-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----", .damagedBlock),
    (String(rsa.pem.dropLast(20)), .damagedBlock),
    (rsa.pem.replacing("-----END", with: "=-----END"), .damagedBlock),
    (TestKey.pem(rsa.signer.publicKey + [0]), .unusable(.encoding)),
    (TestKey.pem(rsa.signer.publicKey, label: "CERTIFICATE"), .certificate),
    (TestKey.pem(rsa.signer.publicKey, label: "TRUSTED CERTIFICATE"), .certificate),
    (TestKey.pem(rsa.signer.publicKey, label: "RSA PUBLIC KEY"), .otherBlock),
    (TestKey.pem(rsa.signer.publicKey, label: "SSH2 PUBLIC KEY "), .otherBlock),
    ("-----BEGIN PRIVATE KEY-----", .privateKey),
    ("RS256:-----BEGIN RSA PRIVATE KEY-----\n", .privateKey),
    (ec.pem + TestKey.pem([1], label: "EC PRIVATE KEY"), .privateKey),
    (TestKey.pem([1], label: "ENCRYPTED PRIVATE KEY"), .privateKey),
    (TestKey.pem([1], label: "OPENSSH PRIVATE KEY"), .privateKey),
    ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK", .notPEM),
    (String(repeating: " ", count: 65_537), .tooLong),
    (String(repeating: ed.pem, count: 65), .tooManyKeys),
    (String(repeating: ed.pem, count: 9), .tooManyAlike),
    (String(repeating: "-----BEGIN ", count: 5_000), .otherBlock),
  ]

  @Test("a text that is no public key is refused with its reason", arguments: refusedTexts)
  func refused(text: String, fault: KeyFault) {
    #expect(Self.fault(text) == fault, "\(text.prefix(80))")
  }

  @Test("eight keys may be alike")
  func alike() throws {
    #expect(try KeyDocument.parse(String(repeating: Self.ed.pem, count: 8)).count == 8)
  }

  // MARK: JSON

  static func weak(_ bits: Int) -> TestKey { TestKey(.rs256, TestSigner(.rsa(bits: bits))) }

  /// One key, and the fault of it alone.
  static let refusedKeys: [(text: String, fault: KeyFault)] = [
    ("{}", .member(.kty)), (#"{"kty":1}"#, .member(.kty)), (#"{"kty":"rsa"}"#, .unknownType),
    (#"{"kty":"RSA"}"#, .member(.n)), (#"{"kty":"RSA","n":"AQ"}"#, .member(.e)),
    (#"{"kty":"RSA","n":"A","e":"AQAB"}"#, .member(.n)),
    (#"{"kty":"RSA","n":"AQ==","e":"AQAB"}"#, .member(.n)),
    (#"{"kty":"RSA","n":"AQ","e":"AQAB"}"#, .unusable(.modulus)),
    (#"{"kty":"RSA","n":"","e":""}"#, .unusable(.modulus)),
    (weak(1_024).jwk(), .unusable(.modulus)),
    (rsa.jwk().replacing(#""e":"AQAB""#, with: #""e":"AQ""#), .unusable(.exponent)),
    (rsa.jwk().replacing(#""e":"AQAB""#, with: #""e":65537"#), .member(.e)),
    (#"{"kty":"EC","x":"AQ","y":"AQ"}"#, .member(.crv)),
    (#"{"kty":"EC","crv":"secp256k1","x":"AQ","y":"AQ"}"#, .unknownType),
    (#"{"kty":"EC","crv":"p-256","x":"AQ","y":"AQ"}"#, .unknownType),
    (#"{"kty":"EC","crv":"P-256","x":"AQ","y":"AQ"}"#, .unusable(.coordinateLength)),
    (#"{"kty":"EC","crv":"P-256","x":"AQ"}"#, .member(.y)),
    (#"{"kty":"EC","crv":"Ed25519","x":"AQ","y":"AQ"}"#, .unknownType),
    (ec.jwk().replacing("P-256", with: "P-384"), .algorithmOfAnotherKind(.es256)),
    (#"{"kty":"OKP","crv":"X25519","x":"AQ"}"#, .unknownType),
    (#"{"kty":"OKP","crv":"Ed25519"}"#, .member(.x)),
    (#"{"kty":"OKP","crv":"Ed25519","x":"AQ"}"#, .unusable(.coordinateLength)),
    (
      #"{"kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
      .unusable(.smallOrder)
    ),
    (rsa.jwk(#""use":"enc""#), .otherUse), (rsa.jwk(#""use":1"#), .member(.use)),
    (rsa.jwk(#""use":"SIG""#), .otherUse), (rsa.jwk(#""key_ops":[]"#), .otherUse),
    (rsa.jwk(#""key_ops":["sign","encrypt"]"#), .otherUse),
    (rsa.jwk(#""key_ops":"verify""#), .member(.keyOps)), (rsa.jwk(#""kid":1"#), .member(.kid)),
    (rsa.jwk(#""kid":null"#), .member(.kid)),
    ("{\(rsa.jwkNumbers),\"alg\":\"RSA-OAEP\"}", .unknownAlgorithm),
    ("{\(rsa.jwkNumbers),\"alg\":\"none\"}", .unknownAlgorithm),
    ("{\(rsa.jwkNumbers),\"alg\":\"\"}", .unknownAlgorithm),
    ("{\(rsa.jwkNumbers),\"alg\":null}", .member(.alg)),
    ("{\(rsa.jwkNumbers),\"alg\":\"HS256\"}", .algorithmOfAnotherKind(.hs256)),
    ("{\(rsa.jwkNumbers),\"alg\":\"ES256\"}", .algorithmOfAnotherKind(.es256)),
    ("{\(ec.jwkNumbers),\"alg\":\"ES384\"}", .algorithmOfAnotherKind(.es384)),
    ("{\(ec.jwkNumbers),\"alg\":\"EdDSA\"}", .algorithmOfAnotherKind(.eddsa)),
    ("{\(ed.jwkNumbers),\"alg\":\"ES256\"}", .algorithmOfAnotherKind(.es256)),
  ]

  @Test(
    "a key that cannot verify is refused alone and skipped in a fetched set", arguments: refusedKeys
  )
  func refusedKey(text: String, fault: KeyFault) throws {
    #expect(Self.fault(text) == fault, "\(text)")
    let set = try KeyDocument.parseSet(Array("{\"keys\":[\(text),\(Self.ec.jwk())]}".utf8))
    #expect(set.keys.map(\.algorithm) == [.es256])
    #expect(set.skipped == [fault])
    #expect(Self.setFault("{\"keys\":[\(text)]}") == .noKey)
    // The operator's own set: only keys for other purposes are skipped.
    let isForOthers = [.unknownType, .otherUse, .unknownAlgorithm].contains(fault)
    #expect(Self.fault("{\"keys\":[\(text),\(Self.ec.jwk())]}") == (isForOthers ? nil : fault))
  }

  /// Documents that are refused as a whole, wherever they come from.
  static let refusedSets: [(text: String, fault: KeyFault)] = [
    ("{", .notObject), ("{}x", .notObject), (#"{"keys":[{]}"#, .notObject),
    (#"{"keys":[],"keys":[]}"#, .notObject), (#"{"keys":{}}"#, .noKeys),
    (#"{"keys":null}"#, .noKeys), (#"{"keys":[]}"#, .noKey), (#"{"keys":[1]}"#, .notObject),
    (#"{"keys":["a"]}"#, .notObject), ("{\"keys\":[\(ec.jwk(#""kty":"EC""#))]}", .notObject),
    (#"{"keys":[{"kty":"oct","k":"AQ"}]}"#, .secret), (#"{"keys":[{"kty":"oct"}]}"#, .secret),
    ("{\"keys\":[\(ec.jwk()),{\"kty\":\"oct\",\"k\":\"AQ\",\"use\":\"enc\"}]}", .secret),
    ("{\"keys\":[\(ec.jwk(#""d":"AQ""#))]}", .privateKey),
    ("{\"keys\":[\(rsa.jwk(#""d":"AQ","p":"AQ""#))]}", .privateKey),
    ("{\"keys\":[\(rsa.jwk(#""qi":null"#))]}", .privateKey),
    ("{\"keys\":[\(ed.jwk(#""d":"AQ","use":"enc""#))]}", .privateKey),
    (
      #"{"keys":[\#([String](repeating: ec.jwk(), count: 9).joined(separator: ","))]}"#,
      .tooManyAlike
    ),
    (
      #"{"keys":[\#([String](repeating: "{}", count: 65).joined(separator: ","))]}"#, .tooManyKeys
    ),
    ("{\"keys\":[]" + String(repeating: " ", count: 65_536) + "}", .tooLong),
    ("{\"a\":" + String(repeating: "[", count: 60_000), .notObject),
  ]

  @Test("a set with a secret, a private key or without form is refused", arguments: refusedSets)
  func refusedSet(text: String, fault: KeyFault) {
    #expect(Self.fault(text) == fault, "\(text.prefix(80))")
    #expect(Self.setFault(text) == fault, "\(text.prefix(80))")
  }

  @Test("one key is no set, and PEM is none")
  func noSet() {
    #expect(Self.fault(Self.ec.jwk()) == nil)
    #expect(Self.setFault(Self.ec.jwk()) == .noKeys)
    #expect(Self.setFault(Self.ec.pem) == .notObject)
    #expect(Self.fault(#"{"kty":"oct","k":"AQ"}"#) == .secret)
    #expect(Self.fault(Self.ec.jwk(#""d":"AQ""#)) == .privateKey)
  }

  @Test("members that are not known are ignored, and the usual ones are read")
  func members() throws {
    let more =
      #""kid":"a\u0062","use":"sig","key_ops":["sign","verify"],"x5c":["!"],"#
      + #""x5u":"file:///","ext":1"#
    for key in TestKey.all {
      let keys = try KeyDocument.parse(" " + key.jwk(more))
      #expect(keys.map(\.identifier) == ["ab"])
      #expect(keys.map(\.algorithm) == [key.algorithm])
    }
    for key in TestKey.kinds {
      #expect(try KeyDocument.parse("{\(key.jwkNumbers)}").map(\.algorithm) == [key.algorithm])
    }
    let set = try KeyDocument.parseSet(
      Array(#"{"issuer":{"a":[]},"keys":[\#(Self.ec.jwk()),\#(Self.rsa.jwk())]}"#.utf8))
    #expect(set.keys.map(\.algorithm) == [.es256, .rs256] && set.skipped.isEmpty)
  }

  @Test("no mutant of a text is a trap, and a fault holds nothing of the text")
  func mutatedTexts() {
    var generator = SeededGenerator(seed: 3)
    let seeds = [
      Self.ec.pem, "PS256:" + Self.rsa.pem, Self.ed.jwk(#""kid":"k","use":"sig""#),
      #"{"keys":[\#(Self.ec.jwk(#""kid":"1""#)),\#(Self.rsa.jwk())]}"#,
    ]
    for seed in seeds {
      for mutant in mutants(of: Array(seed.utf8), count: 1_500, using: &generator) {
        let text = String(decoding: mutant, as: UTF8.self)
        if let keys = try? KeyDocument.parse(text) { #expect(!keys.isEmpty) }
        if let set = try? KeyDocument.parseSet(mutant) { #expect(!set.keys.isEmpty) }
      }
    }
    for fault in Self.refusedTexts.map(\.fault) + Self.refusedKeys.map(\.fault) {
      #expect(!fault.text.isEmpty && !fault.text.contains("\n"))
    }
  }
}
