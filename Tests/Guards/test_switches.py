"""Tests of the switches: each holds the original and the edited form, and nothing else."""

import itertools
import unittest
from pathlib import Path

import markers
from catalogue import GUARDS
from edits import (
    EditError,
    Statement,
    after,
    always,
    before,
    drop_condition,
    instead,
    matches,
    never,
    remove,
    replace,
    rewrite,
    texts,
)
from joint import Site
from switches import switched

ROOT = Path(__file__).resolve().parents[2]
# A form of switch, and what is left of it with the guard in and with the guard out.
FORMS = [
    ("if out { @1 } else { @2 }", "@2", "@1"),
    ("if !out { @1 }", "@1", ""),
    ("if out { @1 }", "", "@1"),
    (", (out ? (@1) : (true))", "", ", @1"),
    (", (out ? (true) : (@1))", ", @1", ""),
    ("(out ? (true) : (@1)),", "@1,", ""),
    ("&& (out ? (true) : (@1))", "&& @1", ""),
    ("|| (out ? (false) : (@1))", "|| @1", ""),
    ("(out ? (@1) : (@2))", "@2", "@1"),
]


def resolved(source, is_out):
    """Returns the words of a source with each switch replaced by the form that it selects."""
    words = texts(source)
    for form, kept, edited in FORMS:
        pattern, result = texts(form), texts(edited if is_out else kept)
        index = 0
        while pattern[0] in words[index:]:
            index = words.index(pattern[0], index)
            end, bound = next(matches(pattern, words, index), (None, {}))
            if end is None:
                index += 1
                continue
            parts = [words[slice(*bound[word])] if word in bound else [word] for word in result]
            words[index:end] = itertools.chain(*parts)
    return words


def switch(edit, source, place=None):
    """Returns a source with a switch at its marker, and the same source edited."""
    place = place or next(markers.places_in("a.swift", source))[1]
    site = Site("here", edit, source, place)
    old = Statement.between(source, site.start, site.end)
    return switched(source, old, site.edited, "out"), edit.apply(source, place.start)


class SwitchTests(unittest.TestCase):
    def surround(self, text):
        return f"func f() {{\n  first()\n  // guard: here\n  {text}\n  last(used)\n}}\n"

    def assert_becomes(self, edit, text, result):
        self.assert_switched(edit, self.surround(text), self.surround(result))

    def assert_switched(self, edit, source, result):
        text, edited = switch(edit, source)
        self.assertEqual(texts(text), texts(result))
        self.assertEqual(resolved(text, False), texts(source))
        self.assertEqual(resolved(text, True), texts(edited))

    def assert_refused(self, edit, text, reason):
        with self.assertRaisesRegex(EditError, reason):
            switch(edit, self.surround(text))

    def test_a_statement(self):
        self.assert_becomes(instead("b()"), "a()", "if out { b() } else { a() }")
        self.assert_becomes(remove(), "a = 1", "if !out { a = 1 }")
        self.assert_becomes(replace("1", "2"), "return 1", "if out { return 2 } else { return 1 }")
        guard = "guard a < b else { throw .far }"
        self.assert_becomes(remove(), guard, f"if !out {{ {guard} }}")
        loop = "for a in b where a > 0 { c(a) }"
        edited = loop.replace(">", ">=")
        self.assert_becomes(replace(">", ">="), loop, f"if out {{ {edited} }} else {{ {loop} }}")

    def test_a_statement_whose_block_differs(self):
        old, new = "if let a { return b }", "if let a { return c }"
        self.assert_becomes(
            replace("b", "c", block=True), old, f"if out {{ {new} }} else {{ {old} }}"
        )

    def test_inserted_statements(self):
        self.assert_becomes(before("b()"), "a()", "if out { b() }\n  a()")
        self.assert_becomes(after("b()"), "a()", "a()\n  if out { b() }")

    def test_several_statements(self):
        self.assert_becomes(remove(2), "a()\n  b { c }", "if !out { a()\n  b { c } }")
        text = "let (a, b) = c()\n  return b ? 1 : a"
        self.assert_becomes(
            rewrite("@1", "return 1", 2), text, f"if out {{ return 1 }} else {{ {text} }}"
        )
        self.assert_becomes(
            rewrite("let @1 = a let @2 = @3", "let @1 = @3\n  let @2 = a", 2),
            "let used = a\n  let c = b",
            "let used = (out ? (b) : (a))\n  let c = (out ? (a) : (b))",
        )

    def test_conditions(self):
        head = "while a, let b = c({ $0, $1 }), d || e {\n    f()\n  }"
        self.assert_becomes(
            never(3), head, head.replace("d || e", "(out ? ((d || e) && false) : (d || e))")
        )
        self.assert_becomes(
            replace("$1", "$2"), head,
            head.replace("c({ $0, $1 })", "(out ? (c({ $0, $2 })) : (c({ $0, $1 })))"),
        )  # fmt: skip
        self.assert_becomes(
            always(1, 3), head,
            head.replace("a,", "(out ? (a || true) : (a)),")
            .replace("d || e", "(out ? (d || e || true) : (d || e))"),
        )  # fmt: skip

    def test_a_condition_of_an_else_if(self):
        source = "  if a {\n    b()\n  } else if c {  // guard: here\n    d()\n  } else { e() }\n"
        result = source.replace("if c", "if (out ? (c && false) : (c))")
        self.assert_switched(never(), source, result)

    def test_dropped_and_added_conditions(self):
        head = "guard let used, a < b, c else { return }"
        for number, condition in [(2, "a < b"), (3, "c")]:
            result = head.replace(f", {condition}", f", (out ? (true) : ({condition}))")
            self.assert_becomes(drop_condition(number), head, result)
        self.assert_becomes(
            drop_condition(1), "if a, b { c() }", "if (out ? (true) : (a)), b { c() }"
        )
        self.assert_becomes(
            replace("used", "used, d"), head, head.replace("used", "used, (out ? (d) : (true))")
        )

    def test_values(self):
        self.assert_becomes(
            replace("1", "2"), "static let a: Int = 1", "static let a: Int = (out ? (2) : (1))"
        )
        self.assert_becomes(
            replace("c", "d"), "var used = try b(c)", "var used = (out ? (try b(d)) : (try b(c)))"
        )

    def test_a_guard_that_becomes_a_declaration(self):
        edit = rewrite("guard let @1 = @2 else { @3 }", "let @1 = @2 ?? 0")
        text, _ = switch(edit, self.surround("guard let used = a else { return }"))
        result = self.surround("guard let used = (out ? (a ?? 0) : (a)) else { return }")
        self.assertEqual(texts(text), texts(result))

    def test_operands(self):
        source = "if a\n    // guard: here\n    || b > c\n  {\n    d()\n  }"
        self.assert_switched(remove(), source, source.replace("b > c", "(out ? (false) : (b > c))"))
        self.assert_switched(
            replace("b", "d"), source, source.replace("b > c", "(out ? (d > c) : (b > c))")
        )

    def test_a_case(self):
        source = "switch a {\n// guard: here\ncase .b: throw .c\ndefault: d()\n}\n"
        result = source.replace("throw .c", "if out { break } else { throw .c }")
        self.assert_switched(rewrite("@1: @2", "@1: break"), source, result)

    def test_what_cannot_be_switched_is_refused(self):
        self.assert_refused(remove(2), "lock()\n  defer { unlock() }", "begins with `defer`")
        self.assert_refused(remove(), "guard let used = a else { return }", "declares `used`")
        self.assert_refused(
            replace("let a", "let c", statements=2), "let a = b\n  d(a)", "declares `a`"
        )
        self.assert_refused(instead("let used = 1"), "let (used, b) = a", "declares `used`")
        self.assert_refused(replace("Int", "Double"), "func g(a: Int) {\n  }", "begins with `func`")
        self.assert_refused(replace("1", "2"), "case 1: b()", "begins with `case`")
        self.assert_refused(remove(), "@discardableResult func g() {\n  }", "begins with `@`")
        self.assert_refused(remove(), "&& a || b", "begins with `&&`")


class CatalogueTests(unittest.TestCase):
    def test_each_switch_holds_both_forms(self):
        found, count, all_count = markers.find(ROOT), 0, 0
        for guard in GUARDS:
            place = found[guard.name][0]
            source = (ROOT / place.file).read_text()
            if not place.file.endswith(".swift"):
                continue
            all_count += 1
            try:
                text, edited = switch(guard.edit, source, place)
            except EditError:
                continue
            count += 1
            old = Statement.at(source, place.start, guard.edit.statements)
            text, edited, source = (
                each[old.start : len(each) - len(source) + old.end]
                for each in (text, edited, source)
            )
            with self.subTest(guard.name):
                self.assertEqual(resolved(text, False), texts(source))
                words = resolved(text, True)
                if words != texts(edited):
                    # A declaration instead of `guard let`: the rest of the guard stays.
                    self.assertEqual(old.words[:2], ["guard", "let"])
                    self.assertEqual(texts(edited)[0], "let")
        self.assertGreater(count, 0.9 * all_count)


if __name__ == "__main__":
    unittest.main()
