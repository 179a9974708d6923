// The processors, files and memory of this process.

internal import CReactor

/// Processors, open files and memory of this process.
package enum ProcessResources {
  /// Processors on which the process may run; at least one.
  package static var processorCount: Int { max(1, Int(cl_cpu_count())) }

  /// Raises the soft limit of open files to the hard one and returns it.
  @discardableResult
  package static func raiseOpenFilesLimit() -> UInt64 { cl_raise_open_files() }

  /// The files that this process has open.
  ///
  /// It lists a directory of /proc, so its cost grows with the files: call it at the start only.
  package static var openFileCount: Int { Int(cl_open_file_count()) }

  /// Returns the heap's free memory to the system.
  ///
  /// Called after many connections have closed, so that the server shrinks to its earlier size.
  package static func returnFreeMemory() { cl_give_back_memory() }

  /// Bytes of this process that are in memory; nil if the system does not say.
  package static var residentByteCount: Int? {
    let count = cl_resident_bytes()
    return count < 0 ? nil : Int(count)
  }
}
