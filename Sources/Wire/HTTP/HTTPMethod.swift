// Request methods: RFC 9110, section 9, and PATCH of RFC 5789.

/// A request method; an unknown one is `other`.
package enum HTTPMethod: UInt8, Sendable, CaseIterable {
  case get, head, post, put, delete, options, patch, trace, connect, other

  /// The name on the wire; `other` has none and is written "OTHER".
  package var name: String {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .options: "OPTIONS"
    case .patch: "PATCH"
    case .trace: "TRACE"
    case .connect: "CONNECT"
    case .other: "OTHER"
    }
  }

  /// The method that these bytes name.
  ///
  /// Names are case-sensitive, so "get" is `other`. Every known name fits a 64-bit word, so one
  /// switch over a word replaces ten comparisons of text.
  init(_ bytes: borrowing Span<UInt8>, in range: Range<Int>) {
    guard range.count <= 7 else {
      self = .other
      return
    }
    var word: UInt64 = 0
    for index in range { word = word << 8 | UInt64(bytes[index]) }
    self =
      switch word {
      case 0x47_4554: .get
      case 0x4845_4144: .head
      case 0x504F_5354: .post
      case 0x50_5554: .put
      case 0x4445_4C45_5445: .delete
      case 0x4F_5054_494F_4E53: .options
      case 0x50_4154_4348: .patch
      case 0x54_5241_4345: .trace
      case 0x43_4F4E_4E45_4354: .connect
      default: .other
      }
  }
}
