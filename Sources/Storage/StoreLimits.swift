// The bounds of a store that no configuration changes.
//
// They are here, and not beside the code that uses them, so that a server can list them with its
// own; `StoreConfiguration` has the others, and `StoreQuery` and `InboxChange` those that callers
// have to keep.

/// The fixed bounds of a store.
package enum StoreLimits {
  // MARK: Commands

  /// Rows that one change of a group changes; a larger group takes several.
  package static let groupChangeLimit = 1_000
  /// Changes of one user's whole inbox under way; a further one is refused, so that no user has all
  /// of those that `StoreConfiguration.sweepLimit` allows.
  package static let sweepsPerUserLimit = 8
  /// Recounts under way at once; a further one begins when its user's damage is found again.
  package static let recountLimit = 1_024
  /// Rows that a recount for a reader visits; a user with more gets none.
  package static let recountRowsLimit: Int64 = 10_000
  /// Commands of one transaction that may fail, other than by a repeated id, before all of it does.
  ///
  /// Each costs a run of the transaction without it.
  package static let failureLimit = 4
  /// States of removed notifications for everyone swept in one transaction.
  package static let sweptStatesLimit = 1_024
  /// How long an idempotency key is kept, counted in time that the store is open.
  package static let keyLifetimeMilliseconds: Int64 = 24 * 60 * 60 * 1_000
  /// Expired keys deleted in one transaction in addition to the number that it adds: so they cannot
  /// accumulate, and take negligible time.
  package static let keyPruneLimit: Int64 = 64

  // MARK: Outbox

  /// Ids of notifications in one event of the outbox; a change of more makes several events.
  ///
  /// So the message of an event stays below the 20 kB that Standard Webhooks recommends.
  package static let eventIDCountLimit = 256
  /// Deliveries that one replay makes due again; a repeat of the request takes the next ones.
  package static let replayLimit = 1_000
  /// Deliveries of deleted endpoints that one transaction deletes.
  package static let sweptDeliveriesLimit = 512

  // MARK: Queries

  /// Queries that a reader takes from its queue at once.
  package static let readBatchLimit = 64
  /// Rows that one page of the inbox scans for matches.
  package static let pageScanLimit = 10_000
  /// Rows of its group scanned and counted for one row of a page.
  package static let groupScanLimit = 1_000
  /// Rows that one page counts; the page ends after the row that reaches it.
  package static let pageCountLimit = 20_000
  /// Bytes of a page of a replay; the page ends after the row that reaches it.
  package static let missedBytesLimit = 1 << 17
  /// Rows that one page of a replay scans, silent and damaged ones included.
  package static let missedScanLimit = 10_000
  /// Inboxes up to this size are counted when they are replayed, and compared with their counts.
  package static let comparedRowsLimit = 256
  /// Users whose comparison a reader remembers; past it, it starts over.
  package static let comparedUsersLimit = 4_096
  /// Bytes of the preferences that a reader caches in each of its two generations.
  package static let cachedPreferencesBytesLimit = 2 << 20

  // MARK: Opening and checking

  /// The size of file up to which its structure is checked when it is opened.
  ///
  /// The check reads the whole file: about 10 ms a megabyte.
  package static let checkedFileBytesLimit = 32 << 20
  /// Incarnations kept; a cursor of an older one cannot resume.
  package static let incarnationsLimit: Int64 = 1_000
  /// Sessions whose rooms get their end in one transaction when the store is opened.
  package static let endedSessionsLimit = 16_384
  /// How long a result of a check is used again, and how long a commit spares the check its own.
  package static let checkLifetimeMilliseconds: UInt64 = 1_000
}
