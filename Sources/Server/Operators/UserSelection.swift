// The first of many users, in the order of their bytes, without sorting them all.
//
// Users are offered in any order, and at most twice the limit is kept. At that number they are
// sorted and the second half is discarded. From then on a user after the last one kept is skipped
// with one comparison.

internal import Notifications

/// Selects the first users after `after`.
///
/// Invariant: `kept` holds at most `2 * limit` users, among them the first `limit` of those
/// offered after `after`.
struct UserSelection {
  private let limit: Int
  private let after: TextKey?
  private var kept: [TextKey] = []
  /// No user after this one is among the first `limit`.
  private var last: TextKey?
  private var hasMore = false
  /// Users offered, those before `after` too.
  private var total = 0

  init(limit: Int, after: UserID?) {
    precondition(limit > 0, "limit \(limit)")
    self.limit = limit
    self.after = after.map { TextKey($0) }
  }

  /// Takes a user into account; no user is offered twice.
  mutating func offer(_ user: TextKey) {
    total += 1
    if let after, !(after < user) { return }
    if let last, last < user {
      hasMore = true
      return
    }
    kept.append(user)
    if kept.count >= 2 * limit { trim() }
  }

  /// The users, in order.
  mutating func finish() -> ConnectedUsers {
    trim()
    return ConnectedUsers(users: kept.map(\.text), total: total, limit: limit, hasMore: hasMore)
  }

  private mutating func trim() {
    kept.sort()
    guard kept.count > limit else { return }
    kept.removeLast(kept.count - limit)
    last = kept.last
    hasMore = true
  }
}
