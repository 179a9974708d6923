// A script as browsers run it: without the lines that only people read, so that comments in the
// sources cost nobody's connection anything.
//
// No statement is changed. Comments that share a line with code stay, and so does all that is
// inside a template literal, where every space is meant.

enum CommentStripper {
  /// The script without comments on lines of their own, empty lines and indentation.
  ///
  /// Knows the scripts that are in the binary and no others: a comment over several lines begins
  /// its first and ends its last, and a backquote is written for template literals alone.
  static func of(_ source: [UInt8]) -> [UInt8] {
    var bare: [UInt8] = []
    bare.reserveCapacity(source.count)
    var isInComment = false
    var isInTemplate = false
    for line in source.split(separator: newline, omittingEmptySubsequences: false) {
      if isInComment {
        isInComment = !line.suffix(closing.count).elementsEqual(closing)
        continue
      }
      let text = isInTemplate ? line : line.drop { $0 == space }
      if !isInTemplate {
        if text.isEmpty || text.starts(with: lineComment) { continue }
        if text.starts(with: opening) {
          let end = text.dropFirst(opening.count).firstRange(of: closing)?.upperBound
          // With code behind it, it is a line of code.
          if end ?? text.endIndex == text.endIndex {
            isInComment = end == nil
            continue
          }
        }
      }
      if text.count(where: { $0 == backquote }) % 2 == 1 { isInTemplate.toggle() }
      bare += text
      bare.append(newline)
    }
    return bare
  }

  private static let newline = UInt8(ascii: "\n")
  private static let space = UInt8(ascii: " ")
  private static let backquote = UInt8(ascii: "`")
  private static let lineComment = Array("//".utf8)
  private static let opening = Array("/*".utf8)
  private static let closing = Array("*/".utf8)
}
