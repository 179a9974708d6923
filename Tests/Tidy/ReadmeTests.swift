// What the README quotes of the sources is what the sources say.

import Testing

@Suite("The README quotes what is there")
struct ReadmeTests {
  /// The fenced blocks of `language`, without their fences.
  private func blocks(of language: String, in text: String) -> [String] {
    text.split(separator: "```\(language)\n", omittingEmptySubsequences: false).dropFirst()
      .compactMap { piece in
        piece.firstRange(of: "```").map { String(piece[..<$0.lowerBound]) }
      }
  }

  @Test("the embedding example is the program that is built")
  func embeddingExample() throws {
    let readme = SourceTree.read("README.md")
    let program = SourceTree.read("Sources/EmbeddingExample/main.swift")
    #expect(program.contains("NotificationBus.start"))
    #expect(blocks(of: "swift", in: readme) == [program])
  }
}
