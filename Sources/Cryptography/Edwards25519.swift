// Which 32 bytes are a point of edwards25519: RFC 8032, section 5.1.3.
//
// OpenSSL decodes the point only when it verifies, so a key that is no point would be accepted and
// refuse every token. Here it is refused where it is configured.
//
// With u = y^2 - 1 and v = d y^2 + 1, the point has the x with x^2 = u / v, which exists exactly if
// u v is zero or a square, because v is never zero.

internal import COpenSSL

enum Edwards25519 {
  /// 2^255 - 19.
  private static let prime = [0x7F] + [UInt8](repeating: 0xFF, count: 30) + [0xED]
  /// -121665 / 121666.
  private static let d: [UInt8] = [
    0x52, 0x03, 0x6C, 0xEE, 0x2B, 0x6F, 0xFE, 0x73, 0x8C, 0xC7, 0x40, 0x79, 0x77, 0x79, 0xE8, 0x98,
    0x00, 0x70, 0x0A, 0x4D, 0x41, 0x41, 0xD8, 0xAB, 0x75, 0xEB, 0x4D, 0xCA, 0x13, 0x59, 0x78, 0xA3,
  ]

  /// Whether the 32 bytes are the one encoding of a point: y is below the prime, and x exists.
  ///
  /// A y at or over the prime would be a second encoding of a point.
  static func isOnCurve(_ point: [UInt8]) -> Bool {
    precondition(point.count == 32, "\(point.count) bytes")
    var encoded = Array(point.reversed())
    encoded[0] &= 0x7F
    guard encoded.lexicographicallyPrecedes(prime) else { return false }
    let y = BigNumber(encoded)
    let p = BigNumber(prime)
    let ySquared = y.times(y, modulo: p)
    let u = ySquared.minus(BigNumber([1]), modulo: p)
    let v = ySquared.times(BigNumber(d), modulo: p).plus(BigNumber([1]), modulo: p)
    let uv = u.times(v, modulo: p)
    // Euler's criterion: a square has the power 1, and zero has 0.
    var half = prime
    half[31] -= 1
    let power = uv.power(BigNumber(half).half(), modulo: p)
    return power.isAtMostOne
  }
}

/// A non-negative number of OpenSSL.
///
/// Invariant: `number` is a live number that only this value has.
@safe
private struct BigNumber: ~Copyable {
  private let number: OpaquePointer

  /// The number with these big-endian bytes.
  init(_ bytes: [UInt8]) {
    // SAFETY: OpenSSL reads the array's count of bytes during the call only.
    guard let number = unsafe BN_bin2bn(bytes, Int32(bytes.count), nil) else {
      fatalError("BN_bin2bn failed")
    }
    unsafe self.number = number
  }

  func times(_ other: borrowing BigNumber, modulo: borrowing BigNumber) -> BigNumber {
    let result = BigNumber([])
    // SAFETY: all numbers are live, and the result is not shared yet.
    unsafe Self.compute {
      unsafe BN_mod_mul(result.number, number, other.number, modulo.number, $0)
    }
    return result
  }

  func plus(_ other: borrowing BigNumber, modulo: borrowing BigNumber) -> BigNumber {
    let result = BigNumber([])
    // SAFETY: as in `times`.
    unsafe Self.compute {
      unsafe BN_mod_add(result.number, number, other.number, modulo.number, $0)
    }
    return result
  }

  func minus(_ other: borrowing BigNumber, modulo: borrowing BigNumber) -> BigNumber {
    let result = BigNumber([])
    // SAFETY: as in `times`.
    unsafe Self.compute {
      unsafe BN_mod_sub(result.number, number, other.number, modulo.number, $0)
    }
    return result
  }

  func power(_ exponent: borrowing BigNumber, modulo: borrowing BigNumber) -> BigNumber {
    let result = BigNumber([])
    // SAFETY: as in `times`.
    unsafe Self.compute {
      unsafe BN_mod_exp(result.number, number, exponent.number, modulo.number, $0)
    }
    return result
  }

  func half() -> BigNumber {
    let result = BigNumber([])
    // SAFETY: as in `times`.
    unsafe Self.compute { _ in unsafe BN_rshift1(result.number, number) }
    return result
  }

  var isAtMostOne: Bool {
    // SAFETY: the number is live.
    unsafe BN_is_zero(number) == 1 || BN_is_one(number) == 1
  }

  /// Runs a computation with scratch memory; only an allocation can fail.
  @unsafe
  private static func compute(_ body: (OpaquePointer) -> Int32) {
    guard let scratch = unsafe BN_CTX_new() else { fatalError("BN_CTX_new failed") }
    // SAFETY: made above, and freed once.
    defer { unsafe BN_CTX_free(scratch) }
    let succeeded = unsafe body(scratch)
    precondition(succeeded == 1, "arithmetic of OpenSSL failed")
  }

  deinit {
    // SAFETY: the only owner frees it, once.
    unsafe BN_free(number)
  }
}
