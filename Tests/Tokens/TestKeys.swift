// Key pairs for each algorithm, with the texts in which a server gets the public key.

import Cryptography
import TestSigning
import TestSupport
import Testing
import Wire

@testable import Tokens

/// A key pair and the algorithm it is used with.
struct TestKey: Sendable, CustomTestStringConvertible {
  let algorithm: SigningAlgorithm
  let signer: TestSigner
  let numbers: PublicKeyNumbers
  var testDescription: String { algorithm.rawValue }

  init(_ algorithm: SigningAlgorithm, _ signer: TestSigner) {
    self.algorithm = algorithm
    self.signer = signer
    // Checked by the tests of Cryptography.
    numbers = try! SubjectPublicKeyInfo.parse(signer.publicKey)
  }

  private static let rsa = TestSigner(.rsa(bits: 2_048))

  static let all: [TestKey] =
    [.rs256, .rs384, .rs512, .ps256, .ps384, .ps512].map { TestKey($0, rsa) } + [
      TestKey(.es256, TestSigner(.p256)), TestKey(.es384, TestSigner(.p384)),
      TestKey(.es512, TestSigner(.p521)), TestKey(.eddsa, TestSigner(.ed25519)),
    ]
  /// One for each kind of key.
  static let kinds = all.filter { [.rs256, .es256, .es384, .es512, .eddsa].contains($0.algorithm) }

  static func key(_ algorithm: SigningAlgorithm) -> TestKey {
    all.first { $0.algorithm == algorithm }!
  }

  /// The public key in PEM, with lines of 64 characters and a newline at the end.
  var pem: String { TestKey.pem(signer.publicKey) }

  static func pem(_ bytes: [UInt8], label: String = "PUBLIC KEY") -> String {
    let text = Array(Base64.encode(bytes))
    let lines = stride(from: 0, to: text.count, by: 64).map {
      String(text[$0..<min($0 + 64, text.count)])
    }
    return "-----BEGIN \(label)-----\n\(lines.joined(separator: "\n"))\n-----END \(label)-----\n"
  }

  /// The members of the public key's numbers in a JWK.
  var jwkNumbers: String {
    func member(_ name: String, _ bytes: [UInt8]) -> String {
      #""\#(name)":"\#(Base64.encodeURL(bytes))""#
    }
    switch numbers {
    case .rsa(let modulus, let exponent):
      return #""kty":"RSA",\#(member("n", modulus)),\#(member("e", exponent))"#
    case .elliptic(let curve, let x, let y):
      let name =
        switch curve {
        case .p256: "P-256"
        case .p384: "P-384"
        case .p521: "P-521"
        }
      return #""kty":"EC","crv":"\#(name)",\#(member("x", x)),\#(member("y", y))"#
    case .ed25519(let point):
      return #""kty":"OKP","crv":"Ed25519",\#(member("x", point))"#
    }
  }

  /// The public key as a JWK with its algorithm, and further members.
  func jwk(_ members: String = "") -> String {
    let more = members.isEmpty ? "" : "," + members
    return #"{\#(jwkNumbers),"alg":"\#(algorithm.rawValue)"\#(more)}"#
  }

  /// A signature by this key with its algorithm.
  func sign(_ signed: String) -> [UInt8] {
    let message = Array(signed.utf8)
    switch algorithm {
    case .hs256, .hs384, .hs512: preconditionFailure("\(algorithm) has no key pair")
    case .rs256, .es256: return signer.sign(message, hash: "SHA2-256")
    case .rs384, .es384: return signer.sign(message, hash: "SHA2-384")
    case .rs512, .es512: return signer.sign(message, hash: "SHA2-512")
    case .ps256: return sign(message, pss: "SHA2-256", 32)
    case .ps384: return sign(message, pss: "SHA2-384", 48)
    case .ps512: return sign(message, pss: "SHA2-512", 64)
    case .eddsa: return signer.sign(message, hash: nil)
    }
  }

  private func sign(_ message: [UInt8], pss hash: String, _ count: Int) -> [UInt8] {
    signer.sign(message, hash: hash, padding: .pss(saltByteCount: count, mask: hash))
  }

  /// A token with this key's signature; its `alg` is this key's unless another is given.
  func token(
    _ payload: String = #"{"sub":"user","exp":1800000000}"#, header members: String = "",
    alg: String? = nil
  ) -> String {
    let more = members.isEmpty ? "" : "," + members
    let header = #"{"alg":"\#(alg ?? algorithm.rawValue)"\#(more)}"#
    let signed = Base64.encodeURL(Array(header.utf8)) + "." + Base64.encodeURL(Array(payload.utf8))
    return signed + "." + Base64.encodeURL(sign(signed))
  }
}
