// Which numbers are a public key, and how keys are spelt (case 46).

import TestSigning
import TestSupport
import Testing

@testable import Cryptography

@Suite("RFC 8017, SEC 1 and RFC 8032: public keys")
struct PublicKeyTests {
  static func fault(_ numbers: PublicKeyNumbers) -> PublicKeyFault? {
    do throws(PublicKeyFault) {
      _ = try PublicKey(numbers)
      return nil
    } catch {
      return error
    }
  }

  static func fault(in bytes: [UInt8]) -> PublicKeyFault? {
    do throws(PublicKeyFault) {
      _ = try SubjectPublicKeyInfo.parse(bytes)
      return nil
    } catch {
      return error
    }
  }

  /// An odd number of that many bits.
  static func modulus(bits: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xA5, count: (bits + 7) / 8)
    bytes[0] = UInt8(1 << ((bits - 1) % 8))
    return bytes
  }

  @Test(
    "an RSA modulus has 2,048 to 8,192 bits and is odd",
    arguments: [
      (512, false), (1_024, false), (2_047, false), (2_048, true), (2_049, true), (4_096, true),
      (8_192, true), (8_193, false), (16_384, false), (1 << 20, false),
    ])
  func modulusBits(bits: Int, isAccepted: Bool) {
    let numbers = PublicKeyNumbers.rsa(modulus: Self.modulus(bits: bits), exponent: [1, 0, 1])
    // Before it is encoded, because a longer one cannot be.
    #expect(Self.fault(numbers) == (isAccepted ? nil : .modulus))
    var even = Self.modulus(bits: bits)
    even[even.count - 1] ^= 1
    #expect(Self.fault(.rsa(modulus: even, exponent: [3])) == .modulus)
    #expect(Self.fault(.rsa(modulus: [0] + Self.modulus(bits: bits), exponent: [3])) == .modulus)
    #expect(Self.fault(.rsa(modulus: [], exponent: [3])) == .modulus)
  }

  @Test(
    "an RSA exponent is odd and from 3 to 2^31 - 1",
    arguments: [
      ([], false), ([0], false), ([1], false), ([2], false), ([3], true), ([4], false),
      ([17], true),
      ([1, 0, 1], true), ([0, 3], false), ([0, 1, 0, 1], false), ([0x7F, 0xFF, 0xFF, 0xFF], true),
      ([0x80, 0, 0, 1], false), ([1, 0, 0, 0, 1], false),
      ([UInt8](repeating: 0xFF, count: 256), false), ([UInt8](repeating: 0xFF, count: 9), false),
    ] as [([UInt8], Bool)])
  func exponents(exponent: [UInt8], isAccepted: Bool) {
    let numbers = PublicKeyNumbers.rsa(modulus: Self.modulus(bits: 2_048), exponent: exponent)
    #expect(Self.fault(numbers) == (isAccepted ? nil : .exponent))
  }

  @Test(
    "a point that is not on its curve, and the point at infinity, are refused",
    arguments: EllipticCurve.allCases)
  func curvePoints(curve: EllipticCurve) throws {
    let key = TestSigner(curve.testKind)
    let numbers = try SubjectPublicKeyInfo.parse(key.publicKey)
    #expect(Self.fault(numbers) == nil)
    guard case .elliptic(curve, let x, let y) = numbers else {
      Issue.record("\(numbers)")
      return
    }
    let zero = [UInt8](repeating: 0, count: x.count)
    var other = y
    other[other.count - 1] ^= 1
    for (x, y) in [
      (x, other), (y, x), (zero, zero), (x, zero), ([UInt8](repeating: 255, count: x.count), y),
    ] {
      #expect(Self.fault(.elliptic(curve, x: x, y: y)) == .notOnCurve)
    }
    for (x, y) in [(x + [0], y), (Array(x.dropLast()), y), (x, []), ([], [])] {
      #expect(Self.fault(.elliptic(curve, x: x, y: y)) == .coordinateLength)
    }
    for another in EllipticCurve.allCases where another != curve {
      #expect(Self.fault(.elliptic(another, x: x, y: y)) == .coordinateLength)
    }
  }

  /// The points of an order of at most 8: RFC 7748 and RFC 8032 give the curve.
  static let smallOrderPoints: [[UInt8]] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  ].map { bytes(hex: $0) }

  @Test("an Ed25519 key of small order is refused, with either sign", arguments: smallOrderPoints)
  func smallOrder(point: [UInt8]) {
    #expect(Self.fault(.ed25519(point)) == .smallOrder)
    var negative = point
    negative[31] |= 0x80
    #expect(Self.fault(.ed25519(negative)) == .smallOrder)
  }

  @Test("32 bytes are an Ed25519 key exactly if they are the one encoding of a point")
  func edwardsPoints() throws {
    // By another implementation: the numbers below 64 that are the y of a point.
    let onCurve: Set<UInt8> = [
      3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 19, 21, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33, 35, 37, 39,
      40, 42, 43, 44, 48, 51, 52, 54, 55, 56, 57, 58, 60, 61, 62, 63,
    ]
    for y in UInt8(2)..<64 {
      let point = [y] + [UInt8](repeating: 0, count: 31)
      #expect(Self.fault(.ed25519(point)) == (onCurve.contains(y) ? nil : .notOnCurve), "\(y)")
    }
    // 2^255 - 19 and more: second encodings of 0 to 18.
    for low in UInt8(0xED)...0xFF {
      let point = [low] + [UInt8](repeating: 0xFF, count: 30) + [0x7F]
      #expect(Self.fault(.ed25519(point)) == .notOnCurve, "\(low)")
    }
    for count in [0, 31, 33, 64] {
      let point = [UInt8](repeating: 3, count: count)
      #expect(Self.fault(.ed25519(point)) == .coordinateLength)
    }
    for _ in 0..<20 {
      let numbers = try SubjectPublicKeyInfo.parse(TestSigner(.ed25519).publicKey)
      #expect(Self.fault(numbers) == nil)
    }
  }

  static let signers: [TestSigner.Kind] = [
    .rsa(bits: 2_048), .rsa(bits: 3_072, exponent: 3), .p256, .p384, .p521, .ed25519,
  ]

  @Test("OpenSSL's SubjectPublicKeyInfo is read, and written again byte for byte")
  func roundTrip() throws {
    for kind in Self.signers {
      let bytes = TestSigner(kind).publicKey
      let numbers = try SubjectPublicKeyInfo.parse(bytes)
      #expect(Self.fault(numbers) == nil)
      #expect(SubjectPublicKeyInfo.encode(numbers) == bytes)
    }
  }

  @Test("every proper prefix is refused, and so is a byte after the end")
  func prefixes() throws {
    for kind in Self.signers {
      let bytes = TestSigner(kind).publicKey
      for end in 0..<bytes.count {
        #expect(Self.fault(in: Array(bytes[..<end])) == .encoding, "\(end) of \(bytes.count)")
      }
      #expect(Self.fault(in: bytes + [0]) == .encoding)
    }
    #expect(Self.fault(in: [UInt8](repeating: 0x30, count: 1 << 20)) == .encoding)
  }

  static let ed25519 = "302a300506032b6570032100" + String(repeating: "03", count: 32)

  /// A SubjectPublicKeyInfo with this algorithm and key, in hexadecimal digits.
  static func info(_ algorithm: String, key: String) -> String {
    DER.value(
      .sequence,
      DER.value(.sequence, bytes(hex: algorithm)) + DER.value(.bitString, [0] + bytes(hex: key))
    ).hex
  }

  @Test(
    "a second spelling, another algorithm and another curve are refused",
    arguments: [
      // The indefinite length, and lengths longer than necessary.
      ("3080300506032b6570032100" + String(repeating: "03", count: 32) + "0000", .encoding),
      ("30812a300506032b6570032100" + String(repeating: "03", count: 32), .encoding),
      ("3082002a300506032b6570032100" + String(repeating: "03", count: 32), .encoding),
      ("30840000002a300506032b6570032100" + String(repeating: "03", count: 32), .encoding),
      ("30ff" + String(repeating: "ff", count: 40), .encoding),
      // Unused bits, parameters of Ed25519, X25519, DSA, RSASSA-PSS.
      ("302a300506032b6570032101" + String(repeating: "03", count: 32), .encoding),
      ("302c300706032b65700500032100" + String(repeating: "03", count: 32), .encoding),
      ("302a300506032b656e032100" + String(repeating: "03", count: 32), .unsupportedKind),
      (info("06072a8648ce380401", key: "010203"), .unsupportedKind),
      (info("06092a864886f70d01010a", key: "010203"), .unsupportedKind),
      // RSA without NULL, and with two.
      (info("06092a864886f70d010101", key: "010203"), .encoding),
      (info("06092a864886f70d01010105000500", key: "010203"), .encoding),
      // secp256k1, no curve, explicit parameters, and a compressed point.
      (info("06072a8648ce3d020106052b8104000a", key: "040102"), .unsupportedKind),
      (info("06072a8648ce3d0201", key: "040102"), .encoding),
      (info("06072a8648ce3d02013003020101", key: "040102"), .unsupportedKind),
      (info("06072a8648ce3d020106082a8648ce3d030107", key: "0201"), .unsupportedKind),
      (info("06072a8648ce3d020106082a8648ce3d030107", key: ""), .unsupportedKind),
      (info("06072a8648ce3d020106082a8648ce3d030107", key: "040102"), .coordinateLength),
    ] as [(String, PublicKeyFault)])
  func otherSpellings(hex: String, fault: PublicKeyFault) {
    #expect(Self.fault(in: bytes(hex: hex)) == fault, "\(hex)")
  }

  @Test("no mutant of a key is a trap, and one that is read is written as it was")
  func mutatedKeys() {
    var generator = SeededGenerator(seed: 7)
    for kind in Self.signers {
      let bytes = TestSigner(kind).publicKey
      for mutant in mutants(of: bytes, count: 2_000, using: &generator) {
        guard let numbers = try? SubjectPublicKeyInfo.parse(mutant) else { continue }
        #expect(SubjectPublicKeyInfo.encode(numbers) == mutant)
        _ = try? PublicKey(numbers)
      }
    }
  }

  @Test("every fault has a text of one line")
  func texts() {
    for fault in PublicKeyFault.allCases {
      #expect(!fault.text.isEmpty && !fault.text.contains("\n"))
    }
  }
}

extension EllipticCurve {
  var testKind: TestSigner.Kind {
    switch self {
    case .p256: .p256
    case .p384: .p384
    case .p521: .p521
    }
  }

  /// The order of the base point: FIPS 186-4, D.1.2.
  var order: [UInt8] {
    switch self {
    case .p256:
      bytes(hex: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
    case .p384:
      bytes(
        hex: String(repeating: "f", count: 48)
          + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973")
    case .p521:
      bytes(
        hex: "01" + String(repeating: "f", count: 65)
          + "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409")
    }
  }
}
