// The ground on which the components of a shard stand.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor

/// What all components of one shard use: its number, its clock, its counters, and its connections.
///
/// A connection has two parts at the same slot: `table` has the one that sending does not use, and
/// `delivery` the other. Everything here belongs to the thread that made it, except `core`.
final class ShardContext {
  let index: Int
  let core: ServerCore
  let metrics: ShardMetrics
  let mailbox: Mailbox<ShardMessage>
  let clock: ShardClock
  let delivery: Delivery
  let table: ConnectionTable
  let fanOutGroups: FanOutGroups
  private var randomWords: RandomWords
  /// Whether the store is closed and the thread ends: the store takes no more commands.
  private(set) var isStopping = false
  private let thread = ThreadID.current

  /// Makes the context of the shard of that index on the calling thread, which is the shard's.
  init(index: Int, core: ServerCore, poller: Poller) {
    self.index = index
    self.core = core
    metrics = core.metrics[index]
    mailbox = core.mailboxes[index]
    clock = ShardClock(core.kernel)
    randomWords = RandomWords(kernel: core.kernel)
    fanOutGroups = FanOutGroups(
      DialectRegistry.entries(at: core.configuration.engines), cursors: core.store.history.cursors)
    delivery = Delivery(
      kernel: core.kernel, poller: poller, limits: core.configuration.limits.delivery,
      groupCount: fanOutGroups.all.count, now: clock.now)
    table = ConnectionTable(delivery.table)
  }

  /// Makes the id of a notification that is created in this turn.
  func makeNotificationID() -> NotificationID {
    NotificationID(milliseconds: clock.wall, random: randomWords.pair())
  }

  /// Ends the thread after its turn.
  func stop() { isStopping = true }

  /// Traps in a debug build on any other thread than the shard's.
  func assertOnThread() { assert(ThreadID.current == thread, "not the thread of shard \(index)") }
}

/// A component of a shard, or the shard itself: it belongs to the shard's thread.
///
/// A component has private state and a few verbs. It calls only components that its initializer
/// takes; what it has for the others it returns, or reports to a protocol that it defines.
protocol ShardComponent: AnyObject {
  var context: ShardContext { get }
}

extension ShardComponent {
  var index: Int { context.index }
  var core: ServerCore { context.core }
  var kernel: Kernel { context.core.kernel }
  var limits: Limits { context.core.configuration.limits }
  var metrics: ShardMetrics { context.metrics }
  var mailbox: Mailbox<ShardMessage> { context.mailbox }
  var clock: ShardClock { context.clock }
  var delivery: Delivery { context.delivery }
  var table: ConnectionTable { context.table }
  var fanOutGroups: FanOutGroups { context.fanOutGroups }

  /// Monotonic milliseconds of this turn.
  var now: UInt64 { context.clock.now }
  /// Wall-clock milliseconds of this turn.
  var wall: Int64 { context.clock.wall }

  /// The id to which other shards address their answers to the connection in `slot`.
  func shardConnectionID(of slot: UInt32) -> ShardConnectionID {
    ShardConnectionID(shard: index, connection: table.id(of: slot))
  }

  /// Sets the activity of the connection at `slot`.
  func setActivity(_ activity: Activity, at slot: UInt32) {
    table[slot].activity = activity
    delivery.setReplaying(activity.isReplay, at: slot)
  }

  /// The encoder of the group of the session at `slot`.
  func encoder(of slot: UInt32) -> GroupEncoder { fanOutGroups[delivery[slot].group] }
}
