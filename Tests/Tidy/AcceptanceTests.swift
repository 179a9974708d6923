// Checks the acceptance list against the tests that it names and the comments that name its cases.

import Testing

@Suite("The acceptance list matches the tests")
struct AcceptanceTests {
  private static let table = AcceptanceTable(
    SourceFile(path: AcceptanceTable.path, text: SourceTree.read(AcceptanceTable.path)))

  private static let files = SourceTree.files
    .filter { file in
      ["Sources/", "Tests/", "Benchmarks/"].contains(where: file.path.hasPrefix)
        && file.path != AcceptanceTable.path
    }
    .map(CaseFile.init)

  @Test("it has one well-formed row for each of the hundred cases, in order")
  func rows() {
    expectNone(Self.table.malformed + Self.table.misnumbered + Self.table.contradictions)
  }

  @Test("each test named in a row exists, and its file names the case")
  func references() {
    expectNone(Self.table.broken(in: Self.files))
    expectNone(Self.table.untraceable(in: Self.files))
  }

  @Test("each case named in a file has a row, and the row names a test of the file")
  func mentions() {
    #expect(Self.files.contains { !$0.mentions.isEmpty })
    expectNone(Self.files.flatMap(Self.table.unlisted))
  }
}
