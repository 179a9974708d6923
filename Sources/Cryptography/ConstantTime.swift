// Comparison of secrets.
//
// `==` on arrays stops at the first difference, so its duration reveals how many bytes of a guess
// were right. Signatures, API keys and webhook codes are compared here and nowhere else.

internal import COpenSSL

/// Comparison in a time that does not depend on where two values differ.
package enum ConstantTime {
  /// Whether both hold the same bytes.
  ///
  /// Values of different lengths are unequal at once: the length of a code is no secret. If the
  /// length is secret too, compare digests of the secrets.
  package static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    // SAFETY: both buffers are alive within the closures and `a.count` bytes long.
    return unsafe a.withUnsafeBytes { a in
      unsafe b.withUnsafeBytes { b in
        // Two empty arrays may have no address; there is nothing to compare.
        guard let first = a.baseAddress, let second = b.baseAddress else { return true }
        return unsafe CRYPTO_memcmp(first, second, a.count) == 0
      }
    }
  }
}
