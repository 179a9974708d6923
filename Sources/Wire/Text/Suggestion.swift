// The known word that is nearest to a mistyped one, for "did you mean".

/// Finds a suggestion for an unknown word.
package enum Suggestion {
  /// Edits between a mistyped word and its suggestion: two, so that a transposition is found.
  package static let distanceLimit = 2

  /// The first of the candidates with the least edit distance; nil when none is within the limit.
  ///
  /// At least one letter must be right, or every short word would be near to every other.
  package static func nearest(to word: String, among candidates: [String]) -> String? {
    let limit = min(distanceLimit, word.utf8.count - 1)
    let ranked = candidates.map { (name: $0, distance: distance(from: word, to: $0)) }
    guard let best = ranked.min(by: { $0.distance < $1.distance }), best.distance <= limit else {
      return nil
    }
    return best.name
  }

  /// Insertions, deletions and substitutions of bytes that turn one text into the other.
  ///
  /// Texts whose lengths differ by more than the limit are not compared: the result is over it.
  private static func distance(from word: String, to candidate: String) -> Int {
    let word = Array(word.utf8)
    let candidate = Array(candidate.utf8)
    guard abs(word.count - candidate.count) <= distanceLimit else { return distanceLimit + 1 }
    // The distances from a prefix of `word` to every prefix of `candidate`.
    var row = Array(0...candidate.count)
    for (index, byte) in word.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for (column, other) in candidate.enumerated() {
        let substituted = diagonal + (byte == other ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(substituted, diagonal + 1, row[column] + 1)
      }
    }
    return row[candidate.count]
  }
}
