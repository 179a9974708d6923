// Tests of a live server run their async code on threads of their own.

import Dispatch
import Testing

/// Runs the async code of a test outside the pool that all tests share.
///
/// The pool has one thread for each processor, and other tests hold them for longer than a client
/// may be silent. A test that waits for one of them answers no pings meanwhile, so the server would
/// close its connections.
struct OwnThreads: SuiteTrait, TestTrait, TestScoping {
  var isRecursive: Bool { true }

  func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(QueueExecutor.shared) { try await function() }
  }
}

extension Trait where Self == OwnThreads {
  /// Runs the async code of a test outside the pool that all tests share.
  static var ownThreads: OwnThreads { OwnThreads() }
}

private final class QueueExecutor: TaskExecutor {
  static let shared = QueueExecutor()
  private let queue = DispatchQueue(label: "tests of a live server", attributes: .concurrent)

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
