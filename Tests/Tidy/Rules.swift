// The style rules, as pure functions from text to findings, so that each can be tested on a minimal
// example.

/// A violation of a rule, with its line.
struct Finding: Equatable, CustomStringConvertible {
  let path: String
  let line: Int
  let complaint: String

  var description: String { "\(path):\(line): \(complaint)" }
}

enum Rules {
  static let columnsLimit = 100
  static let fileLinesLimit = 500
  static let functionLinesLimit = 70

  /// The targets that may contain unsafe code.
  ///
  /// The codecs, the tokens and the domain contain none.
  static let unsafeTargets: Set = [
    "Reactor", "Broadcast", "Delivery", "Server", "Storage", "Cryptography", "Channels",
  ]

  /// Names of clocks and random sources that are not the kernel table's.
  private static let foreignSources = [
    "SystemRandomNumberGenerator", "ContinuousClock", "SuspendingClock", "clock_gettime",
    "gettimeofday", "getrandom", "arc4random", "RAND_bytes", "randomElement", "shuffled",
    "shuffle",
  ]

  /// Returns a finding for each line for which `isBad` is true; line numbers start at 1.
  private static func lines(
    of file: SourceFile, _ complaint: String, where isBad: (Substring) -> Bool
  ) -> [Finding] {
    zip(1..., file.lines).filter { isBad($1) }.map {
      Finding(path: file.path, line: $0.0, complaint: complaint)
    }
  }

  /// No line is longer than 100 columns.
  static func longLines(in file: SourceFile) -> [Finding] {
    lines(of: file, "longer than \(columnsLimit) columns") { $0.count > columnsLimit }
  }

  /// No file is longer than 500 lines: a longer one should be split.
  static func longFile(_ file: SourceFile) -> [Finding] {
    let count = file.lines.count - (file.text.hasSuffix("\n") ? 1 : 0)
    guard count > fileLinesLimit else { return [] }
    return [Finding(path: file.path, line: count, complaint: "longer than \(fileLinesLimit) lines")]
  }

  /// No function is longer than 70 lines.
  ///
  /// Relies on the formatter: a body ends with the first brace at its declaration's own column.
  static func longFunctions(in file: SourceFile) -> [Finding] {
    let code = file.code.split(
      separator: "\n", omittingEmptySubsequences: false)
    var findings: [Finding] = []
    for (start, line) in code.enumerated() where isFunction(line) {
      let column = line.prefix { $0 == " " }.count
      guard let end = endOfBody(from: start, column: column, in: code) else { continue }
      if end - start + 1 > functionLinesLimit {
        findings.append(
          Finding(
            path: file.path, line: start + 1,
            complaint: "a function of \(end - start + 1) lines, over \(functionLinesLimit)"))
      }
    }
    return findings
  }

  private static func isFunction(_ line: Substring) -> Bool {
    let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
    guard let keyword = words.first(where: { !modifiers.contains($0) }) else { return false }
    return keyword == "func" || keyword == "init" || keyword == "deinit" || keyword == "subscript"
  }

  private static let modifiers: Set<Substring> = [
    "package", "public", "private", "internal", "fileprivate", "static", "final", "override",
    "mutating", "nonmutating", "consuming", "borrowing", "convenience", "required", "nonisolated",
    "unsafe", "inline", "always", "never", "Test", "inlinable",
  ]

  private static func endOfBody(from start: Int, column: Int, in code: [Substring]) -> Int? {
    if code[start].contains("{"), code[start].last == "}" { return start }
    for (index, line) in code.enumerated().dropFirst(start + 1) {
      let indent = line.prefix { $0 == " " }.count
      let rest = line.dropFirst(indent)
      if rest.isEmpty || indent > column || rest.hasPrefix("#") { continue }
      if indent == column, rest == "}" { return index }
      // Only these continue a signature at the declaration's own column.
      if indent == column, [")", "{", "where "].contains(where: rest.hasPrefix) { continue }
      return nil
    }
    return nil
  }

  /// No comment marks unfinished work: that belongs in an issue.
  static func leftovers(in file: SourceFile) -> [Finding] {
    let marks = ["TO" + "DO", "FIX" + "ME", "X" + "XX"]
    return lines(of: file, "a mark of unfinished work") { line in
      line.split { !($0.isLetter || $0.isNumber || $0 == "_") }.contains { word in
        marks.contains(String(word))
      }
    }
  }

  /// No file contains a path of the machine that it was written on.
  static func machinePaths(in file: SourceFile) -> [Finding] {
    let folders = ["work", "root", "home", "Users", "tmp/wt"].map { "/" + $0 }
    return lines(of: file, "contains a path of one machine") { line in
      folders.contains { folder in
        line.ranges(of: folder).contains { range in
          let before = line[..<range.lowerBound].last
          let after = line[range.upperBound...].first
          let isStart = before.map { !$0.isLetter && !$0.isNumber && !"._-~*)".contains($0) }
          let isEnd = after == "/" || after == "-"
          return isStart ?? true && isEnd
        }
      }
    }
  }

  /// Each file opens with a comment that states its purpose.
  static func missingOpening(of file: SourceFile) -> [Finding] {
    guard let first = file.lines.first, first.hasPrefix("// "), first.count > 10 else {
      return [Finding(path: file.path, line: 1, complaint: "has no opening comment")]
    }
    return []
  }

  /// No comment line is a ruler.
  static func banners(in file: SourceFile) -> [Finding] {
    lines(of: file, "a banner") { line in
      let rest = line.drop { $0 == " " }
      let marks = rest.dropFirst(2).filter { $0 != " " }
      return rest.hasPrefix("//") && marks.count > 3 && marks.allSatisfy { "/=-*#~".contains($0) }
    }
  }

  /// Each unchecked claim to the compiler has a comment with its proof directly above or below.
  static func unprovenClaims(in file: SourceFile) -> [Finding] {
    let code = file.code.split(
      separator: "\n", omittingEmptySubsequences: false)
    let lines = file.lines
    func isComment(_ index: Int) -> Bool {
      lines.indices.contains(index) && lines[index].drop { $0 == " " }.hasPrefix("//")
    }
    return code.indices.filter { index in
      let isClaim =
        code[index].contains("@unchecked Sendable") || code[index].contains("nonisolated(unsafe)")
      return isClaim && !isComment(index - 1) && !isComment(index + 1)
    }.map { Finding(path: file.path, line: $0 + 1, complaint: "an unchecked claim without proof") }
  }

  /// Server tests access a shard only through its façade.
  ///
  /// Outside of the façade's files no server test names a type that the façade wraps. It reads
  /// `shard` only from a fixture, where it is the façade. The tests of the connection table are
  /// exempt for its types, because they need no shard.
  static func shardAccess(in file: SourceFile) -> [Finding] {
    let folder = "Tests/Server/"
    guard file.path.hasPrefix(folder), !file.path.hasPrefix(folder + "ShardFacade") else {
      return []
    }
    let isTableTest = file.path == folder + "ConnectionTableTests.swift"
    let types: Set<Substring> =
      isTableTest ? ["Shard"] : ["Shard", "Connection", "ConnectionTable"]
    let code = SourceFile(path: file.path, text: file.code)
    return lines(of: code, "bypasses the shard's façade") { line in
      let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
      return words.contains { types.contains($0) }
        || line.matches(of: /(\w*)\??\.shard(?!\w)/).contains { $0.1 != "fixture" }
    }
  }

  /// Clocks and random numbers of the product come from the kernel table.
  static func foreignClocksAndChance(in file: SourceFile) -> [Finding] {
    // Most files name none, and a search is much faster than a regular expression a line.
    guard (foreignSources + ["random", "time(nil)"]).contains(where: file.contains) else {
      return []
    }
    let code = SourceFile(path: file.path, text: file.code)
    return lines(of: code, "a clock or a random source other than the kernel table's") { line in
      let words = line.split { !($0.isLetter || $0.isNumber || $0 == "_") }
      return words.contains { foreignSources.contains(String($0)) }
        || line.contains(/\brandom\(in:|\.random\(\)|\btime\(nil\)/)
    }
  }

  /// Only target Reactor names the kernel's C.
  static func misplacedKernel(in file: SourceFile) -> [Finding] {
    guard file.target != "Reactor", ["CReactor", "cl_", "CL_"].contains(where: file.contains) else {
      return []
    }
    let code = SourceFile(path: file.path, text: file.code)
    return lines(of: code, "names the kernel's C") { line in
      line.contains(/\bCReactor\b|\bcl_\w+|\bCL_[A-Z]+/)
    }
  }

  /// Identities are compared by their bytes: `==` equates canonically equivalent strings.
  ///
  /// It finds collections with text as keys (they have `TextKey`) and comparisons of values named
  /// after an identity (they have `hasSameBytes(as:)`). The exempt files have only names of ASCII
  /// letters as keys.
  static func canonicalComparisons(in file: SourceFile) -> [Finding] {
    let targets: Set = ["Server", "Notifications", "Storage", "Tokens", "Carillon"]
    guard let target = file.target, targets.contains(target) else { return [] }
    let exempt = ["ClientFiles", "Preferences", "PreferencesParser", "DraftParser"]
    let isExempt = exempt.contains { file.path.hasSuffix("/\($0).swift") }
    let code = SourceFile(path: file.path, text: file.code)
    return lines(of: code, "compares an identity by canonical equivalence") { line in
      if !isExempt, line.contains(/\[(String|UserID|RoomName) ?:|Set<(String|UserID|RoomName)>/) {
        return true
      }
      guard line.contains(" == ") || line.contains(" != ") else { return false }
      return
        line.contains(
          /(^|\W)(user|userID|room|roomName|scope|groupKey|origin) [=!]= (?!nil\b|\.|"")/)
        || line.contains(
          /[=!]= (\w+(\[\w+\])?\.)*(user|userID|room|roomName|scope|groupKey|origin)\b(?![.(\[])/)
    }
  }

  /// Unsafe code appears only in the allowed targets.
  static func misplacedUnsafe(in file: SourceFile) -> [Finding] {
    guard let target = file.target, !unsafeTargets.contains(target) else { return [] }
    let code = SourceFile(path: file.path, text: file.code)
    return lines(of: code, "unsafe code in \(target)") { line in
      line.split { !($0.isLetter || $0.isNumber || $0 == "_") }.contains("unsafe")
    }
  }
}
