// Finds the names of the tests in a file, in each language of the tests.
//
// Only a declaration of a test counts, not a helper function or a comment with the same name.

/// Finds the tests that a file declares.
enum TestNames {
  /// Returns the names of the tests in a file.
  ///
  /// A name is `Suite/name` and `Suite` in Swift, the function's name in Python and C, and the
  /// title in JavaScript.
  static func names(in file: SourceFile) -> Set<String> {
    if file.isSwift { return swiftNames(in: file) }
    if file.path.hasSuffix(".py") { return pythonNames(in: file) }
    if file.path.hasSuffix(".c") { return cNames(in: file) }
    if file.path.hasSuffix(".js") { return titles(in: file) }
    return []
  }

  /// Whether a file is runnable as a whole: a script, or the main file of a benchmark.
  static func isRunnable(_ path: String) -> Bool {
    let name = path.split(separator: "/").last ?? ""
    return name == "run" || name == "races"
      || path.hasPrefix("Benchmarks/") && name == "main.swift"
  }

  /// Finds functions with `@Test`, each with the enclosing type at the left margin.
  private static func swiftNames(in file: SourceFile) -> Set<String> {
    guard file.contains("@Test") else { return [] }
    var names: Set<String> = []
    var suite = ""
    var isAfterAttribute = false
    for line in file.lines {
      let rest = line.drop { $0 == " " }
      if rest.startIndex == line.startIndex,
        let type = line.prefixMatch(of: /(?:[@\w()]+ +)*(?:struct|class|enum|extension) +(\w+)/)
      {
        suite = String(type.1)
      }
      if rest.hasPrefix("@Test") { isAfterAttribute = true }
      // A declaration begins its line; a quoted one in an argument does not.
      guard isAfterAttribute,
        let function = rest.prefixMatch(
          of: /(?:@Test(?:\(.*\))? +)?(?:\w+ +)*?func +(?:(\w+)|`([^`]+)`)/)
      else { continue }
      isAfterAttribute = false
      names.insert("\(suite)/\(function.1 ?? function.2 ?? "")")
      names.insert(suite)
    }
    return names
  }

  private static func pythonNames(in file: SourceFile) -> Set<String> {
    guard file.contains("def test_") else { return [] }
    return Set(
      file.lines.compactMap { line in
        line.prefixMatch(of: /\ *(?:async )?def (test_\w+)\(/).map { String($0.1) }
      })
  }

  private static func cNames(in file: SourceFile) -> Set<String> {
    guard file.contains("TEST(") else { return [] }
    return Set(
      file.lines.compactMap { line in
        line.prefixMatch(of: /TEST\((\w+),/).map { String($0.1) }
      })
  }

  private static func titles(in file: SourceFile) -> Set<String> {
    let calls = file.text.matches(
      of: /\b(?:test|it|describe)(?:\.\w+)?\(\s*(?:'([^'\n]*)'|"([^"\n]*)"|`([^`\n]*)`)/)
    return Set(calls.map { String($0.1 ?? $0.2 ?? $0.3 ?? "") })
  }
}
