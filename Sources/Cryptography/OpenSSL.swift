// The start of OpenSSL.

internal import COpenSSL

/// The cryptographic library of the process.
package enum OpenSSL {
  /// Starts OpenSSL without its cleanup at the process's exit; call it before anything else of it.
  ///
  /// At `exit` the cleanup frees memory that all threads share, while some may still use and free
  /// it: a server that has just lost its last reference still ends its threads. The system frees
  /// all memory anyway.
  package static func start() {
    // Any thread may call it, any number of times.
    // guard: no-cleanup-under-threads
    let succeeded = OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
    precondition(succeeded == 1, "OPENSSL_init_crypto failed")
  }
}
