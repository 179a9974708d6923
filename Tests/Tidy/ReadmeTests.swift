// Checks that source code quoted in an article matches the sources.

import Testing

@Suite("The quotes of articles match the sources")
struct ReadmeTests {
  /// Returns the fenced blocks of `language`, without their fences.
  private func blocks(of language: String, in text: String) -> [String] {
    text.split(separator: "```\(language)\n", omittingEmptySubsequences: false).dropFirst()
      .compactMap { piece in
        piece.firstRange(of: "```").map { String(piece[..<$0.lowerBound]) }
      }
  }

  @Test("the embedding example equals the program in Sources/EmbeddingExample")
  func embeddingExample() throws {
    let article = SourceTree.read("Sources/Carillon/Carillon.docc/Embedding.md")
    let program = SourceTree.read("Sources/EmbeddingExample/main.swift")
    #expect(program.contains("NotificationBus.start"))
    #expect(blocks(of: "swift", in: article) == [program])
  }
}
