// Strips comment lines from a script, so that comments in the sources cost no transfer to browsers.
//
// No statement changes. Comments on a line with code stay, and so does the text of template
// literals, where every space counts.

enum CommentStripper {
  /// Returns the script without comment-only lines, empty lines and indentation.
  ///
  /// Works for the scripts in the binary, not for every script: a multi-line comment must begin its
  /// first line and end its last one, and a backquote may only delimit template literals.
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
          // A line with code after the comment is a line of code.
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
