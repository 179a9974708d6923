// A Markdown document: its headings, links, fenced blocks and tables, and the rules for them.
//
// Only the Markdown that the documents use: headings with `#`, links in one line, code spans with
// one backtick.

import Testing

/// A link in a document.
struct DocumentLink: Equatable {
  let line: Int
  let target: String
}

/// README or an article.
struct Document: CustomTestStringConvertible {
  static let folder = "Sources/Carillon/Carillon.docc"
  static let landingPage = folder + "/Carillon.md"

  /// README and every article, with the landing page.
  static let all = SourceTree.files.filter {
    $0.path == "README.md" || $0.path.hasPrefix(folder + "/") && $0.path.hasSuffix(".md")
  }.map { Document(path: $0.path, text: $0.text) }
  static let articles = all.filter { $0.path != "README.md" && $0.path != landingPage }

  static func named(_ path: String) -> Document? { all.first { $0.path == path } }
  static func article(_ name: String) -> Document? { named("\(folder)/\(name).md") }

  let path: String
  let text: String
  /// The lines outside of fenced blocks, with their numbers.
  let lines: [(number: Int, text: Substring)]

  init(path: String, text: String) {
    self.path = path
    self.text = text
    var isFenced = false
    var lines: [(Int, Substring)] = []
    for (number, line) in zip(1..., text.split(separator: "\n", omittingEmptySubsequences: false)) {
      if line.hasPrefix("```") {
        isFenced.toggle()
      } else if !isFenced {
        lines.append((number, line))
      }
    }
    self.lines = lines
  }

  var testDescription: String { path }
  var name: Substring { path.split(separator: "/").last?.dropLast(3) ?? "" }

  /// The number of lines, as `wc` counts them.
  var lineCount: Int { text.utf8.count { $0 == 0x0A } }

  // MARK: Parts

  /// The texts of the headings, without code marks.
  var headings: [String] {
    lines.compactMap { _, line in
      guard line.hasPrefix("#"), let space = line.firstIndex(of: " ") else { return nil }
      return String(line[space...].filter { $0 != "`" }.dropFirst())
    }
  }

  /// The paragraph after the title, in one line.
  var abstract: String {
    let text = lines.dropFirst().drop { $0.text.isEmpty }.prefix { !$0.text.isEmpty }
    return text.map { String($0.text) }.joined(separator: " ")
  }

  /// The links of the prose and the sources of pictures.
  var links: [DocumentLink] {
    lines.flatMap { number, line in
      let prose = line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
        .map { $0.offset % 2 == 0 ? String($0.element) : "" }.joined()
      let inProse = prose.matches(of: /\]\(([^)\s]+)\)/).map { String($0.1) }
      let pictures = line.matches(of: /\b(?:src|srcset)="([^"]+)"/).map { String($0.1) }
      let isPicture = line.contains("<img") || line.contains("<source")
      return (inProse + (isPicture ? pictures : []))
        .map { DocumentLink(line: number, target: $0) }
    }
  }

  /// The cells of each row of tables that is neither a head nor a rule.
  var rows: [(line: Int, cells: [String])] {
    lines.enumerated().compactMap { index, line in
      guard line.text.hasPrefix("|"), !line.text.hasPrefix("| ---"), index > 0,
        lines[index - 1].text.hasPrefix("|")
      else { return nil }
      let cells = line.text.split(separator: "|").map { String($0.trimmingBlanks) }
      return (line.number, cells)
    }
  }

  /// Returns the fenced blocks of `language`, without their fences.
  func blocks(of language: String) -> [String] {
    text.split(separator: "```\(language)\n", omittingEmptySubsequences: false).dropFirst()
      .compactMap { piece in
        piece.firstRange(of: "```").map { String(piece[..<$0.lowerBound]) }
      }
  }

  /// The code spans of the prose, with their lines.
  var codeSpans: [(line: Int, text: String)] {
    lines.flatMap { number, line in Document.codeSpans(in: line).map { (number, $0) } }
  }

  static func codeSpans(in text: some StringProtocol) -> [String] {
    let spans = text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
    return spans.compactMap { $0.offset % 2 == 1 ? String($0.element) : nil }
  }

  /// The anchor of a heading, as Git hosts spell it.
  static func anchor(of heading: String) -> String {
    String(
      heading.lowercased().compactMap { character -> Character? in
        if character == " " { return "-" }
        return character.isLetter || character.isNumber || "-_".contains(character)
          ? character : nil
      })
  }

  // MARK: Rules

  /// The relative links to a file that does not exist or to a heading that it does not have.
  ///
  /// `isFile` says which paths from the root exist, and `headings` has those of a document.
  func brokenLinks(isFile: (String) -> Bool, headings: (String) -> [String]?) -> [Finding] {
    links.compactMap { link in
      if link.target.contains("://") { return nil }
      let parts = link.target.split(
        separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
      let file = parts[0].isEmpty ? path : resolve(parts[0])
      let isSound =
        isFile(file)
        && (parts.count < 2
          || headings(file)?.contains { Document.anchor(of: $0) == parts[1] } == true)
      guard !isSound else { return nil }
      return Finding(
        path: path, line: link.line, complaint: "links to nothing: \(link.target)")
    }
  }

  /// The path from the root that a path from this document's folder means.
  private func resolve(_ relative: Substring) -> String {
    var parts = path.split(separator: "/").dropLast()
    for part in relative.split(separator: "/") {
      if part == ".." { parts = parts.dropLast() } else if part != "." { parts.append(part) }
    }
    return parts.joined(separator: "/")
  }

  /// The rows of walks that name a function which their file does not have.
  ///
  /// A walk is a table with the columns file, functions, effect.
  func strayFunctions(read: (String) -> String) -> [Finding] {
    rows.flatMap { row -> [Finding] in
      guard row.cells.count >= 2, let file = Document.codeSpans(in: row.cells[0]).first,
        file.hasSuffix(".swift")
      else { return [] }
      let source = read("Sources/" + file)
      return Document.codeSpans(in: row.cells[1]).filter { name in
        let forms = name == "init" ? ["  init(", "init?("] : ["func \(name)(", "func \(name)<"]
        return !forms.contains { source.contains($0) }
      }.map {
        Finding(path: path, line: row.line, complaint: "\(file) has no function \($0)")
      }
    }
  }

  /// The sources and folders in code spans that do not exist.
  func strayPaths(exists: (String) -> Bool) -> [Finding] {
    codeSpans.filter { _, span in
      span.wholeMatch(of: /[A-Z]+[a-z][A-Za-z]*\/[A-Za-z\/.]*/) != nil
        && !exists(span) && !exists("Sources/" + span)
    }.map { Finding(path: path, line: $0.line, complaint: "there is no \($0.text)") }
  }
}

extension Substring {
  fileprivate var trimmingBlanks: Substring {
    let start = drop { $0 == " " }
    guard let last = start.lastIndex(where: { $0 != " " }) else { return start }
    return start[...last]
  }
}
