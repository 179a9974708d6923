// Signatures at the edges of what is valid (case 46).
//
// All are made here: valid ones with new keys, the others from them or with the private key. The
// tables have more than a thousand signatures.

import TestSigning
import TestSupport
import Testing

@testable import Cryptography

/// One scheme with a key for it.
struct SignedScheme: Sendable, CustomTestStringConvertible {
  let scheme: PublicKey.Scheme
  let signer: TestSigner
  let key: PublicKey
  var testDescription: String { "\(scheme)" }

  static let message = Array("header.payload".utf8)

  init(_ scheme: PublicKey.Scheme, _ signer: TestSigner) {
    self.scheme = scheme
    self.signer = signer
    // Checked by PublicKeyTests.
    key = try! PublicKey(SubjectPublicKeyInfo.parse(signer.publicKey))
  }

  var hash: SHA2? {
    switch scheme {
    case .pkcs1(let hash), .pss(let hash), .ecdsa(let hash): hash
    case .ed25519: nil
    }
  }

  var signature: [UInt8] { sign(Self.message) }

  func sign(_ message: [UInt8]) -> [UInt8] {
    guard let hash else { return signer.sign(message, hash: nil) }
    guard case .pss = scheme else { return signer.sign(message, hash: hash.name) }
    return signer.sign(
      message, hash: hash.name,
      padding: .pss(saltByteCount: hash.byteCount, mask: hash.name))
  }

  func accepts(_ signature: [UInt8], over message: [UInt8] = message) -> Bool {
    key.isValid(signature, over: message[...], as: scheme)
  }

  private static let rsa = TestSigner(.rsa(bits: 2_048))

  static let all: [SignedScheme] =
    SHA2.allCases.flatMap { [SignedScheme(.pkcs1($0), rsa), SignedScheme(.pss($0), rsa)] }
    + elliptic + [ed25519]
  static let pkcs1 = all.filter { if case .pkcs1 = $0.scheme { true } else { false } }
  static let pss = all.filter { if case .pss = $0.scheme { true } else { false } }
  static let elliptic = [
    SignedScheme(.ecdsa(.sha256), TestSigner(.p256)),
    SignedScheme(.ecdsa(.sha384), TestSigner(.p384)),
    SignedScheme(.ecdsa(.sha512), TestSigner(.p521)),
  ]
  static let ed25519 = SignedScheme(.ed25519, TestSigner(.ed25519))
}

@Suite("RFC 7518, 3.3 to 3.5, and RFC 8037: signatures")
struct PublicKeySignatureTests {
  @Test("a signature is valid over its message and no other", arguments: SignedScheme.all)
  func validity(scheme: SignedScheme) {
    for length in [0, 1, 55, 56, 64, 127, 128, 8_192] {
      let message = [UInt8](repeating: 0x61, count: length)
      let signature = scheme.sign(message)
      #expect(scheme.accepts(signature, over: message))
      #expect(!scheme.accepts(signature, over: message + [0x61]))
      #expect(!scheme.accepts(signature, over: SignedScheme.message))
    }
    // Another key of the same kind.
    let other = scheme.hash == nil ? TestSigner(.ed25519) : nil
    if let other {
      #expect(!scheme.accepts(other.sign(SignedScheme.message, hash: nil)))
    }
  }

  @Test("a signature with one other bit in any byte is invalid", arguments: SignedScheme.all)
  func otherBits(scheme: SignedScheme) {
    let signature = scheme.signature
    #expect(signature.count == scheme.key.signatureByteCount)
    for index in signature.indices {
      var other = signature
      other[index] ^= 1 << UInt8(index % 8)
      #expect(!scheme.accepts(other), "byte \(index)")
    }
    #expect(scheme.accepts(signature))
  }

  @Test(
    "a signature that is cut, extended, empty or constant is invalid", arguments: SignedScheme.all)
  func lengths(scheme: SignedScheme) {
    let signature = scheme.signature
    for count in [0, 1, 31, 32, 63, 64, 65, 96, 128, 132, signature.count - 1] {
      guard count < signature.count else { continue }
      #expect(!scheme.accepts(Array(signature.prefix(count))), "\(count) bytes")
      #expect(!scheme.accepts(Array(signature.suffix(count))), "\(count) bytes")
    }
    for tail: [UInt8] in [[0], [0xFF], signature] {
      #expect(!scheme.accepts(signature + tail))
      #expect(!scheme.accepts(tail + signature))
    }
    for byte: UInt8 in [0, 1, 0xFF] {
      #expect(!scheme.accepts([UInt8](repeating: byte, count: signature.count)))
    }
    #expect(!scheme.accepts([UInt8](repeating: 0, count: 65_536)))
  }

  @Test(
    "an RSA signature without its leading zero is invalid",
    arguments: SignedScheme.pkcs1 + SignedScheme.pss)
  func leadingZero(scheme: SignedScheme) throws {
    // One of 256 signatures begins with a zero.
    let found = (0..<20_000).lazy.map { index -> (message: [UInt8], signature: [UInt8]) in
      let message = Array("message \(index)".utf8)
      return (message, scheme.sign(message))
    }.first { $0.signature.first == 0 }
    let (message, signature) = try #require(found)
    #expect(scheme.accepts(signature, over: message))
    #expect(!scheme.accepts(Array(signature.dropFirst()), over: message))
    #expect(!scheme.accepts([0] + signature, over: message))
  }

  // MARK: ECDSA

  @Test("r and s are from 1 to n - 1", arguments: SignedScheme.elliptic)
  func range(scheme: SignedScheme) throws {
    guard case .elliptic(let curve) = scheme.key.kind else { return }
    let count = curve.coordinateByteCount
    let (r, s) = (scheme.signature.prefix(count), scheme.signature.suffix(count))
    let n = curve.order
    let zero = [UInt8](repeating: 0, count: count)
    var (below, above) = (n, n)
    below[count - 1] -= 1
    above[count - 1] += 1
    let one = zero.dropLast() + [1]
    for number in [zero, n, above, below, Array(one), [UInt8](repeating: 0xFF, count: count)] {
      #expect(!scheme.accepts(number + s), "r is \(number.hex)")
      #expect(!scheme.accepts(r + number), "s is \(number.hex)")
      for other in [zero, n, Array(one)] { #expect(!scheme.accepts(number + other)) }
    }
  }

  @Test("(r, n - s) is as valid as (r, s), which is the policy", arguments: SignedScheme.elliptic)
  func highS(scheme: SignedScheme) throws {
    guard case .elliptic(let curve) = scheme.key.kind else { return }
    let signature = scheme.signature
    let count = curve.coordinateByteCount
    let negated = Self.difference(curve.order, Array(signature.suffix(count)))
    #expect(scheme.accepts(signature.prefix(count) + negated))
    // But not (n - r, s).
    let other = Self.difference(curve.order, Array(signature.prefix(count)))
    #expect(!scheme.accepts(other + signature.suffix(count)))
    #expect(!scheme.accepts(signature.suffix(count) + signature.prefix(count)))
  }

  /// `a - b` of big-endian numbers of the same length.
  static func difference(_ a: [UInt8], _ b: [UInt8]) -> [UInt8] {
    var (result, borrow) = (a, 0)
    for index in a.indices.reversed() {
      let value = Int(a[index]) - Int(b[index]) - borrow
      borrow = value < 0 ? 1 : 0
      result[index] = UInt8(value & 0xFF)
    }
    return result
  }

  @Test(
    "the DER of a signature is invalid, also padded to its length", arguments: SignedScheme.elliptic
  )
  func derSignatures(scheme: SignedScheme) throws {
    let hash = try #require(scheme.hash)
    let count = scheme.key.signatureByteCount
    for _ in 0..<20 {
      let der = scheme.signer.signDER(SignedScheme.message, hash: hash.name)
      #expect(!scheme.accepts(der))
      #expect(!scheme.accepts(Array(der.prefix(count))))
      #expect(!scheme.accepts(der + [UInt8](repeating: 0, count: max(0, count - der.count))))
    }
  }

  @Test("a signature by another curve's digest is invalid")
  func otherDigests() throws {
    for scheme in SignedScheme.elliptic {
      for hash in SHA2.allCases where hash != scheme.hash {
        #expect(!scheme.accepts(scheme.signer.sign(SignedScheme.message, hash: hash.name)))
      }
    }
  }

  // MARK: Ed25519

  @Test("s + L, and every other s that is not below L, is invalid")
  func noncanonicalS() {
    let scheme = SignedScheme.ed25519
    let order = Array(
      bytes(hex: "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed").reversed())
    let signature = scheme.signature
    var sum = Array(signature.suffix(32))
    for _ in 0..<14 {
      var carry = 0
      for index in 0..<32 {
        let value = Int(sum[index]) + Int(order[index]) + carry
        sum[index] = UInt8(value & 0xFF)
        carry = value >> 8
      }
      guard carry == 0 else { break }
      #expect(!scheme.accepts(signature.prefix(32) + sum))
    }
    for s in [order, [UInt8](repeating: 0, count: 32), [UInt8](repeating: 0xFF, count: 32)] {
      #expect(!scheme.accepts(signature.prefix(32) + s))
    }
    for bit: UInt8 in [0x20, 0x40, 0x80] {
      var other = signature
      other[63] |= bit
      #expect(!scheme.accepts(other))
    }
  }

  @Test("a signature with an R of small order is invalid")
  func smallOrderR() {
    for point in PublicKeyTests.smallOrderPoints {
      for s in [[UInt8](repeating: 0, count: 32), Array(SignedScheme.ed25519.signature.suffix(32))]
      {
        #expect(!SignedScheme.ed25519.accepts(point + s))
      }
    }
  }

  // MARK: RSASSA-PSS

  @Test(
    "a salt of another length, and a mask by another digest, are invalid",
    arguments: SignedScheme.pss)
  func parameters(scheme: SignedScheme) throws {
    let hash = try #require(scheme.hash)
    let room = 256 - hash.byteCount - 2
    for count in [0, 1, 8, 20, 32, 48, 64, hash.byteCount - 1, hash.byteCount + 1, room] {
      guard count != hash.byteCount, count <= room else { continue }
      let signature = scheme.signer.sign(
        SignedScheme.message, hash: hash.name,
        padding: .pss(saltByteCount: count, mask: hash.name))
      #expect(!scheme.accepts(signature), "\(count) bytes of salt")
    }
    for mask in ["SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512"] where mask != hash.name {
      let signature = scheme.signer.sign(
        SignedScheme.message, hash: hash.name,
        padding: .pss(saltByteCount: hash.byteCount, mask: mask))
      #expect(!scheme.accepts(signature), "\(mask)")
    }
    #expect(!scheme.accepts(scheme.signer.sign(SignedScheme.message, hash: hash.name)))
  }

  // MARK: RSASSA-PKCS1-v1_5

  /// The DigestInfo of RFC 8017, section 9.2, and variants of it that are not its only encoding.
  static func digestInfos(_ hash: SHA2, _ digest: [UInt8]) -> [(name: String, bytes: [UInt8])] {
    let last: UInt8 =
      switch hash {
      case .sha256: 1
      case .sha384: 2
      case .sha512: 3
      }
    let oid: [UInt8] = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last]
    func value(_ tag: UInt8, _ contents: [UInt8]) -> [UInt8] {
      [tag, UInt8(contents.count)] + contents
    }
    let octets = value(0x04, digest)
    let algorithm = value(0x30, oid + [0x05, 0x00])
    let body = algorithm + octets
    return [
      ("exact", value(0x30, body)),
      ("without NULL", value(0x30, value(0x30, oid) + octets)),
      ("long length", [0x30, 0x81, UInt8(body.count)] + body),
      ("longer length", [0x30, 0x82, 0, UInt8(body.count)] + body),
      ("indefinite length", [0x30, 0x80] + body + [0, 0]),
      ("long length within", value(0x30, [0x30, 0x81, 13] + oid + [0x05, 0x00] + octets)),
      (
        "long length of the digest",
        value(0x30, algorithm + [0x04, 0x81, UInt8(digest.count)] + digest)
      ),
      ("NULL with contents", value(0x30, value(0x30, oid + [0x05, 0x01, 0x00]) + octets)),
      ("further parameters", value(0x30, value(0x30, oid + [0x05, 0x00, 0x05, 0x00]) + octets)),
      ("garbage after the digest", value(0x30, body + [0x05, 0x00])),
      ("garbage after the end", value(0x30, body) + [0x05, 0x00]),
      ("constructed digest", value(0x30, algorithm + value(0x24, octets))),
      ("digest alone", digest),
      ("octets alone", octets),
      ("short digest", value(0x30, algorithm + value(0x04, Array(digest.dropLast())))),
    ]
  }

  static func block(_ info: [UInt8], start: [UInt8] = [0, 1], fill: UInt8 = 0xFF) -> [UInt8] {
    let count = 256 - start.count - 1 - info.count
    return start + [UInt8](repeating: fill, count: count) + [0] + info
  }

  @Test("only the exact DigestInfo with the exact padding is valid", arguments: SignedScheme.pkcs1)
  func padding(scheme: SignedScheme) throws {
    let hash = try #require(scheme.hash)
    let digest =
      switch hash {
      case .sha256: Digest.sha256(SignedScheme.message)
      case .sha384: Digest.sha384(SignedScheme.message)
      case .sha512: Digest.sha512(SignedScheme.message)
      }
    let infos = Self.digestInfos(hash, digest)
    for info in infos {
      let signature = scheme.signer.signBlock(Self.block(info.bytes))
      #expect(scheme.accepts(signature) == (info.name == "exact"), "\(info.name)")
    }
    let exact = infos[0].bytes
    var zero = Self.block(exact)
    zero[100] = 0
    var other = Self.block(exact)
    other[10] = 0xFE
    // Eight bytes of padding, and garbage in the place of the rest: Bleichenbacher's forgery.
    let short = [0, 1] + [UInt8](repeating: 0xFF, count: 8) + [0] + exact
    let forged = short + [UInt8](repeating: 0xA5, count: 256 - short.count)
    let blocks: [(String, [UInt8])] = [
      ("type 0", Self.block(exact, start: [0, 0], fill: 0)),
      ("type 2", Self.block(exact, start: [0, 2])),
      ("fill of another byte", Self.block(exact, fill: 0xFE)), ("zero in the fill", zero),
      ("another byte in the fill", other), ("short fill", forged),
      ("no fill", [0, 1, 0] + exact + [UInt8](repeating: 0, count: 253 - exact.count)),
      ("all zero", [UInt8](repeating: 0, count: 256)),
    ]
    for (name, block) in blocks {
      #expect(!scheme.accepts(scheme.signer.signBlock(block)), "\(name)")
    }
    for another in SHA2.allCases where another != hash {
      #expect(!scheme.accepts(scheme.signer.sign(SignedScheme.message, hash: another.name)))
    }
    for weak in ["SHA1", "SHA2-224", "MD5"] {
      #expect(!scheme.accepts(scheme.signer.sign(SignedScheme.message, hash: weak)))
    }
  }

  // MARK: Threads

  @Test("threads verify with one key at the same time")
  func threads() async {
    for scheme in SignedScheme.all {
      let signature = scheme.signature
      var other = signature
      other[signature.count / 2] ^= 1
      let forged = other
      let wrong = await withTaskGroup(of: Int.self) { group in
        for _ in 0..<8 {
          group.addTask {
            (0..<50).count { _ in !scheme.accepts(signature) || scheme.accepts(forged) }
          }
        }
        return await group.reduce(0, +)
      }
      #expect(wrong == 0)
    }
  }

  @Test("a scheme of another kind of key is a programming error")
  func otherKind() async {
    await #expect(processExitsWith: .failure) {
      let key = try PublicKey(SubjectPublicKeyInfo.parse(TestSigner(.p256).publicKey))
      _ = key.isValid([], over: [], as: .pkcs1(.sha256))
    }
    for scheme in SignedScheme.all {
      for other in SignedScheme.all where other.signer !== scheme.signer {
        #expect(!scheme.scheme.fits(other.key.kind))
      }
    }
  }
}
