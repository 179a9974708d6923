import Testing

@testable import Wire

@Suite("RFC 9110, 13.1.2: If-None-Match")
struct EntityTagTests {
  static let vectors: [([String], Bool)] = [
    (["\"a,b\""], true), (["W/\"a,b\""], true), (["\"x\", \"a,b\""], true),
    (["\"x\"", "\"a,b\""], true), ([" ,, \"x\" ,W/\"a,b\""], true), (["*"], true),
    (["\"x\"\"a,b\""], true),
    ([], false), ([""], false), (["\"\""], false), (["a,b"], false), (["\"a\", \"b\""], false),
    (["\"a,b"], false), (["a,b\""], false), (["\"A,B\""], false), (["\"a,b \""], false),
    (["w/\"a,b\""], false), (["W/"], false), (["W"], false), (["\""], false), (["\"a,bc\""], false),
    (["\"x,a,b\""], false), (["*, \"x\""], false), (["x, \"a,b\""], false), (["**"], false),
  ]

  @Test("a tag is matched whole, in a list of tags, weak or strong", arguments: vectors)
  func isNamed(values: [String], expected: Bool) {
    #expect(EntityTag.isNamed("a,b", in: values) == expected)
  }
}
