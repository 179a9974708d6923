"""Tests of the edits: their results, and the rejection of ambiguous edits."""

import unittest

from edits import (
    EditError,
    after,
    always,
    before,
    drop_condition,
    instead,
    never,
    remove,
    replace,
    rewrite,
    texts,
)
from markers import places_in

GUARD = """
func accept(_ count: Int) throws {
  prepare()
  // guard: here
  guard count < limit, isOpen else {
    throw TooMany(count < limit)
  }
  finish()
}
"""


def edited(edit, source, name="here"):
    places = dict(places_in("a.swift", source))
    return edit.apply(source, places[name].start)


def statement(text):
    """Returns a source with `text` marked as its middle statement."""
    return f"func f() {{\n  first()\n  // guard: here\n  {text}\n  last()\n}}\n"


class EditTests(unittest.TestCase):
    def assert_becomes(self, edit, text, result):
        self.assertEqual(texts(edited(edit, statement(text))), texts(statement(result)))

    def assert_refused(self, edit, source, reason):
        with self.assertRaisesRegex(EditError, reason):
            edited(edit, source)

    def test_replace_does_not_search_the_block(self):
        self.assertIn("guard count <= limit", edited(replace("<", "<="), GUARD))

    def test_replace_searches_the_block_on_request(self):
        self.assertIn("throw Few(count", edited(replace("TooMany", "Few", block=True), GUARD))

    def test_replace_refuses_none_and_several(self):
        self.assert_refused(replace("TooMany", "Few"), GUARD, "`TooMany` 0 times")
        self.assert_refused(replace("<", "<=", block=True), GUARD, "`<` 2 times")

    def test_texts_of_javascript_are_tokens(self):
        text = "say(`it's {${n}`, '', 'a (');"
        self.assert_becomes(replace("''", "'b'"), text, "say(`it's {${n}`, 'b', 'a (');")

    def test_replace_matches_whole_tokens(self):
        self.assert_becomes(
            replace(">", "> 2 *"), "return a >= b && c > d", "return a >= b && c > 2 * d"
        )
        self.assert_becomes(replace("1", "2"), "return a[10] + 1 + x1", "return a[10] + 2 + x1")
        self.assert_becomes(replace("..<", "..."), "return a..<b", "return a...b")

    def test_a_change_of_nothing_is_refused(self):
        self.assert_refused(replace("a  +  b", "a + b"), statement("return a + b"), "not changed")

    def test_captures_match_balanced_tokens(self):
        edit = replace("max(1, @1)", "@1")
        self.assert_becomes(edit, "return max(1, f(a, b)) + c", "return f(a, b) + c")
        self.assert_refused(replace("a, @1 c", "a"), statement("f(a, b)(c)"), "0 times")

    def test_a_repeated_capture_matches_the_same_tokens(self):
        edit = rewrite("let @1 = g(@2); use(@1)", "use(@2)")
        self.assert_becomes(edit, "let a = g(b); use(a)", "use(b)")
        self.assert_refused(edit, statement("let a = g(b); use(c)"), "does not read")

    def test_rewrite_needs_the_whole_statement(self):
        self.assert_becomes(rewrite("@1 = @2", "_ = @2"), "a.b[c] = d(e)", "_ = d(e)")
        self.assert_refused(rewrite("return", "break"), statement("return a"), "does not read")

    def test_formatting_and_comments_are_ignored(self):
        wrapped = "guard let a = b(\n    c,  // why\n    d\n  )\n  else {\n    return\n  }"
        self.assert_becomes(
            rewrite("guard let @1 else { @2 }", "let @1"), wrapped, "let a = b(c, d)"
        )

    def test_remove_deletes_a_statement_with_all_its_branches(self):
        self.assert_becomes(remove(), "if a {\n    b()\n  } else {\n    c()\n  }", "")
        self.assert_becomes(remove(), "call(\n    a,\n    b\n  )", "")

    def test_statements_are_counted(self):
        self.assert_becomes(remove(statements=2), "a()\n  b { c }\n  d()", "d()")

    def test_statements_do_not_leave_their_block(self):
        self.assert_refused(remove(statements=3), statement("a()"), "no statement follows")
        self.assert_refused(remove(), "func f() {\n  // guard: here\n}\n", "no statement follows")

    def test_a_clause_ends_before_the_block(self):
        source = "if a\n    // guard: here\n    || b > c\n  {\n    d()\n  }"
        self.assertEqual(texts(edited(remove(), source)), texts("if a {\n    d()\n  }"))

    def test_a_clause_ends_before_the_bracket(self):
        source = "call(\n    a,\n    // guard: here\n    b > c)\n  d()\n"
        self.assertEqual(texts(edited(replace(">", "<"), source)), texts(source.replace(">", "<")))
        self.assertEqual(texts(edited(instead("e"), source)), texts("call(a, e) d()"))

    def test_a_marker_at_the_end_of_a_line(self):
        source = (
            "  if a {\n    b()\n  } else if c {  // guard: here\n    d()\n  } else { e() }\n  f()\n"
        )
        self.assertEqual(
            texts(edited(never(), source)), texts(source.replace("if c", "if c && false"))
        )
        source = "  /// Says.\n  let a = 16  // guard: here\n  let b = 16\n"
        self.assertIn(
            "let a = 17  // guard: here\n  let b = 16", edited(replace("16", "17"), source)
        )

    def test_a_statement_in_c(self):
        source = "void f(int a) {\n  // guard: here\n  if (a == '(') return;\n  g(a);\n}\n"
        edit = rewrite("if (@1) return;", "if (@1 || a) return;")
        self.assertIn("if (a == '(' || a) return;", edited(edit, source))

    def test_before_after_and_instead(self):
        self.assert_becomes(before("x()"), "if a { b() }", "x()\n if a { b() }")
        self.assert_becomes(after("x()"), "if a { b() }", "if a { b() }\n x()")
        self.assert_becomes(instead("break"), "f(a, b)", "break")

    def test_conditions(self):
        head = "while a, let b = c({ $0, $1 }), d || e {\n    f()\n  }"
        self.assert_becomes(
            always(1, 3), head, head.replace("a,", "a || true,").replace("e {", "e || true {")
        )
        self.assert_becomes(never(3), head, head.replace("d || e", "(d || e) && false"))
        self.assert_becomes(drop_condition(1), head, head.replace("a,", ""))
        self.assert_becomes(drop_condition(3), head, head.replace(", d || e", ""))
        self.assert_becomes(
            never(), "guard a && b else { c() }", "guard a && b && false else { c() }"
        )

    def test_missing_conditions(self):
        self.assert_refused(always(), GUARD, "has 2 conditions")
        self.assert_refused(always(3), GUARD, "no condition 3")
        self.assert_refused(drop_condition(1), statement("if a { b() }"), "no other condition")
        self.assert_refused(never(), statement("call { a }"), "no conditions")

    def test_literals_are_one_token(self):
        text = 'log("a \\(b ?? "}") {", #"\\"#, """\n    "{"\n    """)'
        self.assert_becomes(remove(), text, "")
        self.assertEqual(len(texts(text)), 8)


class MarkerTests(unittest.TestCase):
    def test_one_line_may_contain_several_names(self):
        source = (
            "// guard: a-b\n// guard: c, d-1\nx()\ny()  // guard: e\n// guarded\n// on guard: no\n"
        )
        found = [(name, place.line) for name, place in places_in("a.c", source)]
        self.assertEqual(found, [("a-b", 1), ("c", 2), ("d-1", 2), ("e", 4)])


if __name__ == "__main__":
    unittest.main()
