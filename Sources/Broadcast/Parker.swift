// Parking: how a consumer goes to sleep without missing work published in the meantime.
//
// Two threads and two words: each thread writes one and then reads the other (Dekker's pattern):
//
//     publisher                               consumer
//     1. head   <- published   (seq-cst)      3. parked <- true        (seq-cst)
//     2. parked -> ?           (seq-cst)      4. head   -> ?           (seq-cst)
//
// All four are in the single total order of sequentially consistent operations. If 2 reads false, 2
// precedes 3, so 1 precedes 4, and 4 finds the work: the consumer does not sleep. If 4 finds
// nothing, 4 precedes 1, so 3 precedes 2, and 2 finds the flag: the publisher wakes the consumer.
// Both cannot miss. With release and acquire alone both may: a processor may then let its own load
// overtake its own earlier store, and x86 does so routinely.
//
// The orders are on the operations themselves and not in a fence between them, because the thread
// sanitizer does not understand fences. Tests/Models/parking.pml checks the argument.

internal import Synchronization

/// One parked consumer and the threads that wake it.
///
/// The consumer's thread calls `park(unless:)` and `resume()`; any thread calls `unpark()`. The
/// consumer may wait for several queues at once: it checks them all in `hasWork`, and each of them
/// unparks after it has published with a sequentially consistent operation.
///
/// Invariant: between a `park` that returned true and the next `resume`, `wake` is called at most
/// once, and at least once if anything was published that `hasWork` did not see.
package final class Parker: Sendable {
  /// Written true by the consumer only; written false by the publisher that wakes it and by
  /// `resume`.
  private let isParked = Atomic<Bool>(false)
  private let wake: @Sendable () -> Void

  /// Makes a parker in the awake state.
  ///
  /// `wake` runs on the thread that published and must not block: an eventfd write, say. Its effect
  /// must last until the consumer sleeps, because it may run between `park` and the sleep itself.
  package init(wake: @escaping @Sendable () -> Void) {
    self.wake = wake
  }

  /// Wakes the consumer exactly if it is parked.
  ///
  /// Any thread, after publishing. While the consumer is awake this costs one load of a word that
  /// no thread writes, so it stays in every core's cache.
  package func unpark() {
    // sequentially consistent: step 2 above; pairs with the store in `park`.
    guard isParked.load(ordering: .sequentiallyConsistent) else { return }
    // sequentially consistent, because it replaces the load: pairs with the store in `park`. An
    // exchange, so that of several publishers that saw the flag only one makes the system call.
    guard isParked.exchange(false, ordering: .sequentiallyConsistent) else { return }
    wake()
  }

  /// Announces sleep, then checks once more: true means sleep now, false means there is work.
  ///
  /// The consumer's thread only. After false the consumer is not parked; a publisher may still have
  /// called `wake`, so the next sleep may end early.
  package func park(unless hasWork: () -> Bool) -> Bool {
    // sequentially consistent: step 3 above; pairs with the load in `unpark`. A releasing store
    // could be reordered after the loads of `hasWork`, and a wake-up would be lost.
    isParked.store(true, ordering: .sequentiallyConsistent)
    // Step 4. Without this re-check, work published between the consumer's last drain and the store
    // above would wait for the next event, perhaps for ever.
    guard hasWork() else { return true }
    resume()
    return false
  }

  /// Marks the consumer as running again, whatever ended its sleep.
  ///
  /// The consumer's thread only.
  package func resume() {
    // relaxed: orders nothing. A publisher that still reads true wakes once too often; one that
    // reads false relies on the consumer checking again before it sleeps, which `park` does.
    isParked.store(false, ordering: .relaxed)
  }
}
