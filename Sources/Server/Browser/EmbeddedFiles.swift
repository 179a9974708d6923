// The files for browsers, as the compiler put them into the binary.

internal import WebClient

/// One file of the source, as it stands there.
struct SourceFile: Sendable {
  /// Its path in the source: "client/carillon.js", "pages/demo.html".
  let path: String
  let bytes: [UInt8]

  /// All that are in the binary.
  static func embedded() -> [SourceFile] {
    // SAFETY: the table and all that it points to are constants of the program, as many as it says.
    let table = unsafe UnsafeBufferPointer(start: web_files(), count: web_file_count())
    return unsafe table.map { file in
      unsafe SourceFile(
        path: String(cString: file.name),
        bytes: Array(UnsafeBufferPointer(start: file.bytes, count: file.count)))
    }
  }
}
