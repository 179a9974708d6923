// A file system for SQLite with faults on demand: it fails calls, holds calls and traces syncs.
//
// It wraps the system's own: every write and every sync of a file passes through here first. Each
// test has its own instance, registered under a unique name.

import CSQLite
import Glibc

// SQLite's extended codes are macros that Swift does not import.
let ioErrorWrite = SQLITE_IOERR | (3 << 8)
let ioErrorFsync = SQLITE_IOERR | (4 << 8)

/// The fault settings and observations of one test.
final class FaultFileSystem: @unchecked Sendable {
  // Unchecked: all mutable state is in the latch; the rest is set before SQLite knows of it.

  enum File: Sendable, Equatable {
    case database
    case log
    case other
  }

  enum Call: Sendable, Equatable {
    case write(File)
    case sync(File)
    /// The lock that a writer takes when its transaction begins.
    case lock
  }

  struct State {
    /// Calls that fail with an I/O error, as if the disk had failed.
    var failing: [Call] = []
    /// Syncs of the log that succeed before all others fail; nil when none fails.
    var syncsLeft: Int?
    /// SQLite's code for these failures.
    var failure = ioErrorFsync
    /// Calls that block.
    var held: [Call] = []
    /// Syncs in order, and entries added by the test.
    var trace: [String] = []
    /// Held calls that have arrived.
    var waiting = 0
    var failureCount = 0
    /// Waits for a lock.
    var sleepCount = 0
  }

  let name: String
  let state = Latch(State())
  fileprivate let base: UnsafeMutablePointer<sqlite3_vfs>
  private let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
  /// One table of our methods for each kind of file, because the system's differ between the kinds.
  fileprivate let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 3)
  private let nameBytes: UnsafeMutablePointer<CChar>
  fileprivate var originals = [UnsafePointer<sqlite3_io_methods>?](repeating: nil, count: 3)
  private static let count = Latch(0)

  /// With `hasSharedMemory` false the write-ahead log does not work on this file system.
  init(hasSharedMemory: Bool = true) {
    self.hasSharedMemory = hasSharedMemory
    let number = Self.count.change { count in
      count += 1
      return count
    }
    name = "fault-\(number)"
    nameBytes = strdup(name)
    base = sqlite3_vfs_find(nil)
    vfs.initialize(to: base.pointee)
    vfs.pointee.pNext = nil
    vfs.pointee.zName = UnsafePointer(nameBytes)
    vfs.pointee.szOsFile = Self.offset(in: base) + 16
    vfs.pointee.pAppData = Unmanaged.passUnretained(self).toOpaque()
    vfs.pointee.xOpen = openFile
    vfs.pointee.xSleep = { vfs, microseconds in
      let system = Unmanaged<FaultFileSystem>.fromOpaque(vfs!.pointee.pAppData)
        .takeUnretainedValue()
      system.state.change { $0.sleepCount += 1 }
      return system.base.pointee.xSleep(system.base, microseconds)
    }
    sqlite3_vfs_register(vfs, 0)
  }

  fileprivate let hasSharedMemory: Bool

  deinit {
    sqlite3_vfs_unregister(vfs)
    vfs.deallocate()
    methods.deallocate()
    free(nameBytes)
  }

  func fail(_ calls: Call..., with code: Int32 = ioErrorFsync) {
    state.change { state in
      state.failing = calls
      state.failure = code
    }
  }

  /// Fails all syncs of the log after the next `count`.
  func failSyncs(after count: Int) {
    state.change { $0.syncsLeft = count }
  }

  func hold(_ calls: Call...) {
    state.change { $0.held = calls }
  }

  func release() {
    state.change { $0.held = [] }
  }

  /// Waits until a held call has arrived.
  func awaitHeldCall() {
    state.wait { $0.waiting > 0 }
  }

  /// Where our own words begin, after the system's file structure.
  fileprivate static func offset(in base: UnsafeMutablePointer<sqlite3_vfs>) -> Int32 {
    (base.pointee.szOsFile + 15) & ~15
  }

  fileprivate func enter(_ call: Call) -> Int32 {
    let isHeld = state.change { state in
      let isHeld = state.held.contains(call)
      if isHeld { state.waiting += 1 }
      return isHeld
    }
    if isHeld { state.wait { !$0.held.contains(call) } }
    return state.change { state in
      if isHeld { state.waiting -= 1 }
      if case .sync(let file) = call { state.trace.append("sync \(file)") }
      var isFailing = state.failing.contains(call)
      if call == .sync(.log), let left = state.syncsLeft {
        isFailing = isFailing || left == 0
        state.syncsLeft = max(0, left - 1)
      }
      guard isFailing else { return SQLITE_OK }
      state.failureCount += 1
      return state.failure
    }
  }
}

/// Our words after each open file: its file system, and which of SQLite's files it is.
private struct FileWords {
  var owner: UnsafeMutableRawPointer?
  var file: Int
}

private func words(
  of file: UnsafeMutablePointer<sqlite3_file>
) -> UnsafeMutablePointer<FileWords> {
  let offset = Int(FaultFileSystem.offset(in: sqlite3_vfs_find(nil)))
  return UnsafeMutableRawPointer(file).advanced(by: offset).assumingMemoryBound(to: FileWords.self)
}

private func owner(
  of file: UnsafeMutablePointer<sqlite3_file>
) -> (FaultFileSystem, FaultFileSystem.File, UnsafePointer<sqlite3_io_methods>) {
  let words = words(of: file).pointee
  let kinds: [FaultFileSystem.File] = [.database, .log, .other]
  let system = Unmanaged<FaultFileSystem>.fromOpaque(words.owner!).takeUnretainedValue()
  return (system, kinds[words.file], system.originals[words.file]!)
}

private let openFile:
  @convention(c) (
    UnsafeMutablePointer<sqlite3_vfs>?, sqlite3_filename?, UnsafeMutablePointer<sqlite3_file>?,
    Int32, UnsafeMutablePointer<Int32>?
  ) -> Int32 = { vfs, path, file, flags, outFlags in
    let system = Unmanaged<FaultFileSystem>.fromOpaque(vfs!.pointee.pAppData).takeUnretainedValue()
    let result = system.base.pointee.xOpen(system.base, path, file, flags, outFlags)
    guard result == SQLITE_OK, let file, let methods = file.pointee.pMethods else { return result }
    let kind = flags & SQLITE_OPEN_MAIN_DB != 0 ? 0 : flags & SQLITE_OPEN_WAL != 0 ? 1 : 2
    system.install(methods, kind: kind)
    words(of: file).initialize(
      to: FileWords(owner: Unmanaged.passUnretained(system).toOpaque(), file: kind))
    file.pointee.pMethods = UnsafePointer(system.methods + kind)
    return result
  }

extension FaultFileSystem {
  /// Saves the system's methods for this kind of file and installs ours in front.
  fileprivate func install(_ found: UnsafePointer<sqlite3_io_methods>, kind: Int) {
    state.change { _ in
      guard originals[kind] == nil else { return }
      originals[kind] = found
      var wrapped = found.pointee
      if !hasSharedMemory { wrapped.iVersion = 1 }
      wrapped.xWrite = { file, bytes, count, offset in
        let (system, kind, original) = owner(of: file!)
        let result = system.enter(.write(kind))
        return result == SQLITE_OK ? original.pointee.xWrite(file, bytes, count, offset) : result
      }
      wrapped.xSync = { file, flags in
        let (system, kind, original) = owner(of: file!)
        let result = system.enter(.sync(kind))
        return result == SQLITE_OK ? original.pointee.xSync(file, flags) : result
      }
      wrapped.xShmLock = { file, offset, count, flags in
        let (system, _, original) = owner(of: file!)
        let isWriteLock = offset == 0 && flags == SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE
        let result = isWriteLock ? system.enter(.lock) : SQLITE_OK
        return result == SQLITE_OK
          ? original.pointee.xShmLock(file, offset, count, flags) : result
      }
      (methods + kind).initialize(to: wrapped)
    }
  }
}
