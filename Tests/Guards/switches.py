"""Switches: one Swift source that holds a statement and its edited form, chosen at run time.

`switched` compares a statement with its edited form and switches the smallest part that differs:

    if isGuardOut(7) { EDITED } else { ORIGINAL }                    statements
    guard (isGuardOut(7) ? (EDITED) : (ORIGINAL)), isOpen else { …   a condition
    let size = (isGuardOut(7) ? (EDITED) : (ORIGINAL))               the value of a declaration

If no guard is out, the source has its original meaning. A statement that cannot be switched is an
error: for example `defer`, a signature, a case label, or a declaration that is used later.
"""

import re
from difflib import SequenceMatcher

from edits import CLOSING, OPENING, Change, EditError, Statement, follows, lex

BINDING = {"let", "var", "case"}
# First words of statements that cannot be moved into a block.
DECLARING = "func init subscript struct class enum extension typealias static private fileprivate"
UNMOVABLE = set(f"{DECLARING} internal package public final mutating lazy nonisolated @".split())
UNMOVABLE |= {"defer", "case", "default", "else", "&&", "||"}
# Logical operators, and the operand that changes nothing.
NEUTRAL = {"&&": "true", "||": "false"}


class IndivisibleError(Exception):
    """No part of a statement can be switched, only the whole."""


class Part:
    """Some of the tokens of a statement: a condition, a value or a label."""

    def __init__(self, statement, start, end):
        self.statement, self.start, self.end = statement, start, end
        self.words = statement.words[start:end]

    @property
    def text(self):
        return self.statement.text(self.start, self.end)

    @property
    def binds(self):
        return self.words[0] in BINDING

    def as_statement(self):
        return Statement(self.statement.source, self.statement.tokens[self.start : self.end])

    def change(self, text):
        return self.statement.change(self.start, self.end, text)

    def divide(self, word):
        """Returns the words up to the first `word` outside brackets, and the part after it."""
        depth = 0
        for index, token in enumerate(self.words):
            if token == word and depth == 0:
                return self.words[: index + 1], Part(
                    self.statement, self.start + index + 1, self.end
                )
            depth += (token in OPENING) - (token in CLOSING)
        return self.words, None


def switched(source, old, new, call):
    """Returns `source` with a switch at its statement `old`, which becomes `new` if `call` is true.

    `new` may be a statement of another source.
    """
    changes = changes_of(old, new, call)
    if not changes:
        raise EditError("is not changed by its edit")
    for change in sorted(changes, reverse=True):
        source = source[: change.start] + change.text + source[change.end :]
    return source


def changes_of(old, new, call):
    """Returns the changes that switch between one or more statements."""
    olds, news = split(old), split(new)
    kept = 0
    while kept < min(len(olds), len(news)) and olds[kept].words == news[kept].words:
        kept += 1
    place = olds[kept].start if kept < len(olds) else old.end
    olds, news = olds[kept:], news[kept:]
    while olds and news and olds[-1].words == news[-1].words:
        del olds[-1], news[-1]
    try:
        return changes_within(olds, news, call)
    except IndivisibleError:
        pass
    later = set(words_after(old.source, olds[-1].end if olds else place))
    for statement in olds + news:
        check_movable(statement, later)
    new_text = text_of(news)
    if not olds:
        inserted = f"if {call} {{\n{new_text}\n}}"
        return [Change(place, place, f"\n{inserted}" if place == old.end else f"{inserted}\n")]
    old_text = f"{{\n{text_of(olds)}\n}}"
    text = f"if {call} {{\n{new_text}\n}} else {old_text}" if news else f"if !{call} {old_text}"
    return [Change(olds[0].start, olds[-1].end, text)]


def split(statement):
    """Returns the single statements."""
    groups, depth, column = [], 0, None
    for token in statement.tokens:
        if not groups or (depth == 0 and follows(token, column)):
            groups.append([])
            column = token.column
        groups[-1].append(token)
        depth += (token.text in OPENING) - (token.text in CLOSING)
    return [Statement(statement.source, group) for group in groups]


def text_of(statements):
    if not statements:
        return ""
    return statements[0].source[statements[0].start : statements[-1].end]


def check_movable(statement, later):
    """Raises an error unless a statement has its meaning in a block, too.

    `later` are the words after the block: the statement may declare none of them.
    """
    words = statement.words
    if words[0] in UNMOVABLE:
        raise EditError(f"begins with `{words[0]}`, which cannot be in a block of its own")
    if words[0] in BINDING:
        parts = [Part(statement, 0, len(words))]
    elif words[0] == "guard":
        parts = [Part(statement, *pair) for pair in statement.conditions()]
    else:
        return
    names = {
        word
        for part in parts
        if part.binds
        for word in part.divide("=")[0]
        if re.fullmatch(r"[a-z_]\w*", word)
    } - {"let", "var", "case", "_"}
    used = names & later
    if used:
        raise EditError(f"declares `{min(used)}`, which is used later")


def words_after(source, position):
    """Yields the words up to the end of the block; a string literal is several words."""
    depth = 0
    for token in lex(source, position):
        depth += (token.text in OPENING) - (token.text in CLOSING)
        if depth < 0:
            return
        yield from re.findall(r"\w+", token.text) or [token.text]


def changes_within(olds, news, call):
    """Returns the changes that switch parts of statements."""
    if len(olds) == 1 and not news and olds[0].words[0] in NEUTRAL:
        return switch_operand(olds[0], None, call)
    if len(olds) != len(news):
        raise IndivisibleError
    pairs = zip(olds, news, strict=True)
    return [change for pair in pairs for change in changes_of_one(*pair, call)]


def changes_of_one(old, new, call):
    """Returns the changes that switch parts of one statement."""
    whole, edited = Part(old, 0, len(old.tokens)), Part(new, 0, len(new.tokens))
    first = old.words[0]
    if first in {"case", "default"}:
        return switch_case(whole, edited, call)
    if first in NEUTRAL:
        return switch_operand(old, new, call)
    if first == new.words[0] and first in {"if", "guard", "while", "else"}:
        return switch_conditions(old, new, call)
    if first == "guard" and new.words[0] == "let" and len(old.conditions()) == 1:
        # `guard let a = b else { … }` becomes `let a = c`.
        return switch_value(Part(old, *old.condition(1)), edited, call)
    return switch_value(whole, edited, call)


def choice(call, new, old):
    return f"({call} ? ({new}) : ({old}))"


def switch_value(old, new, call):
    """Switches the value after `=` of a declaration."""
    (name, value), (new_name, new_value) = old.divide("="), new.divide("=")
    if not BINDING.intersection(name) or name != new_name or value is None:
        raise IndivisibleError
    return [value.change(choice(call, new_value.text, value.text))]


def switch_case(old, new, call):
    """Switches the statements after a case label."""
    (label, body), (new_label, new_body) = old.divide(":"), new.divide(":")
    if label != new_label or body is None:
        raise IndivisibleError
    return changes_of(body.as_statement(), new_body.as_statement(), call)


def switch_operand(old, new, call):
    """Switches an operand that has its own lines; if `new` is None, it is removed."""
    operator, operand = old.words[0], Part(old, 1, len(old.tokens))
    # An operator beside the operand could bind more tightly.
    words = {*operand.words, next(words_after(old.source, old.end), "")}
    if (new and new.words[0] != operator) or words & {"&&", "||", "?", "??", "=", ","}:
        raise IndivisibleError
    text = Part(new, 1, len(new.tokens)).text if new else NEUTRAL[operator]
    return [operand.change(choice(call, text, operand.text))]


def switch_conditions(old, new, call):
    """Switches the conditions of `if`, `guard` or `while`, if all else is the same."""
    try:
        pairs, new_pairs = old.conditions(), new.conditions()
    except EditError:
        raise IndivisibleError from None
    if old.words[pairs[-1][1] :] != new.words[new_pairs[-1][1] :]:
        raise IndivisibleError
    olds = [Part(old, *pair) for pair in pairs]
    news = [Part(new, *pair) for pair in new_pairs]
    keys = [[tuple(part.words) for part in parts] for parts in (olds, news)]
    changes = []
    for tag, start, end, new_start, new_end in SequenceMatcher(None, *keys, False).get_opcodes():
        if tag == "equal":
            continue
        edited = news[new_start:new_end]
        for index, part in enumerate(olds[start:end]):
            changes.append(switch_condition(part, edited[index] if edited[index:] else None, call))
        if edited[end - start :]:
            changes.append(add_conditions(olds[:end], edited[end - start :], call))
    return changes


def switch_condition(old, new, call):
    """Switches a condition; if `new` is None, the condition does not exist in the edited form."""
    if new and old.binds:
        return switch_value(old, new, call)[0]
    if old.binds or (new and new.binds):
        raise IndivisibleError
    return old.change(choice(call, new.text if new else "true", old.text))


def add_conditions(before, added, call):
    """Adds conditions of the edited form after those that come before them."""
    if not before or any(part.binds for part in added):
        raise IndivisibleError
    place = before[-1].statement.tokens[before[-1].end - 1].end
    text = "".join(f", {choice(call, part.text, 'true')}" for part in added)
    return Change(place, place, text)
