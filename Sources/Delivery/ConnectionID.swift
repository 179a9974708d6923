// The name of a connection inside its shard.
//
// A slot of the table serves one connection after another, so its number alone does not name one:
// a reply of the store, an epoll event or a deferred task may arrive after the connection has ended
// and the slot has been given to the next.

/// Names one connection of a shard.
///
/// Eight bytes, copied like a number: messages, queues and sessions keep it where the connection
/// may end before they use it. Code that has just looked the connection up passes the plain slot.
///
/// Invariant: `SendTable` gives each connection a generation of its own, and a slot has none
/// once it is freed. So the table recognises the id of an ended connection (`holds` is false for
/// it), and such an id never reaches the connection that has the slot next. The counter wraps after
/// 2^32 connections of the shard.
package struct ConnectionID: Hashable, Sendable, BitwiseCopyable {
  /// Index in the shard's tables.
  package let slot: UInt32
  /// Distinguishes the connection from earlier and later ones in its slot.
  package let generation: UInt32

  package init(slot: UInt32, generation: UInt32) {
    self.slot = slot
    self.generation = generation
  }
}
