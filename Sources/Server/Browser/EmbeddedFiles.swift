// The files for browsers that are embedded in the binary.

internal import WebClient

/// One embedded file, unchanged from the source tree.
struct SourceFile: Sendable {
  /// Its path in the source: "client/carillon.js", "pages/demo.html".
  let path: String
  let bytes: [UInt8]

  /// All files embedded in the binary.
  static func embedded() -> [SourceFile] {
    // SAFETY: the table and everything it points to are constants of the program, and
    // `web_file_count` is the table's length.
    let table = unsafe UnsafeBufferPointer(start: web_files(), count: web_file_count())
    return unsafe table.map { file in
      unsafe SourceFile(
        path: String(cString: file.name),
        bytes: Array(UnsafeBufferPointer(start: file.bytes, count: file.count)))
    }
  }
}
