// The English of the tree, and small examples that each rule finds.

import Testing

@Suite("Comments are in plain English")
struct EnglishTests {
  private static let files = SourceTree.files.map { ($0, Prose(of: $0)) }

  @Test("no word that marks an indirect sentence is over its budget")
  func budgets() {
    let lines = Self.files.flatMap { $0.1.lines }
    #expect(lines.count > 10_000)
    #expect(English.exceededBudgets(in: lines) == [])
  }

  @Test("no comment and no test name has a phrase with a plainer form")
  func phrases() {
    expectNone(Self.files.flatMap { English.phrases(in: $0.0, $0.1) })
  }

  @Test("no identifier and no comment has an old term")
  func oldTerms() {
    expectNone(Self.files.flatMap { English.oldTerms(in: $0.0, $0.1) })
  }
}

@Suite("The rules of English find their examples")
struct EnglishRuleTests {
  private func file(_ text: String, path: String = "Sources/Server/Example.swift") -> SourceFile {
    SourceFile(path: path, text: text)
  }

  private func prose(_ text: String, path: String = "Sources/Server/Example.swift") -> [String] {
    Prose(of: file(text, path: path)).lines.map(\.text)
  }

  @Test("comments of each language are found, and text in strings is not")
  func comments() {
    let swift = "let a = \"// no\"  // one\n/* two\n three */\n@Test(\"four\")\n"
    #expect(prose(swift) == [" one", " two", " three ", "four"])
    #expect(prose("func `five`() {}\n") == ["five"])
    let python = "a = \"# no\"  # one\ndef f():\n  \"\"\"two\n  three\"\"\"\n  b = 'it#s'\n"
    #expect(prose(python, path: "Tests/EndToEnd/a.py") == [" one", "two", "  three"])
    #expect(prose("all: # one\n\techo '# no'\n", path: "Makefile") == [" one"])
    #expect(prose("one `two`\n```\nthree\n```\n", path: "README.md") == ["one  ", ""])
    #expect(prose("/* one */\na { b: c }\n", path: "a.css") == [" one "])
  }

  @Test("a comment's line is the one that it is on")
  func lines() {
    let text = "let a = \"\"\"\n  x\n  \"\"\"\n// one\n"
    #expect(Prose(of: file(text)).lines == [ProseLine(line: 4, text: " one")])
  }

  @Test("a budget is exceeded by the word above it, and test names do not count")
  func budget() {
    func lines(_ count: Int) -> [ProseLine] {
      let filler = Array(repeating: "word", count: 10_000 - count).joined(separator: " ")
      let words = Array(repeating: "what", count: count).joined(separator: " ")
      return [
        ProseLine(line: 1, text: filler), ProseLine(line: 2, text: words),
        ProseLine(line: 3, text: "what", isTestName: true),
      ]
    }
    #expect(English.exceededBudgets(in: lines(20)) == [])
    #expect(English.exceededBudgets(in: lines(21)).count == 1)
    let behind = ProseLine(line: 1, text: "a client may fall behind, or falls behind")
    #expect(English.exceededBudgets(in: [behind]) == [])
    #expect(English.exceededBudgets(in: [ProseLine(line: 1, text: "sent behind it")]).count == 1)
  }

  @Test("a phrase is found in a comment and in a test's name, as whole words")
  func phrase() {
    let found = file("// Each client is told so.\n@Test(\"it is told\")\n// It is toldX.\n")
    #expect(English.phrases(in: found, Prose(of: found)).map(\.line) == [1, 2])
  }

  @Test("an old term is found in an identifier and in a comment, as a whole part")
  func oldTerm() {
    let found = file("let userCensus = 1\n// The census.\nlet talented = \"census\"\n")
    #expect(English.oldTerms(in: found, Prose(of: found)).map(\.line) == [2, 1])
  }
}
