// The database: its tables, and the settings that durability depends on.
//
//     store         one row: the epoch, the newest offset, the horizon
//     user          one row a user: the counts, changed in the transaction that changes the rows,
//                   and the preferences, NULL for a user without any, with the number of their
//                   changes
//     notification  keyed by offset, so that a new one goes to the end of the table; its indexes
//                   begin with the user and end with the offset, which is the order of every page:
//                     class  all rows, see `InboxClass`
//                     type   the rows of large inboxes
//                     group  the rows that have a group
//                   a publish to a small inbox without a group writes to the first one only
//     everyone      notifications in every inbox, stored once; `everyone_state` is a user's state
//                   of one, in addition to the user's marks; `everyone_gone` lists removed ones
//                   that still have states to sweep
//     kept_rooms    the rooms of resumable sessions, and when they are forgotten, NULL while the
//                   connection lives; it has the user's id itself, so that a session leaves no
//                   other row when it ends
//     api_key       the API keys, each with the digest of its secret
//     incarnation   the runs of servers that changed the store: each run's random name, and the
//                   newest offset when it began
//     webhook       the endpoints that receive events over HTTP; `webhook_gone` lists deleted ones
//                   that still have deliveries to sweep
//     outbox_event  the events that are on their way, with the message that is sent
//     delivery      an event for one destination: its state, attempts and next time; see `Outbox`
//     idempotency   the response for a repeated publish, kept for a day of the running time in
//                   `store`; `idempotency_scope` has the number of keys of each publisher
//
// Every setting is read back: a store that is not durable refuses to open.

internal import Reactor

/// The layout of the database file and its versions.
enum Schema {
  /// "CRLN" in the file's header.
  static let applicationID = 0x4352_4C4E

  /// The statements that migrate from each version to the next.
  ///
  /// Append only. But an index over the notifications that a later format drops is not created: it
  /// would be built in one transaction over all rows.
  static let migrations: [String] = [
    version1, version2, version3, version4, version5, version6, version7, version8, version9,
    version10, version11,
  ]

  private static let version1 = """
    CREATE TABLE store (
      epoch TEXT NOT NULL,
      last_offset INTEGER NOT NULL,
      horizon INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE user (
      key INTEGER PRIMARY KEY,
      id TEXT NOT NULL UNIQUE,
      total INTEGER NOT NULL,
      unread INTEGER NOT NULL,
      unseen INTEGER NOT NULL,
      unread_low INTEGER NOT NULL,
      unread_normal INTEGER NOT NULL,
      unread_high INTEGER NOT NULL,
      unread_urgent INTEGER NOT NULL,
      version INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE notification (
      offset INTEGER PRIMARY KEY,
      user INTEGER NOT NULL,
      id BLOB NOT NULL UNIQUE,
      type TEXT NOT NULL,
      priority INTEGER NOT NULL,
      title TEXT NOT NULL,
      message TEXT NOT NULL,
      data BLOB NOT NULL,
      entity_type TEXT,
      entity_id TEXT,
      entity_url TEXT,
      actions BLOB,
      group_key TEXT,
      created_at INTEGER NOT NULL,
      expires_at INTEGER,
      read_at INTEGER,
      seen_at INTEGER,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX notification_user ON notification (user);
    CREATE TABLE idempotency (
      scope TEXT NOT NULL,
      key TEXT NOT NULL,
      digest BLOB NOT NULL,
      answer BLOB NOT NULL,
      created_at INTEGER NOT NULL,
      UNIQUE (scope, key)
    ) STRICT;
    CREATE INDEX idempotency_created_at ON idempotency (created_at);
    """

  /// Notifications for everyone, and expiry.
  private static let version2 = """
    ALTER TABLE store ADD COLUMN everyone_version INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE user ADD COLUMN everyone_read_through INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE user ADD COLUMN everyone_read_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE user ADD COLUMN everyone_seen_through INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE user ADD COLUMN everyone_seen_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE user ADD COLUMN everyone_deleted_through INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE everyone (
      offset INTEGER PRIMARY KEY,
      id BLOB NOT NULL UNIQUE,
      type TEXT NOT NULL,
      priority INTEGER NOT NULL,
      title TEXT NOT NULL,
      message TEXT NOT NULL,
      data BLOB NOT NULL,
      entity_type TEXT,
      entity_id TEXT,
      entity_url TEXT,
      actions BLOB,
      group_key TEXT,
      created_at INTEGER NOT NULL,
      expires_at INTEGER,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE everyone_state (
      user INTEGER NOT NULL,
      offset INTEGER NOT NULL,
      read_at INTEGER,
      seen_at INTEGER,
      is_deleted INTEGER NOT NULL,
      PRIMARY KEY (user, offset)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX everyone_state_offset ON everyone_state (offset);
    CREATE TABLE everyone_gone (offset INTEGER PRIMARY KEY) STRICT;
    """

  /// Preferences, and groups.
  private static let version3 = """
    ALTER TABLE user ADD COLUMN preferences BLOB;
    ALTER TABLE notification ADD COLUMN is_silent INTEGER NOT NULL DEFAULT 0;
    """

  /// Rooms that outlive a connection.
  ///
  /// A table with rowids, although its key is another column: rows may be 17 KiB, too large for the
  /// leaves of an index, and the rowid orders two sessions by age. The first index alone serves the
  /// limit per user, and the second one finds expired rows; NULL sorts first in both.
  private static let version4 = """
    CREATE TABLE kept_rooms (
      key INTEGER PRIMARY KEY,
      session BLOB NOT NULL UNIQUE,
      user TEXT NOT NULL,
      ends_at INTEGER,
      checksum INTEGER NOT NULL,
      rooms BLOB NOT NULL
    ) STRICT;
    CREATE INDEX kept_rooms_user ON kept_rooms (user, ends_at);
    CREATE INDEX kept_rooms_ends_at ON kept_rooms (ends_at);
    """

  /// The time that the store has been open, by which idempotency keys age.
  ///
  /// It begins at the newest key's age, which was a time of day.
  private static let version5 = """
    ALTER TABLE store ADD COLUMN running_milliseconds INTEGER NOT NULL DEFAULT 0;
    UPDATE store SET running_milliseconds =
      (SELECT coalesce(max(created_at), 0) FROM idempotency);
    """

  /// A version of each user's preferences, for the caches of their parsed form.
  private static let version6 = """
    ALTER TABLE user ADD COLUMN preferences_version INTEGER NOT NULL DEFAULT 0;
    """

  /// Indexes for every filter of a page, which need a further column.
  ///
  /// The rows follow in steps, see `Migration`. Only the old indexes are dropped at once: that
  /// returns their pages to the free list, and writes few of them. A store of format 1 or 2 has not
  /// all of them.
  private static let version7 = """
    ALTER TABLE notification RENAME TO notification_old;
    DROP INDEX notification_user;
    DROP INDEX IF EXISTS notification_group;
    DROP INDEX IF EXISTS notification_expires_at;
    CREATE TABLE notification (
      offset INTEGER PRIMARY KEY,
      user INTEGER NOT NULL,
      id BLOB NOT NULL UNIQUE,
      type TEXT NOT NULL,
      priority INTEGER NOT NULL,
      title TEXT NOT NULL,
      message TEXT NOT NULL,
      data BLOB NOT NULL,
      entity_type TEXT,
      entity_id TEXT,
      entity_url TEXT,
      actions BLOB,
      group_key TEXT,
      created_at INTEGER NOT NULL,
      expires_at INTEGER,
      read_at INTEGER,
      seen_at INTEGER,
      checksum INTEGER NOT NULL,
      is_silent INTEGER NOT NULL,
      in_large_inbox INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX notification_class ON notification (user, (\(InboxClass.expression)));
    CREATE INDEX notification_type ON notification (user, type, (read_at IS NULL))
      WHERE in_large_inbox = 1;
    CREATE INDEX notification_group ON notification (user, group_key, (read_at IS NULL))
      WHERE group_key IS NOT NULL;
    CREATE INDEX notification_expires_at ON notification (expires_at)
      WHERE expires_at IS NOT NULL;
    """

  /// Runs of servers, and a checksum of the responses for repeated publishes.
  ///
  /// The commits of earlier formats have no run: they come before the first one. Their responses
  /// have no checksum.
  private static let version8 = """
    CREATE TABLE incarnation (
      key INTEGER PRIMARY KEY,
      name TEXT NOT NULL,
      start_offset INTEGER NOT NULL,
      checksum INTEGER NOT NULL
    ) STRICT;
    ALTER TABLE idempotency ADD COLUMN checksum INTEGER;
    """

  /// The number of idempotency keys of each publisher.
  ///
  /// It counts the keys of the last day, which no other statement of a format reads.
  private static let version9 = """
    CREATE TABLE idempotency_scope (
      scope TEXT NOT NULL PRIMARY KEY,
      key_count INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO idempotency_scope (scope, key_count)
      SELECT scope, count(*) FROM idempotency GROUP BY scope;
    """

  /// The outbox: events for systems and people that are not connected.
  ///
  /// A delivery is keyed by its channel, so that each of them has its own destinations. First
  /// attempts are in no index but the table's own order, so recording one writes two rows.
  private static let version10 = """
    ALTER TABLE store ADD COLUMN outbox_sequence INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE webhook (
      key INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      url TEXT NOT NULL,
      types INTEGER NOT NULL,
      about TEXT NOT NULL,
      secret BLOB NOT NULL,
      previous_secret BLOB,
      previous_secret_ends_at INTEGER NOT NULL,
      disabled_reason INTEGER,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE outbox_event (
      sequence INTEGER PRIMARY KEY,
      message_id TEXT NOT NULL,
      type INTEGER NOT NULL,
      subject TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      body BLOB NOT NULL,
      delivery_count INTEGER NOT NULL,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE delivery (
      channel INTEGER NOT NULL,
      destination INTEGER NOT NULL,
      event INTEGER NOT NULL,
      state INTEGER NOT NULL,
      attempts INTEGER NOT NULL,
      due_at INTEGER NOT NULL,
      status INTEGER,
      reason TEXT NOT NULL,
      PRIMARY KEY (channel, destination, event)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX delivery_retry ON delivery (channel, destination, due_at) WHERE state = 1;
    CREATE INDEX delivery_dead ON delivery (channel, destination, event) WHERE state = 2;
    CREATE TABLE webhook_gone (key INTEGER PRIMARY KEY) STRICT;
    """

  /// API keys.
  ///
  /// `ends_at` is when a key expires or was revoked. The index finds the keys to remove.
  private static let version11 = """
    CREATE TABLE api_key (
      key INTEGER PRIMARY KEY,
      id TEXT NOT NULL UNIQUE,
      name TEXT NOT NULL,
      verbs TEXT NOT NULL,
      types TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      expires_at INTEGER,
      revoked_at INTEGER,
      ends_at INTEGER,
      digest BLOB NOT NULL,
      secret_number INTEGER NOT NULL,
      earlier_digest BLOB,
      earlier_ends_at INTEGER,
      last_used_at INTEGER,
      checksum INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX api_key_ends_at ON api_key (ends_at) WHERE ends_at IS NOT NULL;
    """

  /// Opens the writer's connection: settings, checks, and pending migrations.
  static func openWriter(
    _ configuration: StoreConfiguration, in directory: DataDirectory, _ kernel: Kernel,
    report: @escaping @Sendable (String) -> Void
  ) throws(StoreError) -> Connection {
    let connection = try Connection(
      path: directory.databasePath, mode: .readWrite, vfs: configuration.vfs,
      statistics: configuration.statistics)
    try connection.harden()
    try set("busy_timeout", to: "10000", on: connection)
    try set("mmap_size", to: "0", on: connection)
    try set("cell_size_check", to: "1", on: connection)
    try set("cache_size", to: "-\(configuration.cacheKibibytes)", on: connection)
    try checkOwner(of: connection, path: directory.path)
    // WAL: readers never wait for the writer. FULL: the log is on the disk when a commit returns.
    try set("journal_mode", to: "wal", on: connection)
    try set("synchronous", to: directory.isTemporary ? "0" : "2", on: connection)
    try set("journal_size_limit", to: "67108864", on: connection)
    // The journal runs its own checkpoints: SQLite's automatic one would hide a failed sync.
    try set("wal_autocheckpoint", to: "0", on: connection)
    let migration = Migration(
      kernel, stepLimit: configuration.migrationStepLimit, report: report)
    try migration.run(on: connection)
    // From here on publishes wait for a lock, so another process may hold it only briefly.
    try set("busy_timeout", to: "\(configuration.lockTimeoutMilliseconds)", on: connection)
    return connection
  }

  /// Opens the connection that copies the log, after the writer's.
  static func openCheckpointer(
    _ configuration: StoreConfiguration, in directory: DataDirectory
  ) throws(StoreError) -> Connection {
    let connection = try Connection(
      path: directory.databasePath, mode: .readWrite, vfs: configuration.vfs)
    try connection.harden()
    try set("busy_timeout", to: "0", on: connection)
    try set("mmap_size", to: "0", on: connection)
    // Its level decides whether a checkpoint syncs the log before it copies, and the file after it.
    try set("synchronous", to: directory.isTemporary ? "0" : "2", on: connection)
    try set("wal_autocheckpoint", to: "0", on: connection)
    // The log belongs to the connection from its first read on.
    _ = try connection.value(of: "SELECT last_offset FROM store")
    return connection
  }

  /// Opens a reader's connection, after the writer's.
  static func openReader(
    _ configuration: StoreConfiguration, in directory: DataDirectory
  ) throws(StoreError) -> Connection {
    let connection = try Connection(
      path: directory.databasePath, mode: .readOnly, vfs: configuration.vfs,
      statistics: configuration.statistics)
    try connection.harden()
    try set("query_only", to: "1", on: connection)
    try set("busy_timeout", to: "10000", on: connection)
    try set("mmap_size", to: "0", on: connection)
    try set("cell_size_check", to: "1", on: connection)
    try set("cache_size", to: "-\(max(64, configuration.cacheKibibytes / 4))", on: connection)
    return connection
  }

  /// Damage in the structure of the file, in SQLite's words; nil without any, or in a large file.
  ///
  /// The rows have checksums, but an index entry that is missing or leads elsewhere has none, and
  /// hides its row.
  static func findDamage(_ connection: borrowing Connection) -> String? {
    do throws(StoreError) {
      let pageCount = Int(try connection.value(of: "PRAGMA page_count")) ?? 0
      let pageByteCount = Int(try connection.value(of: "PRAGMA page_size")) ?? 0
      let (byteCount, overflow) = pageCount.multipliedReportingOverflow(by: pageByteCount)
      guard !overflow, byteCount <= StoreLimits.checkedFileBytesLimit else { return nil }
      let result = try connection.value(of: "PRAGMA integrity_check(1)")
      return result == "ok" ? nil : result
    } catch {
      return "\(error)"
    }
  }

  /// Sets a pragma and reads it back.
  private static func set(
    _ name: String, to value: String, on connection: borrowing Connection
  ) throws(StoreError) {
    // Step to the end: some pragmas return a row and take effect only after it.
    try connection.execute("PRAGMA \(name) = \(value)")
    let found = try connection.value(of: "PRAGMA \(name)")
    guard found == value else {
      throw .pragmaRefused(name: name, expected: value, found: found)
    }
  }

  /// Rejects another program's database before writing anything to it.
  private static func checkOwner(
    of connection: borrowing Connection, path: String
  ) throws(StoreError) {
    if try connection.value(of: "PRAGMA application_id") == "\(applicationID)" { return }
    guard try connection.value(of: "SELECT count(*) FROM sqlite_schema") == "0" else {
      throw .foreign(path: path)
    }
  }
}
