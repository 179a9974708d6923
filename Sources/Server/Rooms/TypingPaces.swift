// The pace at which typing is sent: at most one update of a member a second, and the latest state.
//
//     member       start  stop  start  stop            start
//     others       start │              stop │         start │
//                        └── 1 s ────────┘   └── 1 s ──┘
//
// An update opens a window of its member in its room. Changes within the window are not sent; at
// its end the others are sent the state of that time, unless they have it. A client that toggles
// as fast as it can costs the others of its room one message a second, and they always end with the
// state in which it stopped. A member that leaves and returns keeps its window.

internal import Notifications

/// A user that is or was a member of a room.
struct RoomVisit: Hashable {
  let room: TextKey
  let user: TextKey

  init(_ room: RoomName, _ user: UserID) {
    self.room = TextKey(room)
    self.user = TextKey(user)
  }
}

/// The open windows of the rooms that one shard owns.
///
/// Invariant: each open window has exactly one entry in `ends`, and `count` is at most
/// `countLimit`. The others know the current state of a member without a window.
struct TypingPaces {
  /// The least time between two updates of a member.
  static let changeMilliseconds: UInt64 = 1_000
  /// The most windows of a shard; with this many, a further start of typing is not sent.
  static let countLimit = 65_536

  /// The state of a member that the others were sent, and the roster that these were on.
  struct Shown: Equatable {
    var isTyping: Bool
    /// See `Roster.startCount`: others that are on a later roster were sent nothing.
    let roster: UInt64
  }

  /// A window that ends.
  typealias Ended = (room: RoomName, user: UserID, shown: Shown)

  private struct Entry: Sendable {
    let room: RoomName
    let user: UserID
  }

  private let countLimit: Int
  /// The state that the others were sent last, while the window is open.
  private var shown: [RoomVisit: Shown] = [:]
  private var ends = DeadlineQueue<Entry>()

  init(countLimit: Int = TypingPaces.countLimit) { self.countLimit = countLimit }

  var count: Int { shown.count }
  /// When the next window ends; nil when none is open.
  var nextDeadline: UInt64? { ends.next }

  /// Whether the window of that member is open.
  func isOpen(_ visit: RoomVisit) -> Bool { shown[visit] != nil }

  /// Whether there is room for a further window.
  var hasRoom: Bool { shown.count < countLimit }

  /// Opens a window with the state that is sent; at the limit there is none.
  mutating func open(_ room: RoomName, _ user: UserID, _ state: Shown, at now: UInt64) {
    guard hasRoom, shown.updateValue(state, forKey: RoomVisit(room, user)) == nil else { return }
    ends.append(Entry(room: room, user: user), at: now &+ Self.changeMilliseconds)
  }

  /// Notes that an update was lost: the others still have the state before it.
  mutating func noteLost(_ update: TypingUpdate) {
    // guard: lost-typing-is-unshown
    shown[RoomVisit(update.room, update.user)]?.isTyping = !update.isTyping
  }

  /// Closes the next window that ends by now; nil when there is none.
  mutating func takeEnded(at now: UInt64) -> Ended? {
    guard let entry = ends.takeFirst(dueAt: now),
      let state = shown.removeValue(forKey: RoomVisit(entry.room, entry.user))
    else { return nil }
    // Release the capacity after a flood.
    if shown.isEmpty { shown = [:] }
    return (entry.room, entry.user, state)
  }

  /// Traps in a debug build when the windows and their ends differ.
  func checkInvariants() {
    assert(shown.count == ends.count, "\(shown.count) windows have \(ends.count) ends")
    assert(shown.count <= countLimit)
  }
}
