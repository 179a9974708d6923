// Opening a store: owner, version, settings; and damaged rows.

import CSQLite
import Glibc
import Notifications
import Storage
import Testing

@Suite("Opening a store", .timeLimit(.minutes(10)))
struct OpeningTests {
  @Test("notifications, the epoch and the offsets survive a restart")
  func restart() throws {
    let directory = TemporaryDirectory()
    var epoch = ""
    do {
      let fixture = try StoreFixture(in: directory)
      epoch = fixture.store.history.epoch
      fixture.publish("u", content: Content(type: "a", title: "first"))
    }
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.store.history.epoch == epoch)
    #expect((12...32).contains(epoch.utf8.count))
    #expect(epoch.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) })
    #expect(fixture.store.horizon == 0)
    #expect(fixture.store.metrics.lastOffset == 1)
    fixture.publish("u", content: Content(type: "a", title: "second"))
    #expect(fixture.inbox("u").map(\.title) == ["second", "first"])
    #expect(fixture.inbox("u").map(\.offset) == [2, 1])
    #expect(try StoreFixture().store.history.epoch != epoch)
  }

  @Test("the offset of a deleted newest notification is not reused")
  func offsetsAreNotReused() throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try StoreFixture(in: directory)
      for _ in 0..<3 { fixture.publish("u") }
      _ = fixture.change("u", .deleteAll)
    }
    let fixture = try StoreFixture(in: directory)
    fixture.publish("u")
    #expect(fixture.inbox("u").map(\.offset) == [5])
  }

  @Test("a directory in use is rejected, and is free after closing")
  func lock() throws {
    let directory = TemporaryDirectory()
    let first = try StoreFixture(in: directory)
    #expect(throws: StoreError.alreadyOpen(path: directory.path)) {
      _ = try StoreFixture(in: directory)
    }
    #expect(first.publish("u") == .published)
    first.store.close()
    let second = try StoreFixture(in: directory)
    #expect(second.counts("u").total == 1)
  }

  @Test("a closed directory is free, also while a child process has a copy of its lock")
  func copiedLock() throws {
    let directory = TemporaryDirectory()
    let first = try StoreFixture(in: directory)
    let path = directory.path + "/carillon.lock"
    var opened = stat()
    try #require(stat(path, &opened) == 0)
    let limit = Int32(sysconf(Int32(_SC_OPEN_MAX)))
    let lock = try #require(
      (0..<limit).first { descriptor in
        var status = stat()
        return fstat(descriptor, &status) == 0 && status.st_ino == opened.st_ino
          && status.st_dev == opened.st_dev
      })
    let copy = fcntl(lock, F_DUPFD_CLOEXEC, 0)
    try #require(copy >= 0)
    defer { close(copy) }
    first.store.close()
    let second = try StoreFixture(in: directory)
    #expect(second.publish("u") == .published)
  }

  @Test("a store of a newer version is rejected and left as it is")
  func newerVersion() throws {
    let directory = TemporaryDirectory()
    do { try StoreFixture(in: directory).publish("u") }
    let path = directory.databasePath
    let version = try #require(Int(StoreFixture.sql("PRAGMA user_version", at: path)))
    StoreFixture.sql("PRAGMA user_version = \(version + 1)", at: path)
    #expect {
      _ = try StoreFixture(in: directory)
    } throws: { error in
      "\(error)" == "the store has format \(version + 1), and this version of Carillon knows "
        + "formats up to \(version): start the newer version that made it, or restore a copy of "
        + "the directory made before the upgrade"
    }
    #expect(StoreFixture.sql("PRAGMA user_version", at: path) == "\(version + 1)")
    StoreFixture.sql("PRAGMA user_version = \(version)", at: path)
    #expect(try StoreFixture(in: directory).counts("u").total == 1)
  }

  @Test("another program's database is rejected and left as it is")
  func foreign() throws {
    let directory = TemporaryDirectory()
    StoreFixture.sql("CREATE TABLE theirs (x)", at: directory.databasePath)
    #expect(throws: StoreError.foreign(path: directory.path)) {
      _ = try StoreFixture(in: directory)
    }
    let tables = "SELECT group_concat(name) FROM sqlite_schema"
    #expect(StoreFixture.sql(tables, at: directory.databasePath) == "theirs")
    #expect(StoreFixture.sql("PRAGMA journal_mode", at: directory.databasePath) == "delete")
  }

  @Test("a file system without support for the write-ahead log is rejected")
  func pragmaReadBack() throws {
    let files = FaultFileSystem(hasSharedMemory: false)
    #expect {
      _ = try StoreFixture(fileSystem: files)
    } throws: { error in
      guard case .pragmaRefused(let name, _, _)? = error as? StoreError else { return false }
      return name == "journal_mode"
    }
  }

  @Test("a path that cannot be a directory is an error with its cause")
  func badPath() throws {
    #expect {
      _ = try SQLiteStore(StoreConfiguration(path: "/nonexistent/carillon/data")) { _ in }
    } throws: { error in
      "\(error)" == "cannot create the directory, because its parent is missing: "
        + "No such file or directory"
    }
    #expect {
      _ = try SQLiteStore(StoreConfiguration(path: "/dev/null")) { _ in }
    } throws: { error in
      "\(error)" == "cannot enter the directory: Not a directory"
    }
  }

  @Test("a symbolic link to a directory is followed, and both paths lead to one store")
  func linkedDirectory() throws {
    let directory = TemporaryDirectory()
    let links = TemporaryDirectory()
    let link = links.path + "/data"
    try #require(symlink(directory.path, link) == 0)
    let fixture = try StoreFixture(in: directory) { $0.path = link }
    #expect(fixture.publish("u") == .published)
    #expect(throws: StoreError.alreadyOpen(path: directory.path)) {
      _ = try StoreFixture(in: directory)
    }
    fixture.store.close()
    #expect(try StoreFixture(in: directory).counts("u").total == 1)
  }

  @Test("a symbolic link in the middle of the path is followed")
  func linkedParent() throws {
    let directory = TemporaryDirectory()
    let links = TemporaryDirectory()
    try #require(symlink(directory.path, links.path + "/parent") == 0)
    let store = try SQLiteStore(StoreConfiguration(path: links.path + "/parent/data")) { _ in }
    store.close()
    #expect(access(directory.path + "/data/carillon.db", F_OK) == 0)
    for name in ["carillon.db", "carillon.lock"] { unlink(directory.path + "/data/" + name) }
    rmdir(directory.path + "/data")
  }

  @Test(
    "a symbolic link that does not lead to a directory is refused",
    arguments: [
      ("/nonexistent/carillon", "cannot follow the symbolic link: No such file or directory"),
      ("/dev/null", "cannot enter the directory: Not a directory"),
      ("data", "cannot enter the directory: Too many levels of symbolic links"),
    ])
  func brokenLink(target: String, message: String) throws {
    let links = TemporaryDirectory()
    let link = links.path + "/data"
    try #require(symlink(target, link) == 0)
    #expect {
      _ = try SQLiteStore(StoreConfiguration(path: link)) { _ in }
    } throws: { error in
      "\(error)" == message
    }
    #expect(links.names == ["data"])
  }

  @Test(
    "a symbolic link in place of a file of the store is refused and its target is not touched",
    arguments: ["carillon.lock", "carillon.db"])
  func linkedFile(name: String) throws {
    let directory = TemporaryDirectory()
    let elsewhere = TemporaryDirectory()
    let target = elsewhere.path + "/file"
    try #require(symlink(target, directory.path + "/" + name) == 0)
    #expect(throws: StoreError.file(action: "open \(name)", code: ELOOP)) {
      _ = try StoreFixture(in: directory)
    }
    #expect(elsewhere.names == [])
  }

  @Test("the files are readable by their owner only")
  func permissions() throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/data"
    let store = try SQLiteStore(StoreConfiguration(path: path)) { _ in }
    defer {
      store.close()
      for name in ["carillon.db", "carillon.lock"] { unlink(path + "/" + name) }
      rmdir(path)
    }
    for name in ["", "/carillon.db", "/carillon.db-wal", "/carillon.db-shm", "/carillon.lock"] {
      var status = stat()
      #expect(stat(path + name, &status) == 0, "\(name)")
      #expect(status.st_mode & 0o077 == 0, "\(name)")
    }
  }

  @Test("a store in memory works like any other and leaves no name in the file system")
  func memory() throws {
    let fixture = try StoreFixture { $0.path = ":memory:" }
    for _ in 0..<100 { #expect(fixture.publish("u") == .published) }
    #expect(fixture.counts("u").total == 100)
    #expect(fixture.inbox("u").count == 100)
    var open = 0
    for descriptor in 0..<1_024 {
      var target = [CChar](repeating: 0, count: 4_096)
      guard readlink("/proc/self/fd/\(descriptor)", &target, target.count - 1) > 0 else { continue }
      let path = String(
        decoding: target.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard path.contains("/carillon-"), !path.contains("/carillon-test-") else { continue }
      open += 1
      #expect(path.hasSuffix(" (deleted)"))
      let directory = path.split(separator: "/").dropLast().joined(separator: "/")
      #expect(access("/" + directory, F_OK) != 0)
    }
    #expect(open >= 3)
    fixture.store.close()
  }

  // Case 88
  @Test(
    "a damaged row is left out and counted, never returned",
    arguments: [
      "type = 'x'", "priority = 3", "title = 'U'", "message = 'M'", "data = x'7B20'",
      "entity_type = 'e'", "entity_id = ''", "entity_url = '/'", "actions = x''",
      "group_key = 'g'", "created_at = created_at + 1", "expires_at = 0", "id = x'00'",
      "id = zeroblob(16)", "checksum = checksum + 1", "priority = 77", "offset = offset + 100",
      "user = (SELECT key FROM user WHERE id = 'v')", "title = CAST(x'FF' AS TEXT)",
    ])
  func corruption(change: String) throws {
    let fixture = try StoreFixture()
    fixture.publish("v")
    for title in ["one", "two", "three"] {
      fixture.publish("u", content: Content(type: "t", title: title))
    }
    fixture.sql("UPDATE notification SET \(change) WHERE title = 'two'")
    let sound = fixture.inbox("u")
    #expect(sound.map(\.title) == ["three", "one"])
    #expect(fixture.inbox("v").map(\.title) == ["T"])
    #expect(fixture.store.metrics.corruptRows >= 1)
    #expect(fixture.store.metrics.lastCorruption != nil)
    // A replay without the row would not be complete.
    guard case .position(4, _) = fixture.read(.missed(user: "u", after: 0, limit: 10)) else {
      Issue.record("a partial replay")
      return
    }
    // One bad row does not stop the store.
    #expect(fixture.store.failure == nil)
    #expect(fixture.publish("u") == .published)
  }

  // Case 88
  @Test("bits flipped in the file are detected: only stored content is returned")
  func flippedBits() throws {
    let directory = TemporaryDirectory()
    let titles = (0..<200).map { "title number \($0) of the bits" }
    do {
      let fixture = try StoreFixture(in: directory)
      for title in titles { fixture.publish("u", content: Content(type: "t", title: title)) }
    }
    // Every title's text is in the file once; flip one bit in every tenth.
    var bytes = try #require(StoreFixture.contents(of: directory.databasePath))
    var turned = 0
    for title in titles.enumerated() where title.offset % 10 == 0 {
      let text = Array(title.element.utf8)
      for start in bytes.indices.dropLast(text.count)
      where bytes[start] == text[0] && Array(bytes[start..<(start + text.count)]) == text {
        bytes[start + 6 + turned % 5] ^= 1 << UInt8(turned % 7)
        turned += 1
        break
      }
    }
    #expect(turned == 20)
    StoreFixture.write(bytes, to: directory.databasePath)
    let fixture = try StoreFixture(in: directory)
    let served = Set(fixture.inbox("u").map(\.title))
    #expect(served.count == 180)
    #expect(served.isSubset(of: Set(titles)))
    #expect(fixture.store.metrics.corruptRows == 20)
  }
}
