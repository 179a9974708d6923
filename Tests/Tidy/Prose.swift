// The prose of a file: its comments, docstrings and the names of its tests, line by line.
//
// One pass over the bytes, because the whole tree is read in every test run. A comment marker in a
// string is text; a quotation mark in a regular expression ends with its line at the latest.

/// One line of prose.
struct ProseLine: Equatable {
  let line: Int
  let text: String
  /// Whether it is the name of a test, which the word counts leave out.
  var isTestName = false
}

/// Separates a file's prose from its code.
struct Prose {
  /// The comments and test names, in the order of the file.
  private(set) var lines: [ProseLine] = []
  /// The bytes that are neither comment nor string, with line breaks.
  private(set) var code: [UInt8] = []

  private enum Language {
    case braces, hashes, markdown
  }

  private let bytes: [UInt8]
  private var position = 0
  private var line = 1

  init(of file: SourceFile) {
    bytes = Array(file.text.utf8)
    let language: Language? =
      if [".swift", ".c", ".h", ".js", ".ts", ".css"].contains(where: file.path.hasSuffix) {
        .braces
      } else if file.path.hasSuffix(".py") || file.isScript {
        .hashes
      } else if file.path.hasSuffix(".md") {
        .markdown
      } else {
        nil
      }
    switch language {
    case .braces: readBraces()
    case .hashes: readHashes()
    case .markdown: readMarkdown()
    case nil: break
    }
    if file.isSwift { readTestNames(of: file) }
  }

  // MARK: Languages

  /// Swift, C, JavaScript and CSS.
  private mutating func readBraces() {
    while position < bytes.count {
      if isAhead("//") {
        takeComment(upTo: "\n", from: 2)
      } else if isAhead("/*") {
        takeComment(upTo: "*/", from: 2)
      } else if isAhead("\"\"\"") {
        skip(to: "\"\"\"", from: 3)
      } else if bytes[position] == UInt8(ascii: "\"") {
        skipString()
      } else {
        takeCode()
      }
    }
  }

  /// Python, shell and make.
  private mutating func readHashes() {
    var isLineStart = true
    while position < bytes.count {
      let byte = bytes[position]
      if byte == UInt8(ascii: "#"), isLineStart || isSpace(bytes[position - 1]) {
        takeComment(upTo: "\n", from: 1)
      } else if isLineStart, isAhead("\"\"\"") {
        takeComment(upTo: "\"\"\"", from: 3)
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        isAhead("\"\"\"") ? skip(to: "\"\"\"", from: 3) : skipString()
      } else {
        isLineStart = byte == UInt8(ascii: "\n") || isLineStart && isSpace(byte)
        takeCode()
      }
    }
  }

  /// Text without its code blocks and code spans.
  private mutating func readMarkdown() {
    var isFenced = false
    let text = String(decoding: bytes, as: UTF8.self)
    for (number, line) in zip(1..., text.split(separator: "\n", omittingEmptySubsequences: false)) {
      if line.hasPrefix("```") {
        isFenced.toggle()
      } else if !isFenced {
        let spans = line.split(separator: "`", omittingEmptySubsequences: false)
        let prose = spans.enumerated().compactMap { $0.offset % 2 == 0 ? $0.element : nil }
        lines.append(ProseLine(line: number, text: prose.joined(separator: " ")))
      }
    }
  }

  /// The display names of Swift tests, and those that are raw identifiers.
  private mutating func readTestNames(of file: SourceFile) {
    for (number, line) in zip(1..., file.lines) {
      let rest = line.drop { $0 == " " }
      let isNamed = rest.hasPrefix("@Test(\"") || rest.hasPrefix("@Suite(\"")
      let quote: Character? = isNamed ? "\"" : rest.contains("func `") ? "`" : nil
      guard let quote, let start = rest.firstIndex(of: quote) else { continue }
      let name = rest[rest.index(after: start)...].prefix { $0 != quote }
      lines.append(ProseLine(line: number, text: String(name), isTestName: true))
    }
  }

  // MARK: Bytes

  private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A }

  private func isAhead(_ expected: StaticString) -> Bool {
    let count = expected.utf8CodeUnitCount
    guard position + count <= bytes.count else { return false }
    return expected.withUTF8Buffer { buffer in
      (0..<count).allSatisfy { bytes[position + $0] == buffer[$0] }
    }
  }

  private mutating func takeCode() {
    if bytes[position] == UInt8(ascii: "\n") { line += 1 }
    code.append(bytes[position])
    position += 1
  }

  /// Takes a comment up to its end, a line at a time.
  private mutating func takeComment(upTo end: StaticString, from prefix: Int) {
    position += prefix
    var start = position
    while position < bytes.count, !isAhead(end) {
      if bytes[position] == UInt8(ascii: "\n") {
        append(start..<position)
        line += 1
        code.append(bytes[position])
        start = position + 1
      }
      position += 1
    }
    append(start..<position)
    if position < bytes.count, bytes[position] != UInt8(ascii: "\n") {
      position += end.utf8CodeUnitCount
    }
  }

  private mutating func append(_ range: Range<Int>) {
    let text = String(decoding: bytes[range], as: UTF8.self)
    lines.append(ProseLine(line: line, text: text))
  }

  private mutating func skip(to end: StaticString, from prefix: Int) {
    position += prefix
    while position < bytes.count, !isAhead(end) {
      if bytes[position] == UInt8(ascii: "\n") {
        line += 1
        code.append(bytes[position])
      }
      position += 1
    }
    position = min(bytes.count, position + end.utf8CodeUnitCount)
  }

  /// Skips a string in quotation marks, which ends with its line at the latest.
  private mutating func skipString() {
    let quote = bytes[position]
    position += 1
    while position < bytes.count, bytes[position] != quote, bytes[position] != UInt8(ascii: "\n") {
      let isEscape = bytes[position] == UInt8(ascii: "\\")
      position += isEscape && position + 1 < bytes.count && bytes[position + 1] != 0x0A ? 2 : 1
    }
    position = min(bytes.count, position)
    if position < bytes.count, bytes[position] == quote { position += 1 }
  }
}

extension SourceFile {
  /// Whether it is a script or a makefile without an ending.
  fileprivate var isScript: Bool {
    !(path.split(separator: "/").last ?? "").contains(".")
  }
}
