// Swift source with comments and string literals replaced by blanks.
//
// Rules about code use this, so that comments and literals never violate them. Line breaks are
// kept, so line numbers stay valid.

/// Blanks out the comments and string literals of Swift source.
struct SwiftCode {
  /// The source, with blanks in place of comments and literals.
  private(set) var text = ""
  private let scalars: [Unicode.Scalar]
  private var position = 0

  init(of source: String) {
    scalars = Array(source.unicodeScalars)
    while position < scalars.count { step() }
  }

  private func isAhead(_ expected: String) -> Bool {
    scalars[position...].starts(with: expected.unicodeScalars)
  }

  private mutating func take(asCode: Bool) {
    let scalar = scalars[position]
    text.unicodeScalars.append(asCode || scalar == "\n" ? scalar : " ")
    position += 1
  }

  private mutating func blank(_ count: Int) {
    for _ in 0..<count where position < scalars.count { take(asCode: false) }
  }

  private mutating func step() {
    if isAhead("//") {
      while position < scalars.count, scalars[position] != "\n" { take(asCode: false) }
    } else if isAhead("/*") {
      blankBlockComment()
    } else if let hashes = hashesOfLiteral() {
      blankLiteral(hashes: hashes)
    } else {
      take(asCode: true)
    }
  }

  /// Blanks a block comment, which may be nested.
  private mutating func blankBlockComment() {
    var depth = 0
    repeat {
      if isAhead("/*") {
        depth += 1
        blank(2)
      } else if isAhead("*/") {
        depth -= 1
        blank(2)
      } else {
        blank(1)
      }
    } while depth > 0 && position < scalars.count
  }

  /// Returns the number of `#` before a literal that begins here, or nil if none begins.
  private func hashesOfLiteral() -> Int? {
    let hashes = scalars[position...].prefix { $0 == "#" }.count
    let quote = position + hashes
    return quote < scalars.count && scalars[quote] == "\"" ? hashes : nil
  }

  private mutating func blankLiteral(hashes: Int) {
    let pounds = String(repeating: "#", count: hashes)
    blank(hashes)
    let quotes = isAhead("\"\"\"") ? "\"\"\"" : "\""
    blank(quotes.count)
    while position < scalars.count, !isAhead(quotes + pounds) {
      if isAhead("\\\(pounds)(") {
        blank(hashes + 2)
        takeInterpolation()
      } else if isAhead("\\\(pounds)") {
        blank(hashes + 2)
      } else {
        blank(1)
      }
    }
    blank(quotes.count + hashes)
  }

  /// Takes an interpolation, which is code up to its closing parenthesis.
  private mutating func takeInterpolation() {
    var depth = 1
    while position < scalars.count {
      if scalars[position] == "(" { depth += 1 }
      if scalars[position] == ")" { depth -= 1 }
      if depth == 0 { return blank(1) }
      step()
    }
  }
}
