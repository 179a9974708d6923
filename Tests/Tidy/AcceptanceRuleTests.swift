// Tests of the rules for the acceptance list. Each rule must fail on a minimal violation.
//
// The word "Case" and its number are joined at run time: written out, they would count as mentions.

import Testing

@Suite("The rules of the acceptance list find violations")
struct AcceptanceRuleTests {
  private static let one = "Case"
  private static let many = "Cases"

  private func numbers(_ text: String, in path: String) -> [Int] {
    CaseMentions.mentions(in: SourceFile(path: path, text: text)).map(\.number)
  }

  @Test(
    "a comment or a test name that names a case is found",
    arguments: [
      ("// \(one) 7", [7]), ("f()  // \(one) 7, small: 9 of it", [7]),
      ("// \(many) 3, 5 and 9", [3, 5, 9]), ("// \(many) 3 and 5, of 9", [3, 5]),
      ("/// \(many) 9 to 11, 28", [9, 10, 11, 28]), ("// \(one) 8, \(one) 9", [8, 9]),
      ("@Test(\"a test (case \(12))\")", [12]), ("// \(many) 9 to 3", [9]),
      ("// Briefcase \(7), \(one)s and case x", []), ("// \(one) 1...3, \(one) 2..<9", []),
      ("    case \(7): \"text\"", []), ("    case \(7), \(8): 1  // no label", []),
    ])
  func mentions(text: String, expected: [Int]) {
    #expect(numbers("let a = 1\n\(text)\n", in: "Tests/Wire/A.swift") == expected, "\(text)")
  }

  @Test("a mention has its line number")
  func lines() {
    let file = SourceFile(path: "Tests/A.c", text: "x\n\n// \(Self.one) 7\n// \(Self.one) 8\n")
    #expect(
      CaseMentions.mentions(in: file) == [
        CaseMention(line: 3, number: 7), CaseMention(line: 4, number: 8),
      ])
  }

  @Test("in each language a comment names a case and a switch label does not")
  func languages() {
    let label = "    case \(7): return 1\n"
    #expect(numbers(label + "# \(Self.one) 8\n", in: "Tests/a.py") == [8])
    #expect(numbers(label + "\"\"\"Of cases \(8) to 9.\"\"\"\n", in: "Tests/a.py") == [8, 9])
    #expect(numbers("text = \"case \(7): throw\"\n", in: "Tests/Guards/a.py") == [])
    #expect(numbers(label + "TEST(a, \"case \(8): b\") {\n", in: "Tests/a.c") == [8])
    #expect(numbers(label + "test('\(Self.one) 8: b', () => {\n", in: "Tests/a.test.js") == [8])
    #expect(numbers("# \(Self.one) 8\n", in: "Tests/Models/run") == [8])
  }

  private func names(_ text: String, in path: String) -> Set<String> {
    TestNames.names(in: SourceFile(path: path, text: text))
  }

  @Test("Swift tests are found with their suites")
  func swiftNames() {
    let text = """
      @Suite("S")
      struct First {
        func helper() {}
        @Test func one() {}
        @Test("t", arguments: [
          "func quoted() {", "@Test",
        ])
        static func two(a: String) async throws {
        }
        // @Test func commented() {}
        @Test func `it's whole, or not`()
        {
        }
        struct Inner { func after() {} }
      }
      struct Helper { func f() {} }
      @Suite struct Second {
        @Test(.timeLimit(.minutes(1))) func three() {}
      }
      extension First {
        @Test
        private func four() {}
      }
      """
    #expect(
      names(text, in: "Tests/A.swift") == [
        "First", "First/one", "First/two", "First/it's whole, or not", "First/four", "Second",
        "Second/three",
      ])
  }

  @Test("tests in Python, C and JavaScript are found")
  func otherNames() {
    let python = "def test_a(x):\nasync def test_b():\ndef helper():\n# def test_c():\ntest_d()\n"
    #expect(names(python, in: "Tests/test_x.py") == ["test_a", "test_b"])
    let c = "TEST(one, \"a claim\") {\n#define TEST(function, claim)\n// TEST(two, \"b\")\n"
    #expect(names(c, in: "Tests/x_tests.c") == ["one"])
    let javaScript = """
      test('one thing', () => {
      it.skip("two", f); describe(
        `three`, g); latest('four'); test(name);
      """
    #expect(names(javaScript, in: "Tests/x.test.js") == ["one thing", "two", "three"])
    #expect(names(python, in: "Tests/x.txt") == [])
  }

  private static let good = "`Tests/A.swift::S/a`"

  private func table(_ rows: [String]) -> AcceptanceTable {
    let head = "# Title\n\n| # | case |\n| --- | --- |\n"
    return AcceptanceTable(
      SourceFile(path: AcceptanceTable.path, text: head + rows.joined(separator: "\n") + "\n"))
  }

  private func row(
    _ number: Int, _ tests: String = good, missing: String = "-", figure: String = "-"
  ) -> String {
    "| \(number) | name | trigger | expected | \(tests) | \(missing) | \(figure) |"
  }

  @Test("a well-formed row is parsed")
  func reading() {
    let table = table([
      row(1, "`Tests/A.swift::S/a, or b`<br> `Tests/Models/run`", missing: "half"),
      row(2, "open", missing: "all of it", figure: "3 ms (2026-11-22)"),
    ])
    #expect(table.malformed == [])
    #expect(table.rows.map(\.line) == [5, 6])
    #expect(table.rows.map(\.isOpen) == [false, true])
    #expect(table.rows.map(\.missing) == ["half", "all of it"])
    #expect(table.rows[1].figure == "3 ms (2026-11-22)")
    let references = table.rows[0].references
    #expect(references.map(\.path) == ["Tests/A.swift", "Tests/Models/run"])
    #expect(references.map(\.name) == ["S/a, or b", nil])
  }

  @Test("a malformed row is found")
  func malformed() {
    let whole = row(1)
    for bad in [
      String(whole.dropLast(4)), whole + " more |", row(1, ""), row(1, missing: " "),
      row(1, "open<br>\(Self.good)"), row(1, "\(Self.good)<br>open"), row(1, "Tests/A.swift::a"),
      row(1, "opened"), row(1, "`"), row(1, "\(Self.good), \(Self.good) and more"),
    ] {
      #expect(table([bad]).malformed.map(\.line) == [5], "\(bad)")
    }
    #expect(table([whole, row(2, "open", missing: "all")]).malformed == [])
  }

  @Test("a missing, repeated or misplaced number is found")
  func misnumbered() {
    let all = (1...AcceptanceTable.caseCount).map { row($0) }
    #expect(table(all).misnumbered == [])
    #expect(table(Array(all.dropFirst())).misnumbered.count == 1)
    #expect(table(Array(all.dropLast())).misnumbered.count == 1)
    #expect(table(all + [row(101)]).misnumbered.count == 1)
    #expect(table(Array(all[..<5] + all[6...])).misnumbered.map(\.line) == [10])
    #expect(table(Array(all[...5] + all[5...])).misnumbered.map(\.line) == [11])
    #expect(!table([all[1], all[0]] + all[2...]).misnumbered.isEmpty)
    #expect(table([]).misnumbered.count == 1)
  }

  @Test("an open row without a reason and a figure without a date are found")
  func contradictions() {
    #expect(table([row(1, "open", missing: "-")]).contradictions.map(\.line) == [5])
    #expect(table([row(1, "open", missing: "no TLS")]).contradictions == [])
    for figure in ["7 ms", "7 ms (yesterday)", "1234567890 bytes, 2026-11", "effaced"] {
      #expect(table([row(1, figure: figure)]).contradictions.map(\.line) == [5], "\(figure)")
    }
    #expect(table([row(1, figure: "7 ms (2026-11-22)")]).contradictions == [])
    #expect(table([row(1, figure: "7 ms (ba68b48)")]).contradictions == [])
  }

  private static let files = [
    ("Tests/A.swift", "// \(one) 1\nstruct S {\n  @Test func a() {}\n  func b() {}\n}\n"),
    ("Tests/x.test.js", "// \(one) 1\ntest('a client resumes', () => {})\n"),
    ("Tests/Models/run", "# \(one) 1\n"),
    ("Tests/helper.py", "# \(one) 1\ndef helper():\n"),
    ("Benchmarks/B/main.swift", "// \(one) 1\n"),
  ].map { CaseFile(SourceFile(path: $0.0, text: $0.1)) }

  @Test("a reference to a test that does not exist is found")
  func broken() {
    for bad in [
      "Tests/B.swift::S/a", "Tests/A.swift::S/b", "Tests/A.swift::T/a", "Tests/A.swift::a",
      "Tests/A.swift::S/aa", "Tests/x.test.js::a server", "Tests/helper.py::helper",
      "Tests/helper.py", "Tests/Models",
    ] {
      let findings = table([row(1, "`\(bad)`")]).broken(in: Self.files)
      #expect(findings.map(\.line) == [5], "\(bad)")
    }
    for good in [
      "Tests/A.swift::S/a", "Tests/A.swift::S", "Tests/A.swift", "Tests/x.test.js::client resumes",
      "Tests/Models/run", "Benchmarks/B/main.swift",
    ] {
      #expect(table([row(1, "`\(good)`")]).broken(in: Self.files) == [], "\(good)")
    }
  }

  @Test("a reference to a file that does not name the case is found")
  func untraceable() {
    #expect(table([row(1)]).untraceable(in: Self.files) == [])
    #expect(table([row(2)]).untraceable(in: Self.files).map(\.line) == [5])
    let both = row(2, "\(Self.good)<br>`Tests/Models/run`<br>`Tests/A.swift::S`")
    #expect(table([both]).untraceable(in: Self.files).count == 2)
  }

  @Test("a named case without a row, or with a row that omits the test file, is found")
  func unlisted() {
    let first = Self.files[0]
    #expect(table([row(1)]).unlisted(in: first) == [])
    #expect(table([row(2)]).unlisted(in: first).map(\.line) == [1])
    #expect(table([row(1, "open")]).unlisted(in: first).map(\.path) == ["Tests/A.swift"])
    #expect(table([row(1, "`Tests/Models/run`")]).unlisted(in: first).count == 1)
    #expect(table([row(1)]).unlisted(in: Self.files[2]).count == 1)
    // A helper file has no tests for a row to name, but its cases need rows, too.
    #expect(table([row(1)]).unlisted(in: Self.files[3]) == [])
    #expect(table([row(2)]).unlisted(in: Self.files[3]).count == 1)
  }
}
