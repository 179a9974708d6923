// The table in Tests/ACCEPTANCE.md: a row for each case, with the tests that cover it.
//
// The table is parsed and checked against the files it names, so that renaming or removing a test
// requires a change of its row.

/// A test that a row names: a file, and the test in it unless the whole file is meant.
struct TestReference: Equatable, CustomStringConvertible {
  let path: String
  let name: String?

  init(_ text: Substring) {
    let parts = text.split(separator: "::", maxSplits: 1)
    path = String(parts.first ?? "")
    name = parts.count > 1 ? String(parts[1]) : nil
  }

  var description: String { name.map { "\(path)::\($0)" } ?? path }

  /// Whether `file`, the file at `path`, declares the test.
  func isDeclared(in file: CaseFile) -> Bool {
    guard let name else { return file.hasTests }
    // JavaScript titles are long and often built from parts, so a part of the title is enough.
    if path.hasSuffix(".js") { return !name.isEmpty && file.tests.contains { $0.contains(name) } }
    return file.tests.contains(name)
  }
}

/// The tests that a file declares, and the cases that it names.
struct CaseFile {
  let path: String
  let tests: Set<String>
  let mentions: [CaseMention]

  init(_ file: SourceFile) {
    path = file.path
    tests = TestNames.names(in: file)
    mentions = CaseMentions.mentions(in: file)
  }

  var hasTests: Bool { !tests.isEmpty || TestNames.isRunnable(path) }
}

/// A row of the table.
struct AcceptanceRow: Equatable {
  let number: Int
  let line: Int
  let references: [TestReference]
  /// Whether the row states that no test covers the case.
  let isOpen: Bool
  /// The part of the case that no test covers; `-`: none.
  let missing: String
  /// The last measured figure; `-`: none.
  let figure: String
}

/// Parses the table and finds its errors.
struct AcceptanceTable {
  static let path = "Tests/ACCEPTANCE.md"
  static let caseCount = 100
  private static let cellCount = 7

  private(set) var rows: [AcceptanceRow] = []
  /// Findings for rows that could not be parsed.
  private(set) var malformed: [Finding] = []

  init(_ file: SourceFile) {
    for (line, text) in zip(1..., file.lines) where text.hasPrefix("|") {
      let cells = text.split(separator: "|", omittingEmptySubsequences: false).dropFirst()
        .dropLast().map(Self.trimmed)
      // Skip the table's header and its separator line.
      guard let number = cells.first.flatMap({ Int($0) }) else { continue }
      guard cells.count == Self.cellCount, !cells.contains("") else {
        malformed.append(Self.finding(line, "needs \(Self.cellCount) non-empty cells"))
        continue
      }
      add(number, cells, line)
    }
  }

  private mutating func add(_ number: Int, _ cells: [Substring], _ line: Int) {
    let claims = cells[4].split(separator: "<br>").map(Self.trimmed)
    let references = claims.filter { $0.count > 2 && $0.hasPrefix("`") && $0.hasSuffix("`") }
      .map { TestReference($0.dropFirst().dropLast()) }
    let isOpen = claims == ["open"]
    if isOpen ? !references.isEmpty : references.count != claims.count {
      let complaint = "case \(number) must list either tests only or the single word `open`"
      malformed.append(Self.finding(line, complaint))
    }
    rows.append(
      AcceptanceRow(
        number: number, line: line, references: references, isOpen: isOpen,
        missing: String(cells[5]), figure: String(cells[6])))
  }

  private static func trimmed(_ text: Substring) -> Substring {
    let start = text.drop { $0 == " " }
    return start[..<(start.lastIndex { $0 != " " }.map(start.index(after:)) ?? start.startIndex)]
  }

  private static func finding(_ line: Int, _ complaint: String) -> Finding {
    Finding(path: path, line: line, complaint: complaint)
  }

  /// Rows out of the sequence 1 to 100.
  var misnumbered: [Finding] {
    var expected = 1
    var findings: [Finding] = []
    for row in rows {
      if row.number != expected {
        let complaint = "case \(row.number) is in the place of case \(expected)"
        findings.append(Self.finding(row.line, complaint))
      }
      expected = row.number + 1
    }
    if expected != Self.caseCount + 1 {
      findings.append(Self.finding(rows.last?.line ?? 1, "does not end at \(Self.caseCount)"))
    }
    return findings
  }

  /// Rows with cells that contradict each other.
  var contradictions: [Finding] {
    rows.flatMap { row -> [Finding] in
      var findings: [Finding] = []
      if row.isOpen, row.missing == "-" {
        let complaint = "case \(row.number) is open without a reason"
        findings.append(Self.finding(row.line, complaint))
      }
      let day = /\b\d{4}-\d\d-\d\d\b/
      let commit = /\b(?=\w*[a-f])(?=\w*\d)[0-9a-f]{7,40}\b/
      if row.figure != "-", !row.figure.contains(day), !row.figure.contains(commit) {
        let complaint = "the figure of case \(row.number) has neither a commit nor a date"
        findings.append(Self.finding(row.line, complaint))
      }
      return findings
    }
  }

  /// References to tests that do not exist.
  func broken(in files: [CaseFile]) -> [Finding] {
    let byPath = Self.index(files)
    return rows.flatMap { row in
      row.references.compactMap { reference in
        guard let file = byPath[reference.path] else {
          return Self.finding(row.line, "case \(row.number): there is no file \(reference.path)")
        }
        if reference.isDeclared(in: file) { return nil }
        return Self.finding(row.line, "case \(row.number): there is no test \(reference)")
      }
    }
  }

  /// References to files that do not name the case.
  func untraceable(in files: [CaseFile]) -> [Finding] {
    let byPath = Self.index(files)
    return rows.flatMap { row -> [Finding] in
      Set(row.references.map(\.path)).sorted().compactMap { path in
        guard let file = byPath[path] else { return nil }
        if file.mentions.contains(where: { $0.number == row.number }) { return nil }
        return Self.finding(row.line, "\(path) does not name case \(row.number)")
      }
    }
  }

  /// Mentions in `file` of a case without a row or, if it is a test file, of a case with a row that
  /// names no test of the file.
  func unlisted(in file: CaseFile) -> [Finding] {
    file.mentions.compactMap { mention in
      guard let row = rows.first(where: { $0.number == mention.number }) else {
        return Finding(
          path: file.path, line: mention.line,
          complaint: "names case \(mention.number), which has no row in \(Self.path)")
      }
      if !file.hasTests || row.references.contains(where: { $0.path == file.path }) { return nil }
      return Finding(
        path: file.path, line: mention.line,
        complaint: "names case \(row.number), but its row in \(Self.path) names no test here")
    }
  }

  private static func index(_ files: [CaseFile]) -> [String: CaseFile] {
    Dictionary(files.map { ($0.path, $0) }) { first, _ in first }
  }
}
