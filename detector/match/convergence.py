"""Convergence: likeness that two hands reach by themselves.

What two people write from one textbook, or one language model for two people, is alike beyond coincidence and
yet nobody's copy. It has a mark of its own: the *names* agree by themselves, and the *text* does not. A hand
that hides what it took replaces the names; a hand that does not hide it leaves whole passages as they stood.
(Biology tells convergence from common descent likewise, and textual criticism holds that agreement which two
scribes may come to by themselves proves no common source.)

So a match converges if, over all that matches between its two files, most names are kept but the statements
do not read the same, neither with those names nor with others in their places, unless it holds more than two
such hands were seen to have in common. Thresholds lie between pairs of honest hands and forks
(docs/statistics.md).
"""

from __future__ import annotations

import keyword
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from detector.fingerprint.api import api
from detector.match.alignment import Lines, Place
from detector.match.rename import Votes
from detector.unit.unit import Unit

KEPT = 0.5
"""share of the places of names that must agree between two files"""
FEWER = 0.3
"""the same where over both repositories so many agree as must between two files"""
PORTED = 2 / 3
"""share of them that must agree over both repositories where these use different frameworks: no text can be
kept then, so that its absence says nothing"""
REPLACED = 0.75
"""share of the places of names in one match that somebody replaced, wherever it stands"""
PLACES = 16
"""places of names from which a match is judged by these alone"""
USUAL = 0.4
"""share of what aligned statements carry that stands in the same text where two hands write alike"""
EXCESS = 4.5
"""statements of the same text beyond that share, in one match or between two files, which no two hands were
seen to write"""
SHAPE = 0.65
"""share of what aligned statements carry that reads the same but for names, which two hands hardly reach"""
SHAPED = 8.5
"""such statements beyond that share, between two files or over all, which no two hands were seen to write"""
PASSAGE = 280
"""characters of statements in a row that read the same, layout left aside, which no two hands were seen to
write: they show that the file was at hand"""
LARGE = 100.0
"""bits, times the lesser part that they are of the two, which no match of two honest hands has reached"""
AGAINST = -8.0
"""log2 of the likelihood ratio from which numbers speak against a copy"""
WIDE = 0.1
"""share of both sides that is too much for a part which one program took from the other"""
HALF = 0.42
"""share of both sides that two hands who name their functions differently do not have in common"""
MOST = 0.65
"""share of both sides that no two hands have in common"""
AMPLE = 500.0
"""bits in common from which a program is not small: some 200 lines"""
_TITLES = 0.1
"""share of functions that keep their name, below which somebody gave them others"""
_FEW = 8
"""functions from which shares are taken"""
_COMMENT = re.compile(r"#[^\n\"']*$", re.MULTILINE)
_NAME = re.compile(rf"\b(?!(?:{'|'.join(keyword.kwlist)})\b)[^\W\d]\w*")
"""whatever a copier could call otherwise, and some that he could not"""
_NUMBER = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_LAYOUT = str.maketrans("'", '"', " \t\n\r\f\v,()\\")
"""takes away what a formatter changes in a statement, and makes all quotes the same"""
_OPTION = "add_argument"
"""in a declaration of options, which is names and defaults, and no text"""
_FRAMEWORK = re.compile(
    r"\s*(?:from|import)\s+(torch|tensorflow|keras|jax|flax|paddle|mindspore|mlx|mxnet)\b"
)
_NEAR = 2
"""lines from one statement to the next in a row"""


@dataclass(frozen=True, slots=True)
class Writing:
    """How the names and the text of what matches compare.

    `kept` and `replaced` count places of names; `weight` is what the aligned statements carry, `same` what
    those carry that read the same, which are `statements` in number; `passage` is how many characters the
    longest row of them has; `form` is what those carry that read the same but for names, which are `formed`
    in number.
    """

    kept: int = 0
    replaced: int = 0
    weight: float = 0.0
    same: float = 0.0
    statements: int = 0
    passage: int = 0
    form: float = 0.0
    formed: int = 0

    def __add__(self, other: Writing) -> Writing:
        return Writing(
            self.kept + other.kept,
            self.replaced + other.replaced,
            self.weight + other.weight,
            self.same + other.same,
            self.statements + other.statements,
            max(self.passage, other.passage),
            self.form + other.form,
            self.formed + other.formed,
        )

    @property
    def excess(self) -> float:
        """Statements that read the same beyond the share that is usual between two hands."""
        return self.statements * (self.same - USUAL * self.weight) / (self.weight or 1.0)

    @property
    def shaped(self) -> float:
        """Statements that read the same but for names, beyond the share that two hands reach."""
        return self.formed * (self.form - SHAPE * self.weight) / (self.weight or 1.0)

    def keeps_form(self) -> bool:
        """Whether more statements read the same but for names than two hands write alike."""
        return self.shaped >= SHAPED

    def keeps_text(self) -> bool:
        """Whether more statements read the same than two hands write alike."""
        return self.same >= USUAL * self.weight > 0

    def keeps_names(self, share: float = KEPT) -> bool:
        """Whether that share of names agrees; not so where there are none."""
        return self.kept >= share * (self.kept + self.replaced) > 0

    def replaces_names(self) -> bool:
        """Whether somebody gave most of many names another."""
        places = self.kept + self.replaced
        return places >= PLACES and self.replaced > REPLACED * places


def writing(cast: Votes, lines: Iterable[Lines], text_a: Sequence[str], text_b: Sequence[str]) -> Writing:
    """Compare two matched units by their votes for names and their statements that correspond."""
    kept = sum(len(places) for (_, a, b), places in cast.items() if a == b)
    replaced = sum(map(len, cast.values())) - kept
    weight = same = form = 0.0
    statements = formed = passage = longest = 0
    last = -_NEAR, -_NEAR
    for line in sorted(lines, key=lambda line: (line.a.first, line.a.start)):
        code_a, code_b = _code(text_a, line.a), _code(text_b, line.b)
        plain = code_a.translate(_LAYOUT)
        if _OPTION in plain:
            continue
        weight += line.weight
        reads_same = plain == code_b.translate(_LAYOUT)
        if reads_same or _same_form(code_a, code_b):
            form += line.weight
            formed += 1
        if not reads_same:
            passage = 0
            continue
        same += line.weight
        statements += 1
        follows = line.a.first - last[0] <= _NEAR and 0 <= line.b.first - last[1] <= _NEAR
        passage = passage + len(plain) if follows else len(plain)
        longest = max(longest, passage)
        last = line.a.last, line.b.last
    return Writing(kept, replaced, weight, same, statements, longest, form, formed)


def _code(text: Sequence[str], at: Place) -> str:
    """A statement of a file without what else stands in its lines, and without comments."""
    lines = list(text[at.first - 1 : at.last])
    if lines:
        lines[-1] = _bytes(lines[-1], 0, at.end)
        lines[0] = _bytes(lines[0], at.start)
    code = "\n".join(lines)
    return _COMMENT.sub("", code) if "#" in code else code


def _bytes(line: str, start: int, end: int | None = None) -> str:
    return line[start:end] if line.isascii() else line.encode()[start:end].decode("utf-8", "replace")


def _same_form(a: str, b: str) -> bool:
    """Whether two statements read the same but for names and layout."""
    if any(a.count(sign) != b.count(sign) for sign in "=[:*/"):
        return False  # most statements that differ do so here, and it is quick
    return _form(a) == _form(b)


def _form(code: str) -> str:
    """A statement without layout and names, and with numbers by value."""
    return _NUMBER.sub(lambda found: str(float(found[0])), _NAME.sub("·", code)).translate(_LAYOUT)


def frameworks(texts: Iterable[Sequence[str]]) -> frozenset[str]:
    """The frameworks of machine learning that files import, given their lines."""
    found = (_FRAMEWORK.match(line) for text in texts for line in text if "import" in line)
    return frozenset(match[1] for match in found if match)


def between_files(matched: Iterable[tuple[Unit, Unit, Writing]]) -> dict[tuple[str, str], Writing]:
    """How all that matches between two files is written, by their paths.

    Where functions were given other names throughout, names within were left by oversight: none counts.
    """
    files: dict[tuple[str, str], Writing] = defaultdict(Writing)
    titles: list[tuple[str, str]] = []
    for a, b, each in matched:
        files[a.path, b.path] += each
        if a.kind in ("function", "method"):
            titles.append((a.name.rpartition(".")[2], b.name.rpartition(".")[2]))
    return {pair: replace(each, kept=0) for pair, each in files.items()} if retitled(titles) else dict(files)


def retitled(names: Iterable[tuple[str, str]]) -> bool:
    """Whether matched functions were given other names throughout.

    `names` are those of each pair, several of one name counting once; what a framework calls by its name
    counts for neither.
    """
    hooks = api().hooks
    free = {(a, b) for a, b in names if not ({a, b} & hooks or a.startswith("__"))}
    return len(free) >= _FEW and sum(a == b for a, b in free) < _TITLES * len(free)


def worked_over(share: float, bits: float, names: Sequence[tuple[str, str]]) -> bool:
    """Whether one program is the other in other words, which somebody may have given other numbers as well.

    `share` is what both sides have in common of the one that has less, `bits` how much that is, and `names`
    are those of matched functions. Two hands may well agree in most of a small program.
    """
    return len(names) >= _FEW and bits >= AMPLE and share >= (HALF if retitled(names) else MOST)


def is_port(a: frozenset[str], b: frozenset[str]) -> bool:
    """Whether two sides use frameworks, and none in common."""
    return bool(a and b) and a.isdisjoint(b)


def converges(
    bits: float, part: float, alone: Writing, files: Writing, whole: Writing, *, ported: bool = False
) -> bool:
    """Whether two hands may have come to a match by themselves, by how it, all that matches between its files
    and all that matches are written.

    `part` is the lesser of the parts that what the two have in common makes up of them; `ported` is whether
    the sides use different frameworks.
    """
    share = FEWER if whole.keeps_names() else KEPT
    keeps_names = whole.keeps_names(PORTED) if ported else files.keeps_names(share)
    keeps_text = max(alone.excess, files.excess) >= EXCESS or files.passage >= PASSAGE
    keeps_form = files.keeps_form() or whole.keeps_form()
    kept = keeps_text or keeps_form or bits * part >= LARGE
    return keeps_names and not alone.replaces_names() and not kept


def chose_apart(everywhere: float, matched: float, share: float) -> bool:
    """Whether two sides hold such different numbers that two hands wrote what matches, where its text was
    not kept: a hand that hides what it took replaces names and text, and leaves the numbers as they are.

    `everywhere` is the link between the numbers of all their code, `matched` that between the numbers of what
    matches, and `share` what both have in common of the one that has less. Who took but a part left the
    numbers there alone. Where much of both matches, they must be a copy's numbers, not merely few.
    """
    return everywhere <= AGAINST and matched < (-AGAINST if share >= WIDE else 0.0)
