// The exit of a process, during which its threads may still compute.

import Cryptography
import Glibc
import Testing

@Suite("Exit of the process")
struct ExitTests {
  @Test func `digests and codes are computed until the process has ended`() async {
    await #expect(processExitsWith: .success) {
      // Of the functions for the exit, the one that was added last is called first: this one is
      // called after a cleanup of OpenSSL, which is started below.
      atexit {
        let code = HMAC.authenticate([1, 2, 3], key: [4, 5, 6], using: .sha256)
        guard code.count == 32, Digest.sha256([1, 2, 3]).count == 32 else { _exit(1) }
      }
      precondition(HMAC.authenticate([1, 2, 3], key: [4, 5, 6], using: .sha256).count == 32)
      precondition(Digest.sha256([1, 2, 3]).count == 32)
      exit(0)
    }
  }
}
