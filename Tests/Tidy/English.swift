// The English of comments: budgets for words that mark an indirect sentence, phrases that no
// comment uses, and old terms that the vocabulary has replaced.
//
// A budget, because each of these words has its proper uses; a text over it has a habit.

enum English {
  /// Words that may make up a share of all words of comments.
  struct Budget {
    let name: String
    let words: Set<String>
    /// Of 10,000 words, so many at the most.
    let perTenThousand: Int
  }

  static let budgets = [
    Budget(name: "what", words: ["what"], perTenThousand: 20),
    Budget(
      name: "who and its kin",
      words: ["who", "whoever", "whose", "nobody", "somebody", "everybody"], perTenThousand: 10),
    Budget(
      name: "tell and hear",
      words: ["told", "tell", "tells", "hear", "hears", "heard"], perTenThousand: 6),
    Budget(name: "behind, anew, midst", words: ["behind", "anew", "midst"], perTenThousand: 6),
  ]

  /// Phrases that have a plain form in every use.
  static let phrases = [
    "what is sent", "what is told", "is told", "are told", "was told", "in the midst of",
    "comes round to", "come round to", "no more than that", "as it stands",
    "turned away", "turns away", "is lent", "leans on", "lean on", "let go of", "at home as",
    "it is seen that", "nobody knows", "whoever", "anew",
  ]

  /// Parts of old names; a part is a word of an identifier, in lower case.
  static let oldTerms: Set<String> = [
    "census", "survey", "surveys", "surveyed", "inquiry", "inquiries", "occasion", "occasions",
    "ungreeted", "amnesty", "bequeath", "heir", "untold", "unkept", "innocent", "innocents",
    "confetti", "blizzard", "errand", "errands", "leaning", "typist", "typists", "telling",
    "asleep", "sleeper", "sleepers", "deepened", "displaced", "lent", "unprovable",
  ]

  /// Words that these files may use, because they describe them.
  private static let exempt = ["Tests/Tidy/English.swift", "Tests/Tidy/EnglishTests.swift"]

  /// The lower-case words of a text: runs of letters and apostrophes.
  static func words(of text: String) -> [String] {
    var words: [String] = []
    var word: [UInt8] = []
    for byte in text.utf8 {
      let lower = byte | 0x20
      if lower >= UInt8(ascii: "a"), lower <= UInt8(ascii: "z") {
        word.append(lower)
      } else if byte == UInt8(ascii: "'"), !word.isEmpty {
        word.append(byte)
      } else if !word.isEmpty {
        words.append(String(decoding: word, as: UTF8.self))
        word.removeAll(keepingCapacity: true)
      }
    }
    if !word.isEmpty { words.append(String(decoding: word, as: UTF8.self)) }
    return words
  }

  /// The budgets that the comments exceed, each with its share.
  static func exceededBudgets(in comments: [ProseLine]) -> [String] {
    let words = comments.filter { !$0.isTestName }.flatMap { self.words(of: $0.text) }
    guard !words.isEmpty else { return [] }
    return budgets.compactMap { budget in
      let count = words.indices.count { index in
        // "fall behind" is the field's term for a slow consumer.
        budget.words.contains(words[index]) && !(index > 0 && words[index - 1].hasPrefix("fall"))
      }
      guard count * 10_000 > budget.perTenThousand * words.count else { return nil }
      let share = count * 10_000 / words.count
      return "\(budget.name): \(count) of \(words.count) words, \(share) of 10,000, "
        + "over \(budget.perTenThousand)"
    }
  }

  /// The phrases that a file's prose uses.
  static func phrases(in file: SourceFile, _ prose: Prose) -> [Finding] {
    guard !exempt.contains(file.path) else { return [] }
    return prose.lines.flatMap { line -> [Finding] in
      let text = " " + words(of: line.text).joined(separator: " ") + " "
      return phrases.filter { text.contains(" \($0) ") }.map {
        Finding(path: file.path, line: line.line, complaint: "says “\($0)”")
      }
    }
  }

  /// The old terms in a file's identifiers and comments.
  static func oldTerms(in file: SourceFile, _ prose: Prose) -> [Finding] {
    guard !exempt.contains(file.path) else { return [] }
    let inProse = prose.lines.flatMap { line in
      words(of: line.text).filter(oldTerms.contains).map { (line.line, $0) }
    }
    let isCode = [".swift", ".c", ".h"].contains(where: file.path.hasSuffix)
    let inCode = isCode ? parts(of: prose.code).filter { oldTerms.contains($0.1) } : []
    return (inProse + inCode).map {
      Finding(path: file.path, line: $0.0, complaint: "uses the old term “\($0.1)”")
    }
  }

  /// The words of all identifiers with their lines: `heldAnswers` is `held` and `answers`.
  static func parts(of code: [UInt8]) -> [(Int, String)] {
    var parts: [(Int, String)] = []
    var part: [UInt8] = []
    var line = 1
    func end() {
      if part.count > 3 { parts.append((line, String(decoding: part, as: UTF8.self))) }
      part.removeAll(keepingCapacity: true)
    }
    for byte in code {
      if byte >= UInt8(ascii: "a"), byte <= UInt8(ascii: "z") {
        part.append(byte)
      } else if byte >= UInt8(ascii: "A"), byte <= UInt8(ascii: "Z") {
        end()
        part.append(byte | 0x20)
      } else {
        end()
        if byte == UInt8(ascii: "\n") { line += 1 }
      }
    }
    end()
    return parts
  }
}
