// Checks README and the articles against each other and against the sources that they describe.

import Glibc
import Testing

@Suite("README and the articles match the sources")
struct DocumentTests {
  private static func exists(_ path: String) -> Bool {
    access("\(SourceTree.root)/\(path)", R_OK) == 0
  }

  private static func headings(of path: String) -> [String]? {
    Document.named(path)?.headings
  }

  @Test("README has at most 200 lines")
  func length() throws {
    let readme = try #require(Document.named("README.md"))
    #expect(readme.lineCount <= 200)
  }

  @Test("each relative link names a file, and each anchor a heading", arguments: Document.all)
  func links(document: Document) {
    expectNone(document.brokenLinks(isFile: Self.exists, headings: Self.headings))
  }

  @Test("README and the landing page link every article")
  func directory() throws {
    #expect(Document.articles.count >= 11)
    #expect(Document.all.reduce(0) { $0 + $1.links.count } > 40)
    for path in ["README.md", Document.landingPage] {
      let targets = try #require(Document.named(path)).links.map(\.target)
      for article in Document.articles {
        #expect(
          targets.contains { $0.hasSuffix("\(article.name).md") }, "\(path): \(article.name)")
      }
    }
  }

  @Test("an article has its title as its name, and one sentence below it", arguments: Document.all)
  func opening(document: Document) {
    guard document.path != "README.md" else { return }
    let title = document.headings.first?.replacing(" ", with: "-")
    #expect(title == String(document.name))
    let sentences = document.abstract.matches(of: /[.?!](?: |$)/)
    #expect(document.abstract.hasSuffix("."))
    #expect(sentences.count == 1, "\(document.abstract)")
  }

  @Test("the embedding example equals the program in Sources/EmbeddingExample")
  func embeddingExample() throws {
    let program = SourceTree.read("Sources/EmbeddingExample/main.swift")
    #expect(program.contains("NotificationBus.start"))
    #expect(Document.all.flatMap { $0.blocks(of: "swift") } == [program])
  }

  @Test("every flag of `serve` is in the table of settings, with its variable")
  func settings() throws {
    let article = try #require(Document.article("Configuration-and-limits"))
    let flags = Settings.flags(
      in: SourceTree.read("Sources/CarillonCommand/ServeSettings.swift")
        + SourceTree.read("Sources/CarillonCommand/TokenSettings.swift"))
    #expect(flags.count > 25)
    #expect(Settings.missing(flags, in: article) == [])
  }

  @Test("every metric that a document names is one of the server's", arguments: Document.all)
  func metrics(document: Document) {
    let known =
      SourceTree.read("Sources/Server/Operators/Metrics.swift")
      + SourceTree.read("Sources/Server/Operators/Statistics.swift")
    let named = document.codeSpans.map(\.text).filter {
      $0.wholeMatch(of: /carillon_[a-z_]+/) != nil
    }
    for metric in named {
      #expect(known.contains("\"\(metric.dropFirst(9))\"") || known.contains(metric), "\(metric)")
    }
    if document.name == "Running-it" { #expect(named.count > 5) }
  }

  @Test("README's measurements are those of the article")
  func measurements() throws {
    let readme = try #require(Document.named("README.md"))
    let article = try #require(Document.article("Measuring"))
    let figures = readme.rows.map(\.cells).filter { $0[0].contains("×") }
    #expect(figures.count == 6)
    let measured = article.rows.map(\.cells)
    for row in figures { #expect(measured.contains(row), "\(row)") }
  }

  @Test("the walks name functions that their files have")
  func walks() throws {
    let article = try #require(Document.article("Architecture"))
    #expect(article.rows.count { $0.cells[0].hasSuffix(".swift`") } > 60)
    expectNone(article.strayFunctions(read: SourceTree.read))
  }

  @Test("every source and folder that a document names exists", arguments: Document.all)
  func paths(document: Document) {
    expectNone(document.strayPaths(exists: Self.exists))
  }
}

@Suite("The rules for documents find their examples")
struct DocumentRuleTests {
  private func document(_ text: String) -> Document {
    Document(path: "Sources/A.docc/One.md", text: text)
  }

  @Test("a link to no file and one to no heading are found, outside of code only")
  func links() {
    let text = """
      # One `x`
      [a](Two.md) [b](Two.md#good-one) [c](#one-x) [d](../../README.md) [e](https://x.y/z#q)
      [f](Three.md) [g](Two.md#bad)
      `[h](Three.md)`
      ```
      [i](Three.md)
      ```
      <img src="no.svg">
      """
    let files = ["Sources/A.docc/One.md", "Sources/A.docc/Two.md", "README.md"]
    let found = document(text).brokenLinks(isFile: files.contains) { path in
      path.hasSuffix("Two.md") ? ["Good, one!"] : document(text).headings
    }
    #expect(found.map(\.line) == [3, 3, 8])
  }

  @Test("an anchor is spelt as on Git hosts")
  func anchors() {
    #expect(Document.anchor(of: "503 and 504") == "503-and-504")
    #expect(Document.anchor(of: "Recovery of Socket.IO") == "recovery-of-socketio")
    #expect(Document.anchor(of: "Limits, honestly") == "limits-honestly")
  }

  @Test("a function that a file does not have is found, and so is a missing path")
  func walks() {
    let text = """
      | file | functions | effect |
      | --- | --- | --- |
      | `Bus/C.swift` | `a`, `b` | `c` |
      See `Bus/C.swift`, `Bus/`, `Bus/D.swift`, `a/b` and `DIR/x`.
      """
    let one = document(text)
    #expect(one.strayFunctions { _ in "func a(x: Int)\nfunc bb()" }.map(\.line) == [3])
    #expect(one.strayPaths { ["Sources/Bus/C.swift", "Bus/"].contains($0) }.map(\.line) == [4])
  }

  @Test("a flag without a row is found, and one whose row lacks its variable")
  func settings() {
    let source = """
      Flag("port", "PORT", environment: ["A_PORT"], "x"),
      Flag(
        "host", "X", environment: ["A_HOST"], "y"),
      Flag("key", nil, environment: ["A_KEY"], isSecret: true, "z")
      """
    let flags = Settings.flags(in: source)
    #expect(flags.map(\.name) == ["port", "host", "key"])
    let table = "| flag | environment |\n| --- | --- |\n"
    let complete = table + "| `--port` | `A_PORT` |\n| `--host` | `A_HOST` |\n| | `A_KEY` |\n"
    #expect(Settings.missing(flags, in: document(complete)) == [])
    let short = table + "| `--port` | `A_POR` |\n| `--host` | `A_HOST` |\n| `--key` | `A_KEY` |\n"
    #expect(Settings.missing(flags, in: document(short)) == ["--port", "A_KEY"])
  }
}

/// The settings of the command, and the article's table of them.
enum Settings {
  struct Flag {
    let name: String
    let variable: String
    let isSecret: Bool
  }

  /// The flags with an environment variable that a source declares.
  static func flags(in source: String) -> [Flag] {
    source.split(separator: "Flag(", omittingEmptySubsequences: false).dropFirst()
      .compactMap { text in
        guard let name = text.firstMatch(of: /"([a-z-]+)"/)?.1,
          let variable = text.firstMatch(of: /environment: \["([A-Z_]+)"/)?.1
        else { return nil }
        return Flag(
          name: String(name), variable: String(variable),
          isSecret: text.contains("isSecret: true"))
      }
  }

  /// The flags whose row is missing or incomplete; a secret has no flag, but a variable.
  static func missing(_ flags: [Flag], in article: Document) -> [String] {
    let rows = article.rows.map { Document.codeSpans(in: $0.cells.joined(separator: " ")) }
    return flags.compactMap { flag in
      let name = "--" + flag.name
      if flag.isSecret {
        let isShown = rows.contains { $0.contains(flag.variable) && !$0.contains(name) }
        return isShown ? nil : flag.variable
      }
      return rows.contains { $0.contains(name) && $0.contains(flag.variable) } ? nil : name
    }
  }
}
