// The signature of a webhook of Stripe: the header field `Stripe-Signature`, and its check.
//
//     t=1492774577,v1=5257a8…,v1=e41d0b…,v0=6ffbb5…
//
// Stripe signs `t`, a full stop and the bytes of the body with HMAC-SHA256, and sends one `v1` for
// each secret of the endpoint that is in use while a secret is rotated. The field is text of an
// unknown sender until the check has passed, so it is bounded, and read strictly.
//
// Stripe signs each attempt with the time of that attempt. So a recorded request is refused once
// its time is over, and a late attempt of Stripe is not.

internal import Cryptography

/// Why a request is not from Stripe.
package enum StripeSignatureError: Error, Equatable {
  case malformed
  /// Its time differs from the server's by more than the tolerance.
  case outsideTolerance
  /// No secret gives any of its codes.
  case wrong
}

/// The field `Stripe-Signature` of one request.
///
/// Invariant: `time` is the decimal text of `seconds`, and each code has 64 hexadecimal digits.
package struct StripeSignature: Sendable, Equatable {
  /// The most bytes of the field: about fourteen codes.
  package static let fieldByteCountLimit = 1_024
  /// The most elements of the field.
  package static let elementCountLimit = 16
  /// The most digits of a time; eleven last until the year 5138.
  private static let timeDigits = 1...11
  /// The digits of a code of HMAC-SHA256.
  private static let codeDigits = 64
  /// The largest difference between its time and the server's, in seconds, in either direction.
  ///
  /// That of Stripe's libraries.
  package static let toleranceSeconds: Int64 = 300
  /// The most secrets that are tried: those of two endpoints while both are rotated.
  ///
  /// Each costs a digest of the whole body before the sender is known.
  package static let secretCountLimit = 4

  /// When it was signed, in seconds since 1970.
  package let seconds: Int64
  private let time: [UInt8]
  private let codes: [[UInt8]]

  /// Reads the value of the field: one `t` and at least one `v1`; other schemes are ignored.
  package init(_ field: ArraySlice<UInt8>) throws(StripeSignatureError) {
    // guard: stripe-signature-is-bounded
    guard field.count <= Self.fieldByteCountLimit else { throw .malformed }
    let elements = field.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    guard elements.count <= Self.elementCountLimit else { throw .malformed }
    var found: (text: ArraySlice<UInt8>, seconds: Int64)?
    var codes: [[UInt8]] = []
    for element in elements {
      guard let equals = element.firstIndex(of: UInt8(ascii: "=")), equals > element.startIndex
      else { throw .malformed }
      let value = element[(equals + 1)...]
      switch String(decoding: element[..<equals], as: UTF8.self) {
      case "t":
        // guard: stripe-signature-has-one-time
        guard found == nil else { throw .malformed }
        guard let seconds = Self.seconds(value) else { throw .malformed }
        found = (value, seconds)
      case "v1":
        guard value.count == Self.codeDigits, value.allSatisfy(Self.isDigitOfCode) else {
          throw .malformed
        }
        codes.append(Array(value))
      default: continue
      }
    }
    guard let found, !codes.isEmpty else { throw .malformed }
    seconds = found.seconds
    time = Array(found.text)
    self.codes = codes
  }

  /// Checks that it was made within the tolerance around `now`, in seconds since 1970.
  package func checkTime(at now: Int64) throws(StripeSignatureError) {
    // guard: stripe-signature-tolerance
    guard abs(now - seconds) <= Self.toleranceSeconds else { throw .outsideTolerance }
  }

  /// Checks that the body is signed with one of the secrets.
  package func check(
    _ body: [UInt8], secrets: [[UInt8]]
  ) throws(StripeSignatureError) {
    var signed = time
    signed.reserveCapacity(time.count + 1 + body.count)
    signed.append(UInt8(ascii: "."))
    signed.append(contentsOf: body)
    for secret in secrets {
      let expected = Self.hexadecimal(
        of: HMAC.authenticate(signed, key: secret, using: .sha256))
      // guard: stripe-signature-matches
      for code in codes where ConstantTime.areEqual(code, expected) { return }
    }
    throw .wrong
  }

  /// The number of 1 to 11 digits, the first of which is not 0.
  private static func seconds(_ digits: ArraySlice<UInt8>) -> Int64? {
    guard timeDigits ~= digits.count, digits.first != UInt8(ascii: "0") else { return nil }
    var value: Int64 = 0
    for digit in digits {
      guard UInt8(ascii: "0")...UInt8(ascii: "9") ~= digit else { return nil }
      value = value * 10 + Int64(digit - UInt8(ascii: "0"))
    }
    return value
  }

  private static func isDigitOfCode(_ byte: UInt8) -> Bool {
    UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || UInt8(ascii: "a")...UInt8(ascii: "f") ~= byte
  }

  private static func hexadecimal(of bytes: [UInt8]) -> [UInt8] {
    let digits = Array("0123456789abcdef".utf8)
    return bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0x0F)]] }
  }
}
