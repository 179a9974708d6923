// Giving memory back to the system after many connections have left.

internal import CReactor

/// The process's heap.
enum Memory {
  /// Returns what the heap holds free: after a herd has left, a server is as small as before it.
  static func giveBack() { cl_give_back_memory() }
}
