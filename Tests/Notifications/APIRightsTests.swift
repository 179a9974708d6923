// The rights of API keys: the types that they may publish, and the rights that they may grant.

import Notifications
import Testing

@Suite("Rights of API keys")
struct APIRightsTests {
  @Test(
    "a pattern of types matches as one of rooms does",
    arguments: [
      ([], "any", true), (["a"], "a", true), (["a"], "ab", false), (["a_*"], "a_", true),
      (["a_*"], "a_b.c", true), (["a_*"], "ba_", false), (["*"], "x", true),
      (["x", "b*d"], "bcd", true), (["x", "b*d"], "bce", false),
    ])
  func types(patterns: [String], type: String, isAllowed: Bool) {
    #expect(APIRights(verbs: [.publish], types: patterns).allow(type: type) == isAllowed)
  }

  @Test(
    "rights include no more verbs and no more types than they have",
    arguments: [
      (["publish", "read"], [], ["publish"], ["a"], true), (["publish"], [], ["read"], [], false),
      (["admin"], ["a*"], ["admin"], [], false), (["admin"], ["a*"], ["admin"], ["a"], true),
      (["admin"], ["a*"], ["admin"], ["a*"], true), (["admin"], ["a*"], ["admin"], ["ab*"], true),
      (["admin"], ["ab*"], ["admin"], ["a*"], false), (["admin"], ["a*"], ["admin"], ["*"], false),
      (["admin"], ["a*"], ["admin"], ["a", "b"], false),
      (["admin"], ["a"], ["admin"], ["*"], false),
      (["admin"], ["a*c"], ["admin"], ["a*bc"], true), (["admin"], ["*"], ["admin"], [], false),
    ])
  func inclusion(
    verbs: [String], types: [String], otherVerbs: [String], otherTypes: [String],
    isIncluded: Bool
  ) {
    func rights(_ verbs: [String], _ types: [String]) -> APIRights {
      APIRights(verbs: Set(verbs.map { APIVerb(rawValue: $0)! }), types: types)
    }
    #expect(rights(verbs, types).include(rights(otherVerbs, otherTypes)) == isIncluded)
  }

  @Test(
    "an id is 16 characters of [0-9a-z], after key_ in its text",
    arguments: [
      ("key_0123456789abcdef", true), ("key_zzzzzzzzzzzzzzzz", true), ("key_", false), ("", false),
      ("key_0123456789abcde", false), ("key_0123456789abcdef0", false),
      ("key_0123456789abcdeF", false), ("key_0123456789abcd\u{E9}", false),
      ("0123456789abcdef", false), ("ck_0123456789abcdef", false),
      ("key_\u{301}0123456789abcdef", false),
    ])
  func ids(text: String, isValid: Bool) {
    #expect(APIKeyID(text)?.text == (isValid ? text : nil))
  }

  @Test(
    "the id in a secret's text is found, and no other text has one",
    arguments: [
      ("ck_0123456789abcdef_x", "0123456789abcdef"), ("ck_0123456789abcdef_", "0123456789abcdef"),
      ("ck_0123456789abcdef", nil), ("ck_0123456789abcdeF_x", nil), ("ck_", nil), ("", nil),
      ("ck_0123456789abcde_x", nil), ("key_0123456789abcdef_x", nil),
      ("ck_0123456789abcd\u{E9}_x", nil), ("ck_\u{301}0123456789abcde_x", nil),
    ] as [(String, String?)])
  func secrets(text: String, characters: String?) {
    #expect(APIKeyText.id(in: text)?.characters == characters)
  }

  @Test("a secret's text has its id and its random bytes")
  func texts() throws {
    let id = try #require(APIKeyID(characters: "0123456789abcdef"))
    let text = APIKeyText.make(id, random: [UInt8](repeating: 0xFF, count: 32))
    #expect(text == "ck_0123456789abcdef_" + String(repeating: "_", count: 42) + "8")
    #expect(APIKeyText.id(in: text) == id && APIKeyText.isMarked(text))
  }
}
