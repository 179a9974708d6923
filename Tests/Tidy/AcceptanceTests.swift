// The acceptance list, held against the tests that it names and the comments that name it.

import Testing

@Suite("The acceptance list names the tests that there are")
struct AcceptanceTests {
  private static let table = AcceptanceTable(
    SourceFile(path: AcceptanceTable.path, text: SourceTree.read(AcceptanceTable.path)))

  private static let files = SourceTree.files
    .filter { file in
      ["Sources/", "Tests/", "Benchmarks/"].contains(where: file.path.hasPrefix)
        && file.path != AcceptanceTable.path
    }
    .map(CaseFile.init)

  @Test("it has a row for each of the hundred cases, once and in order, and each can be read")
  func rows() {
    expectNone(Self.table.malformed + Self.table.misnumbered + Self.table.contradictions)
  }

  @Test("each test that a row names exists, and its file names the case")
  func references() {
    expectNone(Self.table.broken(in: Self.files))
    expectNone(Self.table.untraceable(in: Self.files))
  }

  @Test("each case that a file names has its row, and the row names the tests of the file")
  func mentions() {
    #expect(Self.files.contains { !$0.mentions.isEmpty })
    expectNone(Self.files.flatMap(Self.table.unlisted))
  }
}
