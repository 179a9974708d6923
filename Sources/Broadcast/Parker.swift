// Parking: how a consumer goes to sleep without missing what is published meanwhile.
//
// Two threads, two words, each thread writes one and then reads the other (Dekker's pattern):
//
//     publisher                               consumer
//     1. head   <- published   (seq-cst)      3. parked <- true        (seq-cst)
//     2. parked -> ?           (seq-cst)      4. head   -> ?           (seq-cst)
//
// All four are in the one total order of sequentially consistent operations. If 2 reads false, 2
// stands before 3 in it, so 1 stands before 4, and 4 finds the work: the consumer does not sleep.
// If 4 finds nothing, 4 stands before 1, so 3 stands before 2, and 2 finds the flag: the publisher
// wakes. Both cannot miss. With release and acquire alone both may: a processor is then free to
// let its own load overtake its own earlier store, and x86 does so every day.
//
// The orders are on the operations themselves and not in a fence between them, because the thread
// sanitizer does not understand fences. Tests/Models/parking.pml checks the argument.

internal import Synchronization

/// One sleeping consumer and those who wake it.
///
/// The consumer's thread calls `park(unless:)` and `resume()`; anyone calls `unpark()`. What the
/// consumer waits for may be several queues at once: it asks them all in `hasWork`, and each of
/// them unparks after it published with a sequentially consistent operation.
///
/// Invariant: between a `park` that answered true and the next `resume`, `wake` is called at most
/// once, and at least once if anything was published that `hasWork` did not see.
package final class Parker: Sendable {
  /// Written true by the consumer only; written false by whoever takes it to wake or resume.
  private let isParked = Atomic<Bool>(false)
  private let wake: @Sendable () -> Void

  /// Makes a parker that is awake.
  ///
  /// `wake` runs on the thread that published and must not block: an eventfd write, say. Its effect
  /// must last until the consumer sleeps, because it may run between `park` and the sleep itself.
  package init(wake: @escaping @Sendable () -> Void) {
    self.wake = wake
  }

  /// Wakes the consumer exactly if it is parked.
  ///
  /// Any thread, after publishing. While the consumer is awake this costs one load of a word that
  /// nobody writes then, so it stays in every core's cache.
  package func unpark() {
    // sequentially consistent: step 2 above; pairs with the store in `park`.
    guard isParked.load(ordering: .sequentiallyConsistent) else { return }
    // sequentially consistent, as it stands in for the load: pairs with the store in `park`. An
    // exchange, so that of many publishers who saw the flag only one pays the system call.
    guard isParked.exchange(false, ordering: .sequentiallyConsistent) else { return }
    wake()
  }

  /// Announces sleep, then looks once more: true means go to sleep now, false means there is work.
  ///
  /// The consumer's thread only. After false the consumer is not parked; a publisher may have
  /// woken it all the same, so the sleep after this one may end early.
  package func park(unless hasWork: () -> Bool) -> Bool {
    // sequentially consistent: step 3 above; pairs with the load in `unpark`. A releasing store
    // would be allowed to pass the loads of `hasWork`, and a wake-up would be lost.
    isParked.store(true, ordering: .sequentiallyConsistent)
    // Step 4. Without this second look, what was published between the consumer's last drain and
    // the store above would wait for the next event, perhaps for ever.
    guard hasWork() else { return true }
    resume()
    return false
  }

  /// Says that the consumer runs again, after its sleep ended for whatever reason.
  ///
  /// The consumer's thread only.
  package func resume() {
    // relaxed: orders nothing. A publisher that still reads true wakes once too often; one that
    // reads false relies on the consumer looking again before it sleeps, which `park` sees to.
    isParked.store(false, ordering: .relaxed)
  }
}
