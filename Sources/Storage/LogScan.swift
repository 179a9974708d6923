// The write-ahead log, read once before SQLite opens it, to find commits that it would lose.
//
// SQLite uses the log up to the first frame that fails its checksum. That is right after a crash,
// when the rest was never committed, and wrong after damage, when it was. A commit at the bad frame
// or after it distinguishes the two; frames of an earlier use of the log have other salts.
//
//     header 32 bytes │ frame header 24 bytes, page │ frame header, page │ …
//                       page number, size, salts, checksum
//
// The last frame of a commit has the size of the database. So one flipped bit can hide a commit in
// two fields of that frame: the size, and the salts. The frame's checksum shows either.
//
// A commit whose sync did not end is acknowledged to no client, and after a power cut, or a kill
// inside the write of its last frame, it looks like one that was damaged later. Only a second sync
// for each commit could distinguish them. So this reports it as lost: then clients reload once that
// have missed nothing, but none misses a notification in silence.
//
// See "The Write-Ahead Log" in SQLite's description of its file format.

internal import Glibc

/// Reads a write-ahead log.
struct LogScan {
  private static let headerByteCount = 32
  private static let frameHeaderByteCount = 24

  private let file: Int32
  private let byteCount: Int
  private var sums: (UInt32, UInt32) = (0, 0)
  private var isBigEndian = false

  /// Whether the log at `path` has a commit that SQLite would not use.
  static func hasLostCommit(_ path: String) -> Bool {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard file >= 0 else { return false }
    // SQLite has not opened the file yet, so this drops no lock of it.
    defer { close(file) }
    var scan = LogScan(file: file, byteCount: Int(max(0, lseek(file, 0, SEEK_END))))
    return scan.findLostCommit()
  }

  private init(file: Int32, byteCount: Int) {
    self.file = file
    self.byteCount = byteCount
  }

  private mutating func findLostCommit() -> Bool {
    guard byteCount > Self.headerByteCount + Self.frameHeaderByteCount,
      let header = read(Self.headerByteCount, at: 0)
    else { return false }
    // A log of zeros was never written.
    guard header.contains(where: { $0 != 0 }) else { return false }
    let magic = Self.word(header, 0)
    isBigEndian = magic & 1 == 1
    add(header[..<24])
    let pageByteCount = Int(Self.word(header, 8))
    guard magic & ~1 == 0x377F_0682, matches(header, 24),
      pageByteCount.nonzeroBitCount == 1, 512...65_536 ~= pageByteCount
    else { return true }
    let frameByteCount = Self.frameHeaderByteCount + pageByteCount
    var isValid = true
    var position = Self.headerByteCount
    while position + frameByteCount <= byteCount,
      let frame = read(isValid ? frameByteCount : Self.frameHeaderByteCount, at: position)
    {
      position += frameByteCount
      let isOfThisUse = frame[8..<16] == header[16..<24]
      let isCommit = Self.word(frame, 4) != 0
      if isValid {
        let before = sums
        add(frame)
        let hasChecksum = matches(frame, 16)
        isValid = isOfThisUse && hasChecksum
        // guard: commit-with-damaged-salts
        if !isValid, isCommit, hasChecksum { return true }
        // guard: commit-with-damaged-size
        if !isValid, !isCommit, isOfThisUse, hasLostSize(frame, after: before) { return true }
      }
      // guard: commit-after-bad-frame
      if !isValid, isOfThisUse, isCommit { return true }
    }
    return false
  }

  /// Whether a frame without a size has the checksum of one whose size is one bit.
  private func hasLostSize(_ frame: [UInt8], after sums: (UInt32, UInt32)) -> Bool {
    for bit in 0..<32 {
      var scan = self
      scan.sums = sums
      var original = frame
      original[4 + bit / 8] ^= 1 << (bit % 8)
      scan.add(original)
      if scan.matches(frame, 16) { return true }
    }
    return false
  }

  /// Continues the checksum over a frame.
  private mutating func add(_ frame: [UInt8]) {
    add(frame[..<8])
    add(frame[Self.frameHeaderByteCount...])
  }

  /// Continues the checksum over words of four bytes, two at a time.
  private mutating func add(_ bytes: ArraySlice<UInt8>) {
    var index = bytes.startIndex
    while index + 8 <= bytes.endIndex {
      sums.0 &+= word(bytes, index) &+ sums.1
      sums.1 &+= word(bytes, index + 4) &+ sums.0
      index += 8
    }
  }

  /// Whether the checksum so far is the one at `index`, where it is big-endian.
  private func matches(_ bytes: [UInt8], _ index: Int) -> Bool {
    sums == (Self.word(bytes, index), Self.word(bytes, index + 4))
  }

  private func word(_ bytes: ArraySlice<UInt8>, _ index: Int) -> UInt32 {
    let high = UInt32(bytes[index]) << 24 | UInt32(bytes[index + 1]) << 16
    let word = high | UInt32(bytes[index + 2]) << 8 | UInt32(bytes[index + 3])
    return isBigEndian ? word : word.byteSwapped
  }

  private static func word(_ bytes: [UInt8], _ index: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 << 8 | UInt32(bytes[index + $1]) }
  }

  private func read(_ count: Int, at position: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      // SAFETY: the array has `count` bytes and lives for the call.
      let result = unsafe bytes.withUnsafeMutableBytes {
        unsafe pread(file, $0.baseAddress! + done, count - done, off_t(position + done))
      }
      if result < 0, errno == EINTR { continue }
      guard result > 0 else { return nil }
      done += result
    }
    return bytes
  }
}
