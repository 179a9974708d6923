// Randomness that nobody can guess, from OpenSSL's generator, which the kernel seeds.

internal import COpenSSL

/// A cryptographically secure random source, safe on any thread.
package enum SecureRandom {
  /// `count` random bytes.
  ///
  /// Traps when the generator fails: every caller makes a key or an id of the bytes, and to go on
  /// with ones that can be guessed would be worse than to stop.
  package static func bytes(count: Int) -> [UInt8] {
    precondition(count >= 0 && count <= Int(Int32.max), "\(count) random bytes asked for")
    return unsafe [UInt8](unsafeUninitializedCapacity: count) { output, outputCount in
      // SAFETY: the buffer has room for at least `count` bytes. Zero bytes need no address.
      let succeeded = count == 0 ? 1 : unsafe RAND_bytes(output.baseAddress, Int32(count))
      precondition(succeeded == 1, "RAND_bytes failed")
      outputCount = count
    }
  }
}
