// Where a comment or the name of a test names cases of the acceptance list, as `Case` and a number
// do, or `Cases` and several.

/// A case that is named in a file, and the line that names it.
struct CaseMention: Equatable {
  let line: Int
  let number: Int
}

enum CaseMentions {
  /// The cases that a file names, in its order.
  static func mentions(in file: SourceFile) -> [CaseMention] {
    // Nearly every file of Swift has a `case`, and few have one with a number.
    guard file.mayNameCases else { return [] }
    let markers = markers(of: file)
    return zip(1..., file.lines).flatMap { number, line in
      numbers(in: line, after: markers).map { CaseMention(line: number, number: $0) }
    }
  }

  /// The numbers after each `Case` or `Cases` of a line; `9 to 11` is three.
  ///
  /// The label of a switch has none of the markers before it.
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
          // Not more than a list has, whatever the text says.
          return Array(first...max(first, min(last, first + 1_000)))
        }
      }
  }

  /// The openings of comments and quotations in the language of a file; none: all of it is text.
  private static func markers(of file: SourceFile) -> [String] {
    if file.path.hasSuffix(".py") { return ["#", "\"\"\""] }
    if file.path.hasSuffix(".js") { return ["//", "'", "\"", "`"] }
    return [".swift", ".c", ".h"].contains(where: file.path.hasSuffix) ? ["//", "\""] : []
  }
}
