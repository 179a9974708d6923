// The checksum that detects a damaged row.

internal import Cryptography

/// The first eight bytes of a SHA-256.
enum RowChecksum {
  static func value(of bytes: [UInt8]) -> Int64 {
    let digest = Digest.sha256(bytes)
    return Int64(bitPattern: digest[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }
}
