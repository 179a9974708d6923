// Keyed message authentication: HMAC, RFC 2104 and FIPS 198-1.
//
// The MAC implementation is fetched once, like the digests; a context belongs to one call.
// OpenSSL's one-shot `HMAC` would fetch it by name each time. A code costs about a microsecond,
// most of it the context's set-up, and is computed once per connection.

internal import COpenSSL

/// HMAC with a digest of the SHA-2 family.
package enum HMAC {
  /// The digest under the HMAC.
  package typealias Hash = SHA2

  /// The authentication code of `message` under `key`.
  ///
  /// A key of any length is allowed, as RFC 2104 says, the empty one too: the caller that
  /// configures a key decides whether it is strong enough.
  package static func authenticate(
    _ message: [UInt8], key: [UInt8], using hash: Hash
  ) -> [UInt8] {
    authenticate(message[...], key: key, using: hash)
  }

  /// The authentication code of a part of a larger array, which is not copied.
  package static func authenticate(
    _ message: ArraySlice<UInt8>, key: [UInt8], using hash: Hash
  ) -> [UInt8] {
    var context = MACContext(key: key, hash: hash)
    context.update(message)
    return context.finish()
  }
}

/// The fetched HMAC implementation, kept for the life of the process.
@safe
private struct MACAlgorithm: @unchecked Sendable {
  // Sendable because the property is constant and a fetched EVP_MAC is immutable but for its
  // reference count, which is atomic (EVP_MAC_fetch(3)).
  let pointer: OpaquePointer

  static let hmac = MACAlgorithm()

  private init() {
    OpenSSL.start()
    // SAFETY: OpenSSL reads the name during the call only; nulls mean the defaults.
    guard let pointer = unsafe EVP_MAC_fetch(nil, "HMAC", nil) else {
      fatalError("OpenSSL offers no HMAC; its default provider must be active")
    }
    unsafe self.pointer = pointer
  }
}

/// One computation in progress.
///
/// Invariant: `context` is a live context of `MACAlgorithm.hmac`, initialised with a key, and only
/// this value has it.
@safe
private struct MACContext: ~Copyable {
  private let context: OpaquePointer
  private let hash: HMAC.Hash

  init(key: [UInt8], hash: HMAC.Hash) {
    self.hash = hash
    // SAFETY: the algorithm lives as long as the process.
    guard let context = unsafe EVP_MAC_CTX_new(MACAlgorithm.hmac.pointer) else {
      fatalError("EVP_MAC_CTX_new failed")
    }
    unsafe self.context = context
    // OpenSSL takes a null key to mean "the key set earlier", and an empty array may have a null
    // address: one spare byte gives the empty key an address. It is not read.
    let addressable = key.isEmpty ? [0] : key
    let secretByteCount = key.count
    var name = hash.name
    // A parameter keeps the addresses of its key and its value. Passed as Swift strings, both would
    // be copies that are freed when the constructor returns; so closures around the use of the
    // parameter keep both alive.
    //
    // SAFETY: `key`, `digest`, the list and the secret are alive until EVP_MAC_init returns, which
    // copies them. The list ends with OSSL_PARAM_construct_end.
    let succeeded = unsafe OSSL_MAC_PARAM_DIGEST.withCString { key in
      name.withUTF8 { digest in
        let value = unsafe UnsafeMutableRawPointer(mutating: digest.baseAddress)?
          .assumingMemoryBound(to: CChar.self)
        let parameters = unsafe [
          OSSL_PARAM_construct_utf8_string(key, value, digest.count), OSSL_PARAM_construct_end(),
        ]
        return unsafe EVP_MAC_init(context, addressable, secretByteCount, parameters)
      }
    }
    precondition(succeeded == 1, "EVP_MAC_init failed for \(hash)")
  }

  mutating func update(_ message: ArraySlice<UInt8>) {
    // SAFETY: the slice's buffer is alive within the closure, and `context` is initialised.
    let succeeded = unsafe message.withUnsafeBufferPointer { bytes in
      unsafe EVP_MAC_update(context, bytes.baseAddress, bytes.count)
    }
    precondition(succeeded == 1, "EVP_MAC_update failed")
  }

  consuming func finish() -> [UInt8] {
    let byteCount = hash.byteCount
    return unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { output, outputCount in
      var written = 0
      // SAFETY: the capacity passed to OpenSSL is the buffer's; OpenSSL refuses to write past it.
      let succeeded = unsafe EVP_MAC_final(context, output.baseAddress, &written, byteCount)
      precondition(succeeded == 1 && written == byteCount, "EVP_MAC_final wrote \(written) bytes")
      outputCount = written
    }
  }

  deinit {
    // SAFETY: the only owner frees it, once. OpenSSL clears the key in it.
    unsafe EVP_MAC_CTX_free(context)
  }
}
