// Message digests: SHA-1 for the WebSocket handshake, SHA-2 for everything that must be trusted.
//
// OpenSSL 3 looks an algorithm up by name, under locks, on every call of its one-shot functions
// (`SHA256`, `EVP_Q_digest`: 440 ns for 300 bytes, against 310 here). Every stored notification
// takes a checksum, so each algorithm is fetched once and kept for the life of the process. A
// fetched algorithm is immutable and its reference count is atomic, so all threads may use it at
// once; the state of a digest in progress is in a context of its own, made and freed within the
// call.

internal import COpenSSL

/// The digests of FIPS 180-4 that Carillon uses.
///
/// Every function is pure and may be called from any thread.
package enum Digest {
  /// The 20 bytes of SHA-1.
  ///
  /// For `Sec-WebSocket-Accept`, where RFC 6455 demands it; it protects nothing there.
  package static func sha1(_ bytes: [UInt8]) -> [UInt8] {
    DigestAlgorithm.sha1.digest(of: bytes)
  }

  /// The 32 bytes of SHA-256.
  package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
    DigestAlgorithm.sha256.digest(of: bytes)
  }

  /// The 48 bytes of SHA-384.
  package static func sha384(_ bytes: [UInt8]) -> [UInt8] {
    DigestAlgorithm.sha384.digest(of: bytes)
  }

  /// The 64 bytes of SHA-512.
  package static func sha512(_ bytes: [UInt8]) -> [UInt8] {
    DigestAlgorithm.sha512.digest(of: bytes)
  }
}

/// One fetched `EVP_MD`.
///
/// Invariant: `algorithm` is a live, fetched digest with a result of `byteCount` bytes.
///
/// A class, because a static property of a noncopyable type cannot be passed to a caller; a process
/// has four instances, and they are never freed.
@safe
private final class DigestAlgorithm: @unchecked Sendable {
  // Sendable because both properties are constant and OpenSSL never writes to a fetched EVP_MD but
  // for its reference count, which is atomic (openssl-threads(7), EVP_MD_fetch(3)).
  private let algorithm: OpaquePointer
  private let byteCount: Int

  static let sha1 = DigestAlgorithm(named: "SHA1")
  static let sha256 = DigestAlgorithm(named: "SHA2-256")
  static let sha384 = DigestAlgorithm(named: "SHA2-384")
  static let sha512 = DigestAlgorithm(named: "SHA2-512")

  private init(named name: String) {
    OpenSSL.start()
    // SAFETY: OpenSSL reads the name during the call only; a null library context and a null
    // property query mean the defaults.
    guard let algorithm = unsafe EVP_MD_fetch(nil, name, nil) else {
      fatalError("OpenSSL offers no \(name); its default provider must be active")
    }
    unsafe self.algorithm = algorithm
    // SAFETY: `algorithm` was just fetched.
    byteCount = Int(unsafe EVP_MD_get_size(algorithm))
    precondition(byteCount > 0, "\(name) digests to \(byteCount) bytes")
  }

  func digest(of bytes: [UInt8]) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { output, outputCount in
      // SAFETY: the buffers of `bytes` and of the result are alive within the two closures, and the
      // result has room for the `byteCount` bytes that this algorithm writes. An empty array's
      // address is not read, because its count is zero.
      let succeeded = unsafe bytes.withUnsafeBytes { input in
        unsafe EVP_Digest(input.baseAddress, input.count, output.baseAddress, nil, algorithm, nil)
      }
      // The arguments are constant, so only an allocation can fail, and Swift itself traps on that.
      precondition(succeeded == 1, "EVP_Digest failed")
      outputCount = byteCount
    }
  }
}
