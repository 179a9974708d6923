// A flipped bit of the last commit in the write-ahead log, which nothing follows.

import Glibc
import Testing

@testable import Storage

@Suite("A search for lost commits", .timeLimit(.minutes(10)))
struct LogScanTests {
  /// A store whose number of pages is a power of two, so that one flipped bit makes it zero.
  ///
  /// The log has the latest commit only.
  private func fixture() throws -> StoreFixture {
    let directory = TemporaryDirectory()
    var fixture = try StoreFixture(in: directory)
    func hasSize() throws -> Bool {
      try #require(Int(fixture.sql("PRAGMA page_count"))).nonzeroBitCount == 1
    }
    for _ in 0..<2_000 {
      fixture.publish("u")
      guard try hasSize() else { continue }
      fixture.store.close()
      fixture = try StoreFixture(in: directory)
      fixture.publish("u")
      if try hasSize() { return fixture }
    }
    Issue.record("no such size")
    return fixture
  }

  // Case 88
  @Test("no flipped bit of the last commit's last frame hides the commit")
  func lastFrame() throws {
    let fixture = try fixture()
    let log = fixture.directory.databasePath + "-wal"
    let original = try #require(StoreFixture.contents(of: log))
    let copy = TemporaryDirectory()
    let path = copy.path + "/wal"
    close(open(path, O_WRONLY | O_CREAT, 0o600))
    StoreFixture.write(original, to: path)
    #expect(!LogScan.hasLostCommit(path))
    let frame = original.count - 24 - 4_096
    for index in Array(frame..<frame + 24)
      + Array(stride(from: frame + 24, to: frame + 4_120, by: 397))
    {
      for bit in 0..<8 {
        var bytes = original
        bytes[index] ^= 1 << bit
        StoreFixture.write(bytes, to: path)
        #expect(LogScan.hasLostCommit(path), "byte \(index - frame), bit \(bit)")
      }
    }
  }

  @Test("a commit of which the last frame was not written is not lost")
  func unwritten() throws {
    let fixture = try fixture()
    let log = fixture.directory.databasePath + "-wal"
    let original = try #require(StoreFixture.contents(of: log))
    let copy = TemporaryDirectory()
    let path = copy.path + "/wal"
    for added in [0, 24, 4_119] {
      close(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600))
      StoreFixture.write(Array(original[..<(original.count - 4_120 + added)]), to: path)
      #expect(!LogScan.hasLostCommit(path), "\(added) bytes")
    }
    // The log is used again, and has a frame of its earlier use there.
    var bytes = original
    for index in (original.count - 4_120 + 8)..<(original.count - 4_120 + 16) {
      bytes[index] ^= 0x5A
    }
    for index in (original.count - 4_096)..<original.count { bytes[index] ^= 0xFF }
    close(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600))
    StoreFixture.write(bytes, to: path)
    #expect(!LogScan.hasLostCommit(path))
  }
}
