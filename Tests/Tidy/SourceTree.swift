// The repository on disk: its files and their text.
//
// The root is found from the path of this file, so the tests work in any clone.

import Glibc
import Testing

/// A text file of the repository.
struct SourceFile: CustomTestStringConvertible {
  /// The path relative to the root of the repository.
  let path: String
  let text: String

  var testDescription: String { path }
  var isSwift: Bool { path.hasSuffix(".swift") }
  var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

  /// Whether the text contains `part`.
  ///
  /// The C library searches much faster than a debug build of Swift.
  func contains(_ part: String) -> Bool { strstr(text, part) != nil }

  /// Whether `case` or `cases` followed by a digit occurs in the text.
  var mayNameCases: Bool {
    text.withCString { start in
      var rest = start
      while let found = strstr(rest, "ase") {
        let space = found + (found[3] == CChar(UInt8(ascii: "s")) ? 4 : 3)
        if space[0] == CChar(UInt8(ascii: " ")), isdigit(Int32(space[1])) != 0 { return true }
        rest = UnsafePointer(found) + 3
      }
      return false
    }
  }

  /// Its text with blanks for comments and string literals, if it is Swift.
  var code: String {
    if let known = SourceTree.codes[path], known.source == text { return known.code }
    return SwiftCode(of: text).text
  }

  /// The target that the file belongs to: the folder under Sources.
  var target: String? {
    let parts = path.split(separator: "/")
    return parts.count > 2 && parts[0] == "Sources" ? String(parts[1]) : nil
  }
}

/// The repository.
enum SourceTree {
  /// The root of the repository, three levels above this file.
  static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    .dropLast(3).joined(separator: "/")

  /// File name extensions of the repository's text files.
  private static let endings = [
    ".swift", ".c", ".h", ".py", ".js", ".ts", ".css", ".html", ".svg", ".pml", ".ini", ".md",
    ".modulemap",
  ]
  /// Names of text files without an extension.
  private static let names = ["Makefile", "run", "races"]

  /// Every text file that the rules apply to, sorted by path within each folder.
  static let files: [SourceFile] =
    ["Sources", "Tests", "Benchmarks", ".ci"]
    .flatMap { walk($0) }
    .map { SourceFile(path: $0, text: read($0)) }
    + ["Package.swift", "Makefile", "README.md"]
    .filter { access("\(root)/\($0)", R_OK) == 0 }
    .map { SourceFile(path: $0, text: read($0)) }

  static let swiftFiles = files.filter(\.isSwift)
  /// The Swift files by path, with the text that `SwiftCode` leaves of each: many rules need it.
  fileprivate static let codes = Dictionary(
    uniqueKeysWithValues: swiftFiles.map {
      ($0.path, (source: $0.text, code: SwiftCode(of: $0.text).text))
    })
  static let productFiles = swiftFiles.filter { $0.target != nil }

  /// The names at the root, without those in `.gitignore`.
  static let topLevel: [String] = {
    let ignored = Set(
      read(".gitignore").split(separator: "\n").map { line in
        line.hasSuffix("/") ? line.dropLast() : line
      })
    return list("").filter { !ignored.contains($0[...]) }
  }()

  /// Returns every file in a folder and its subfolders, of any type, sorted by path.
  static func paths(in folder: String) -> [String] {
    list(folder).flatMap { name in
      isFolder("\(folder)/\(name)") ? paths(in: "\(folder)/\(name)") : ["\(folder)/\(name)"]
    }.sorted()
  }

  private static func walk(_ folder: String) -> [String] {
    list(folder).flatMap { name -> [String] in
      let path = "\(folder)/\(name)"
      // The documentation's pictures are drawn by a program.
      if isFolder(path) { return name.hasPrefix("__") || name == "Resources" ? [] : walk(path) }
      return endings.contains(where: name.hasSuffix) || names.contains(name) ? [path] : []
    }
  }

  private static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat("\(root)/\(path)", &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  private static func list(_ folder: String) -> [String] {
    guard let stream = opendir("\(root)/\(folder)") else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  static func read(_ path: String) -> String {
    guard let file = fopen("\(root)/\(path)", "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = fread(&piece, 1, piece.count, file)
      if count == 0 { break }
      bytes += piece[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
