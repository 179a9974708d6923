// The name of a connection in the whole server: for replies and quotas that cross shards.

internal import Delivery

/// Names one connection of the server.
///
/// Only the thread of `shard` can look the connection up; other shards send it a `ShardMessage`
/// with the id. The invariant is that of `ConnectionID`: the id of an ended connection reaches
/// nothing.
struct ShardConnectionID: Hashable, Sendable, BitwiseCopyable {
  /// The shard that has the connection: an index into `ServerCore.mailboxes`.
  let shard: Int
  let connection: ConnectionID
}
