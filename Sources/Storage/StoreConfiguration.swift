// The numbers that bound a store.

internal import Notifications

/// Where a store lives and how much it may hold in memory.
package struct StoreConfiguration: Sendable {
  /// A directory, made when it is not there; or `:memory:`, which keeps nothing.
  package var path: String
  /// Commands that may wait for the journal.
  package var queueCapacity: Int
  /// Questions that may wait for each reader.
  package var readQueueCapacity: Int
  /// Live notifications for everyone; a further one takes the place of the oldest.
  ///
  /// The journal and each reader keep what counting needs of them in memory, about 200 bytes each.
  package var everyoneLimit: Int
  /// Notifications that one command takes out of the inboxes because they have expired.
  package var expiryLimit: Int
  package static let defaultExpiryLimit = 256
  /// Sessions of one user whose rooms are kept; a further one takes the place of the one that ends
  /// first.
  ///
  /// Each is as large as the names of its rooms, which the connection's own limit bounds.
  package var keptSessionsLimit: Int
  /// How long the rooms of connections that the last run left open are kept, from the moment at
  /// which the store is opened.
  package var keptRoomsMilliseconds: Int64
  /// Rows that one transaction takes, unless a single command brings more.
  package var groupLimit: Int
  package var readerCount: Int
  /// Pages of the write-ahead log (4 KiB each) that gather before the journal copies them into the
  /// database file.
  ///
  /// Copying happens after the replies, but the next group waits for it: few pages mean short
  /// stops, many mean that a page which changes often is copied less often.
  package var checkpointPages: Int
  /// Pages of the log at which the journal waits for its readers, so that it can begin anew.
  ///
  /// Readers are short, so this bounds the log.
  package var logPagesLimit: Int
  /// Kibibytes of pages that the writer may keep in memory; readers keep a quarter each.
  package var cacheKibibytes: Int
  /// SQLite's virtual file system by name; nil is the system's own.
  ///
  /// Tests put a failing one here.
  package var vfs: String?

  package init(
    path: String, queueCapacity: Int = 8_192, readQueueCapacity: Int = 8_192,
    groupLimit: Int = 4_096, everyoneLimit: Int = 1_000,
    expiryLimit: Int = Self.defaultExpiryLimit, keptSessionsLimit: Int = 64,
    keptRoomsMilliseconds: Int64 = RecoveryID.keptMilliseconds, readerCount: Int = 2,
    checkpointPages: Int = 4_096, logPagesLimit: Int = 32_768, cacheKibibytes: Int = 32_768,
    vfs: String? = nil
  ) {
    precondition(queueCapacity > 0 && readQueueCapacity > 0 && groupLimit > 0 && readerCount > 0)
    precondition(everyoneLimit > 0 && expiryLimit > 0 && keptSessionsLimit > 0)
    self.path = path
    self.queueCapacity = queueCapacity
    self.readQueueCapacity = readQueueCapacity
    self.groupLimit = groupLimit
    self.everyoneLimit = everyoneLimit
    self.expiryLimit = expiryLimit
    self.keptSessionsLimit = keptSessionsLimit
    self.keptRoomsMilliseconds = keptRoomsMilliseconds
    self.readerCount = readerCount
    self.checkpointPages = checkpointPages
    self.logPagesLimit = logPagesLimit
    self.cacheKibibytes = cacheKibibytes
    self.vfs = vfs
  }
}
