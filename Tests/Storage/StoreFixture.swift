// A store in a fresh directory, and calls that wait for their answers.

import CSQLite
import Glibc
import Notifications
import Reactor
import Storage
import Testing

/// A directory that is removed with all its files at the end of the test.
final class TemporaryDirectory: Sendable {
  let path: String

  init() {
    var template = Array("/tmp/carillon-test-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template)!)
  }

  var databasePath: String { path + "/carillon.db" }

  var names: [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  deinit {
    for name in names { unlink(path + "/" + name) }
    rmdir(path)
  }
}

/// A store that records its events, in order.
final class StoreFixture {
  let directory: TemporaryDirectory
  let events = Latch<[Event]>([])
  let notices = Latch<[StoreNotice]>([])
  let store: SQLiteStore
  /// The counters of the store's statements, if the test passed them.
  let statistics: StatementStatistics
  /// Kept here because SQLite uses it until the store is closed.
  private let fileSystem: FaultFileSystem?
  /// Ids are unique in the process, also over reopened stores.
  private static let idCount = Latch<UInt64>(0)

  init(
    in directory: TemporaryDirectory = TemporaryDirectory(), fileSystem: FaultFileSystem? = nil,
    clock: WallClock? = nil,
    statistics: StatementStatistics = StatementStatistics(),
    configure: (inout StoreConfiguration) -> Void = { _ in }
  ) throws(StoreError) {
    self.directory = directory
    self.statistics = statistics
    self.fileSystem = fileSystem
    var configuration = StoreConfiguration(path: directory.path, vfs: fileSystem?.name)
    configure(&configuration)
    let (events, notices) = (self.events, self.notices)
    store = try SQLiteStore(
      configuration, kernel: clock?.kernel ?? .real,
      report: { notice in notices.change { $0.append(notice) } }
    ) { published in
      fileSystem?.state.change { $0.trace.append("publish \(published.count)") }
      events.change { $0 += published }
    }
  }

  deinit {
    store.close()
  }

  func makeID() -> NotificationID {
    let number = Self.idCount.change { count in
      count += 1
      return count
    }
    return NotificationID(milliseconds: 1_700_000_000_000, random: (number, number))
  }

  func draft(
    _ user: UserID, id: NotificationID? = nil, content: Content = Content(type: "t", title: "T"),
    at time: Int64 = 1_700_000_000_000
  ) -> PendingNotification {
    PendingNotification(id: id ?? makeID(), userID: user, createdAt: time, content: content)
  }

  func submit(_ command: StoreCommand) -> StoreOutcome {
    let outcome = Latch<StoreOutcome?>(nil)
    let isTaken = store.submit(command) { result in outcome.change { $0 = result } }
    #expect(isTaken)
    outcome.wait { $0 != nil }
    return outcome.current!
  }

  func check() -> StoreStatus {
    let status = Latch<StoreStatus?>(nil)
    store.check { found in status.change { $0 = found } }
    status.wait { $0 != nil }
    return status.current!
  }

  @discardableResult
  func publish(
    _ user: UserID, id: NotificationID? = nil, content: Content = Content(type: "t", title: "T"),
    key: IdempotencyKey? = nil, answer: [UInt8] = [], at time: Int64 = 1_700_000_000_000
  ) -> StoreOutcome {
    submit(
      .publish(
        drafts: [draft(user, id: id, content: content, at: time)], idempotency: key,
        answer: answer))
  }

  func change(_ user: UserID, _ change: InboxChange, at time: Int64 = 5) -> StoreOutcome {
    submit(.change(user: user, change, at: time))
  }

  func read(_ query: StoreQuery) -> StoreAnswer {
    let answer = Latch<StoreAnswer?>(nil)
    let isTaken = store.read(query) { result in answer.change { $0 = result } }
    #expect(isTaken)
    answer.wait { $0 != nil }
    return answer.current!
  }

  func counts(_ user: UserID) -> Counts {
    guard case .counts(let counts) = read(.counts(user: user)) else {
      Issue.record("no counts")
      return Counts()
    }
    return counts
  }

  func page(
    _ user: UserID, limit: Int = 200, before: UInt64? = nil, unreadOnly: Bool = false,
    type: String? = nil, grouping: PageGrouping = .collapsed
  ) -> (rows: [Notification], next: UInt64?, counts: Counts, groups: [UInt64: Int]) {
    let query = StoreQuery.page(
      user: user, limit: limit, before: before, unreadOnly: unreadOnly, type: type,
      grouping: grouping)
    guard case .page(let rows, let next, let counts, let groups) = read(query) else {
      Issue.record("no page")
      return ([], nil, Counts(), [:])
    }
    return (rows, next, counts, groups)
  }

  /// The whole inbox, newest first, over as many pages as needed.
  func inbox(_ user: UserID, grouping: PageGrouping = .separate) -> [Notification] {
    var rows: [Notification] = []
    var before: UInt64?
    repeat {
      let page = page(user, before: before, grouping: grouping)
      rows += page.rows
      before = page.next
    } while before != nil
    return rows
  }

  /// Runs SQL without the store's knowledge.
  ///
  /// Returns the first column of the first row, as text.
  @discardableResult
  func sql(_ text: String) -> String {
    Self.sql(text, at: directory.databasePath)
  }

  @discardableResult
  static func sql(_ text: String, at path: String) -> String {
    var database: OpaquePointer?
    #expect(sqlite3_open(path, &database) == SQLITE_OK)
    defer { sqlite3_close(database) }
    sqlite3_busy_timeout(database, 10_000)
    var result = ""
    let collect:
      @convention(c) (
        UnsafeMutableRawPointer?, Int32, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
        UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
      ) -> Int32 = { context, _, values, _ in
        let result = context!.assumingMemoryBound(to: String.self)
        if result.pointee.isEmpty, let value = values?[0] {
          result.pointee = String(cString: value)
        }
        return 0
      }
    let code = withUnsafeMutablePointer(to: &result) {
      sqlite3_exec(database, text, collect, $0, nil)
    }
    #expect(code == SQLITE_OK, "\(text): \(String(cString: sqlite3_errmsg(database)))")
    return result
  }
}

extension StoreFixture {
  static func size(of path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : -1
  }

  static func appendByte(to path: String) {
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    var byte: UInt8 = 1
    _ = Glibc.write(file, &byte, 1)
    close(file)
  }

  static func killThisProcess() {
    kill(getpid(), SIGKILL)
  }
}

extension StoreFixture {
  static func contents(of path: String) -> [UInt8]? {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: size(of: path))
    return Glibc.read(file, &bytes, bytes.count) == bytes.count ? bytes : nil
  }

  static func write(_ bytes: [UInt8], to path: String) {
    let file = open(path, O_WRONLY)
    defer { close(file) }
    #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
  }
}
