// Finds the comments and test names that mention cases of the acceptance list: `Case` and a number,
// or `Cases` and several numbers.

/// A mention of a case in a file, with its line.
struct CaseMention: Equatable {
  let line: Int
  let number: Int
}

enum CaseMentions {
  /// Returns the cases that a file mentions, in the order of their lines.
  static func mentions(in file: SourceFile) -> [CaseMention] {
    // Nearly every Swift file contains `case`, but few contain it with a number.
    guard file.mayNameCases else { return [] }
    let markers = markers(of: file)
    return zip(1..., file.lines).flatMap { number, line in
      numbers(in: line, after: markers).map { CaseMention(line: number, number: $0) }
    }
  }

  /// Returns the numbers after each `Case` or `Cases` in a line; `9 to 11` is three numbers.
  ///
  /// A match counts only after a comment or quote marker, which excludes the labels of a switch.
  private static func numbers(in line: Substring, after markers: [String]) -> [Int] {
    guard line.contains("ase") else { return [] }
    return line.matches(of: /\b[Cc]ases? (\d+(?:(?:,? and |, | to )\d+)*)(?!\d|\.\.)/)
      .filter { match in
        markers.isEmpty || markers.contains(where: line[..<match.range.lowerBound].contains)
      }
      .flatMap { match in
        match.1.matches(of: /(\d+)(?: to (\d+))?/).flatMap { part -> [Int] in
          guard let first = Int(part.1) else { return [] }
          let last = part.2.flatMap { Int($0) } ?? first
          // Bounds the range, whatever numbers the text contains.
          return Array(first...max(first, min(last, first + 1_000)))
        }
      }
  }

  /// Returns the markers that open comments and strings in the file's language.
  ///
  /// An empty result means that every line of the file counts as text.
  private static func markers(of file: SourceFile) -> [String] {
    if file.path.hasSuffix(".py") { return ["#", "\"\"\""] }
    if file.path.hasSuffix(".js") { return ["//", "'", "\"", "`"] }
    return [".swift", ".c", ".h"].contains(where: file.path.hasSuffix) ? ["//", "\""] : []
  }
}
