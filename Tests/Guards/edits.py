"""Small edits of one statement that stay valid when code is moved, renamed or reformatted.

A statement begins after its marker (markers.py) and ends where its brackets are balanced and the
next line is not indented further. Edits match tokens and ignore white space, line breaks and
comments between them. A pattern may contain captures, `@1` to `@9`. A capture matches one or more
tokens with balanced brackets, as few as possible; a repeated capture matches the same tokens again.
So most edits name an operator or a literal and no identifier:

    replace("<", "<=")                              one place in the statement
    rewrite("guard @1 else { @2 }", "_ = @1")       the whole statement
    remove()    before("…")    after("…")           the whole statement, and text beside it
    always(2)   never(1)   drop_condition(3)        one condition of `if`, `guard` or `while`

After `if`, `guard`, `while`, `for` or `switch` an edit searches only up to the brace that opens the
block; `block=True` includes the block. `statements=2` edits two statements at once. An edit that
does not apply exactly once is an error.
"""

import re
from collections.abc import Callable
from itertools import takewhile
from typing import NamedTuple


class EditError(Exception):
    """The reason why an edit does not apply."""


class Token(NamedTuple):
    text: str
    start: int
    end: int
    # Column of the token if it is the first of its line, else None.
    column: int | None


class Change(NamedTuple):
    start: int
    end: int
    text: str


LEXEME = re.compile(
    r"""(?P<blank> \s+ | //[^\n]* | /\*.*?\*/ )
    | (?P<literal> \#*" )
    | '(?:\\.|[^'\\\n])*'
    | `[^`]*`
    | @\d
    | 0x[\da-fA-F_]+ | \d[\d_]*(?:\.\d[\d_]*)?
    | [\w$]+
    | \.{2,3}<? | [-+*/%<>=!&|^~?]+
    | .""",
    re.VERBOSE | re.DOTALL,
)
OPENING, CLOSING = {"(", "[", "{"}, {")", "]", "}"}
HEADED = {"if", "guard", "while", "for", "switch"}


def literal_end(source, start):
    """Returns the end of the string literal at `start`; interpolations may contain literals."""
    hashes = re.compile("#*").match(source, start).group()
    quotes = '"""' if source.startswith('"""', start + len(hashes)) else '"'
    position = start + len(hashes) + len(quotes)
    while position < len(source):
        if source.startswith(quotes + hashes, position):
            return position + len(quotes + hashes)
        if source.startswith("\\" + hashes + "(", position):
            position = interpolation_end(source, position + 1 + len(hashes))
        elif source.startswith("\\" + hashes, position):
            position += 2 + len(hashes)
        else:
            position += 1
    raise EditError("a string literal has no end")


def interpolation_end(source, start):
    depth = 0
    for token in lex(source, start):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return token.end
    raise EditError("an interpolation has no end")


def lex(source, start=0):
    """Yields the tokens of Swift, C or JavaScript from `start` on."""
    position = start
    line = source.rfind("\n", 0, start) + 1
    is_first = not source[line:start].strip()
    while position < len(source):
        match = LEXEME.match(source, position)
        if match["blank"]:
            broken = match.group().rfind("\n")
            if broken >= 0:
                line, is_first = position + broken + 1, True
            position = match.end()
            continue
        end = literal_end(source, position) if match["literal"] else match.end()
        yield Token(source[position:end], position, end, position - line if is_first else None)
        position, is_first = end, False


def texts(source):
    return [token.text for token in lex(source)]


def follows(token, column):
    """Returns whether a token begins another statement than the one that begins at `column`."""
    if token.column is None or column is None or token.column > column:
        return False
    return token.text not in {"{", "else", "catch"} or token.column != column


class Statement:
    """The tokens of one or more statements in a source."""

    def __init__(self, source, tokens):
        self.source = source
        self.tokens = tokens

    @classmethod
    def at(cls, source, start, statements=1):
        """Finds the statement after a marker, or several statements."""
        statement = cls(source, [])
        stream = lex(source, start)
        token = next(stream, None)
        # `} else if …`: the brace belongs to the previous statement.
        if token and token.text == "}":
            column, token = token.column, next(stream, None)
            if token is None or token.text != "else":
                raise EditError("no statement follows")
            token = token._replace(column=column)
        for _ in range(statements):
            token = statement.take_statement(token, stream)
        return statement

    @classmethod
    def between(cls, source, start, end):
        """Returns the statements from `start` up to `end`."""
        return cls(source, list(takewhile(lambda token: token.start < end, lex(source, start))))

    def take_statement(self, token, stream):
        """Takes the tokens up to the end of the statement; returns the next token."""
        if token is None or token.text in CLOSING:
            raise EditError("no statement follows")
        column, depth = token.column, 0
        while token is not None:
            if depth == 0 and token.text in CLOSING:
                break
            depth += (token.text in OPENING) - (token.text in CLOSING)
            self.tokens.append(token)
            token = next(stream, None)
            if depth == 0 and token and follows(token, column):
                break
        return token

    @property
    def start(self):
        return self.tokens[0].start

    @property
    def end(self):
        return self.tokens[-1].end

    @property
    def words(self):
        return [token.text for token in self.tokens]

    def head_count(self):
        """Returns the number of tokens up to and including the brace that opens the block."""
        words = [token.text for token in self.tokens[:2]]
        if words[0] not in HEADED and words != ["else", "if"]:
            return len(self.tokens)
        depth = 0
        for index, token in enumerate(self.tokens):
            if token.text == "{" and depth == 0:
                return index + 1
            depth += (token.text in OPENING) - (token.text in CLOSING)
        return len(self.tokens)

    def conditions(self):
        """Returns the conditions as pairs of token indexes."""
        words = self.words
        start = 2 if words[:2] == ["else", "if"] else 1
        if words[start - 1] not in {"if", "guard", "while"} or "{" not in words:
            raise EditError("has no conditions")
        pairs, depth = [], 0
        for index in range(start, self.head_count()):
            ends = words[index] in {",", "{", "else"} and depth == 0
            if ends and start < index:
                pairs.append((start, index))
                start = index + 1
            depth += (words[index] in OPENING) - (words[index] in CLOSING)
        return pairs

    def condition(self, number):
        conditions = self.conditions()
        if number is None and len(conditions) != 1:
            raise EditError(f"has {len(conditions)} conditions")
        if number is not None and number > len(conditions):
            raise EditError(f"has no condition {number}")
        return conditions[(number or 1) - 1]

    def text(self, start, end):
        """Returns the source text of the tokens from `start` up to `end`."""
        return self.source[self.tokens[start].start : self.tokens[end - 1].end]

    def change(self, start, end, text):
        return Change(self.tokens[start].start, self.tokens[end - 1].end, text)


class Edit(NamedTuple):
    # Function from a statement to the changes of its source.
    changes: Callable
    statements: int = 1

    def apply(self, source, start):
        """Returns the source with the edit applied to the statement at `start`."""
        changes = sorted(self.changes(Statement.at(source, start, self.statements)), reverse=True)
        if all(
            texts(source[change.start : change.end]) == texts(change.text) for change in changes
        ):
            raise EditError("is not changed by its edit")
        for change in changes:
            source = source[: change.start] + change.text + source[change.end :]
        return source


def matches(pattern, words, start, bound=None):
    """Yields the end and captures of each match of `pattern` at `start`, shortest first."""
    bound = bound or {}
    if not pattern:
        yield start, bound
        return
    first, rest = pattern[0], pattern[1:]
    if not re.fullmatch(r"@\d", first):
        if start < len(words) and words[start] == first:
            yield from matches(rest, words, start + 1, bound)
        return
    if first in bound:
        known = words[slice(*bound[first])]
        if words[start : start + len(known)] == known:
            yield from matches(rest, words, start + len(known), bound)
        return
    depth = 0
    for end in range(start, len(words)):
        depth += (words[end] in OPENING) - (words[end] in CLOSING)
        if depth < 0:
            return
        if depth == 0:
            yield from matches(rest, words, end + 1, {**bound, first: (start, end + 1)})


def filled(result, bound, statement):
    """Returns `result` with its captures replaced by the captured source text."""
    return re.sub(r"@\d", lambda match: statement.text(*bound[match.group()]), result)


def replace(old, new, block=False, statements=1):
    """Replaces the only match of `old` in the statement by `new`."""

    def changes(statement):
        count = len(statement.tokens) if block else statement.head_count()
        words = [token.text for token in statement.tokens[:count]]
        found = []
        for start in range(count):
            match = next(matches(texts(old), words, start), None)
            if match:
                found.append((start, *match))
        if len(found) != 1:
            raise EditError(f"has `{old}` {len(found)} times")
        start, end, bound = found[0]
        return [statement.change(start, end, filled(new, bound, statement))]

    return Edit(changes, statements)


def rewrite(old, new, statements=1):
    """Replaces the whole statement by `new`; `old` must match the whole statement."""

    def changes(statement):
        words = statement.words
        for end, bound in matches(texts(old), words, 0):
            if end == len(words):
                return [statement.change(0, end, filled(new, bound, statement))]
        raise EditError(f"does not read `{old}`")

    return Edit(changes, statements)


def instead(text):
    """Replaces any statement by `text`."""
    return rewrite("@1", text)


def remove(statements=1):
    """Removes the statement."""
    return rewrite("@1", "", statements)


def before(text):
    """Inserts `text` on a line before the statement."""
    return rewrite("@1", text + "\n@1")


def after(text):
    """Inserts `text` on a line after the statement."""
    return rewrite("@1", "@1\n" + text)


def always(*numbers):
    """Makes conditions always true; without numbers, the only condition."""
    return with_condition("|| true", {"?"}, numbers)


def never(*numbers):
    """Makes conditions always false; without numbers, the only condition."""
    return with_condition("&& false", {"?", "??", "||"}, numbers)


def with_condition(suffix, weaker, numbers):
    """Appends a suffix to conditions; one with a weaker operator is put in parentheses first."""

    def changes(statement):
        changed = []
        for start, end in map(statement.condition, numbers or (None,)):
            text = statement.text(start, end)
            if weaker.intersection(token.text for token in statement.tokens[start:end]):
                text = f"({text})"
            changed.append(statement.change(start, end, f"{text} {suffix}"))
        return changed

    return Edit(changes)


def drop_condition(number):
    """Removes one of several conditions."""

    def changes(statement):
        start, end = statement.condition(number)
        count = len(statement.conditions())
        if count == 1:
            raise EditError("has no other condition")
        # Also remove the comma after it, or the comma before it for the last condition.
        first, last = (start, end + 1) if number < count else (start - 1, end)
        return [statement.change(first, last, "")]

    return Edit(changes)
