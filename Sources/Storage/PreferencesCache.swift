// The parsed preferences of recent users.
//
// A document has up to 16 KiB, and parsing it costs as much as storing many notifications. So each
// thread that applies preferences keeps the parsed form. A user's version rises with each change of
// the preferences, in the same transaction, so an entry of an old version is never used.

internal import Notifications

/// A bounded cache of parsed preferences, by user and version.
///
/// It has two generations. When the newer one is full, it becomes the older one, and the entries
/// that were not used since the last such change are dropped. Confined to its owner's thread.
///
/// Invariant: the entries of a generation count at most `cachedPreferencesBytesLimit`, or there is
/// only one.
final class PreferencesCache {
  private struct Entry {
    let version: Int64
    /// Nil when the document is damaged or missing.
    let preferences: Preferences?
    let byteCount: Int
  }

  /// Bytes that each entry counts besides its document.
  static let entryByteCount = 256

  private var recent: [Int64: Entry] = [:]
  private var older: [Int64: Entry] = [:]
  private var recentByteCount = 0
  /// Documents parsed so far.
  private(set) var parseCount = 0

  /// The number of entries.
  var count: Int { recent.count + older.count }

  /// The preferences of the user with that key, from the cache or from the document.
  ///
  /// `document` reads the user's document, nil when there is none; it is called only if the cache
  /// has no entry of this version. Returns nil when there is no document or it is damaged.
  func preferences(
    of key: Int64, version: Int64, document: () throws(StoreError) -> [UInt8]?
  ) throws(StoreError) -> Preferences? {
    // guard: preferences-parsed-once, preferences-cached-by-version
    if let entry = recent[key], entry.version == version { return entry.preferences }
    if let entry = older[key], entry.version == version {
      insert(entry, of: key)
      return entry.preferences
    }
    let document = try document()
    parseCount += 1
    let entry = Entry(
      version: version, preferences: document.flatMap { PreferencesRow.read($0) },
      byteCount: Self.entryByteCount + (document?.count ?? 0))
    insert(entry, of: key)
    return entry.preferences
  }

  /// Forgets everything: after a rollback, a version may be given to other preferences.
  func removeAll() {
    recent = [:]
    older = [:]
    recentByteCount = 0
  }

  private func insert(_ entry: Entry, of key: Int64) {
    // guard: preferences-cache-bound
    if recentByteCount + entry.byteCount > StoreLimits.cachedPreferencesBytesLimit {
      older = recent
      recent = [:]
      recentByteCount = 0
    }
    recentByteCount += entry.byteCount - (recent[key]?.byteCount ?? 0)
    recent[key] = entry
    older[key] = nil
  }
}
