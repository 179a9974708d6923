// Checks that source code quoted in the README matches the sources.

import Testing

@Suite("The README's quotes match the sources")
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
    let readme = SourceTree.read("README.md")
    let program = SourceTree.read("Sources/EmbeddingExample/main.swift")
    #expect(program.contains("NotificationBus.start"))
    #expect(blocks(of: "swift", in: readme) == [program])
  }
}
