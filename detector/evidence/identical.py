"""Files that both sides hold: the same git blob, the same large object, or the same text but for white space.

A blob id is a digest of the content, so equal ids are equal bytes even where the bytes are not at hand; the
`oid` of a Git LFS pointer says the same of the object it points to. `docs/evidence/identical.md` gives the
scale and what carries nothing.
"""

from __future__ import annotations

import hashlib
import math
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import PurePosixPath

from detector.evidence.finding import Evidence, Finding, Json, Rename, Site, Span, Strength
from detector.evidence.registry import Context
from detector.snapshot.model import File, Snapshot

LARGEST = 2**20
"""bytes up to which files that differ are compared without their white space"""
LEAST = 64
"""bytes below which equal content may be chance"""
MOST_BITS = 300.0
"""most that one file carries: it may be a third party's, carried along by both"""
ELSEWHERE_BITS = 30.0
"""most that settings and tokenizers carry here; their own classes weigh what stands in them"""
UNREAD_BITS = 64.0
"""a file of unknown size: its digest agrees, how much it holds is not known"""
SUBSTANTIAL = 100.0
"""bits from which a file counts towards strong evidence, which takes several"""
BITS_PER_BYTE = 0.5
"""of compressed text; most of what compression leaves is still the field's common knowledge"""
_POINTER = re.compile(
    rb"\Aversion https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?"
    rb"oid sha256:([0-9a-f]{64})\nsize (\d{1,18})\s*\Z"
)
_LARGEST_POINTER = 1024
_COMMON = re.compile(
    r"(^|/)((un)?licen[cs]e|copying|notice|authors|contributors|code_of_conduct|contributing|security|codeowners"
    r"|\.gitignore|\.gitattributes|\.gitmodules|\.dockerignore|\.editorconfig|\.ds_store|\.keep|\.gitkeep|\.nojekyll"
    r"|\.pre-commit-config|\.flake8|\.isort|\.pylintrc|\.style|\.clang-format|\.python-version|py|__init__|conftest"
    r"|package-lock|yarn|poetry|uv|pipfile|makefile|manifest|setup|gradlew|gradle-wrapper|funding|dependabot|stale"
    r"|requirements[\w-]*)(\.(md|txt|rst|typed|py|pyi|lock|json|ya?ml|in|cfg|bat|jar|properties))?$"
    r"|(^|/)(\.github|\.idea|\.vscode|node_modules|site-packages)/",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    r"(^|/)(vocab\.txt|merges\.txt|[^/]*\.(json|ya?ml|toml|tiktoken)|(tokenizer|spiece|sentencepiece[^/]*)\.model)$",
    re.IGNORECASE,
)
_MOST_PLACES = 50
_MEDIA = re.compile(
    r"\.(jpe?g|png|gif|bmp|webp|svg|ico|mp[34]|wav|flac|m4a|ogg|avi|mov|webm|pdf|ttf|woff2?)$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Twin:
    """One content that both sides hold: its paths on either side, what shows it, and its size if known."""

    a: tuple[File, ...]
    b: tuple[File, ...]
    how: str
    size: int | None


def find(a: Snapshot, b: Snapshot, context: Context) -> Evidence:
    """One finding for each content that both sides hold and that not everybody has."""
    small_a, small_b = _small(a), _small(b)
    twins = [*_by_blob(a, b), *_by_pointer(a, b, small_a, small_b)]
    twins += _by_text(a, b, {file.blob for twin in twins for file in (*twin.a, *twin.b)}, small_a, small_b)
    upstream = {file.blob: snapshot.label for snapshot in context.upstreams for file in snapshot.files}
    found = []
    for twin in twins:
        content = next((small_a[file.path] for file in twin.a if file.path in small_a), None)
        found.append(_finding(twin, content, upstream))
    findings = _weighed([finding for finding in found if finding is not None])
    renames = tuple(
        Rename("file", one.path, other.path, 1, sites=(Site(one.path, 1, other.path, 1),))
        for finding in findings
        for one, other in [(finding.a[0], finding.b[0])]
        if PurePosixPath(one.path).name != PurePosixPath(other.path).name
    )
    return Evidence(tuple(findings), renames=renames)


def is_common(path: str) -> bool:
    """Whether a file of this name says nothing about origin: licences, ignore lists, package markers, CI."""
    return _COMMON.search(path) is not None


def _small(snapshot: Snapshot) -> dict[str, bytes]:
    """Bytes by path of the files that are read at all; media are compared by id alone."""
    return snapshot.read(
        file.path
        for file in snapshot.files
        if file.size is not None
        and LEAST <= file.size <= min(LARGEST, snapshot.limits.file_bytes)
        and not is_common(file.path)
        and (file.size <= _LARGEST_POINTER or not _MEDIA.search(file.path))
    )


def _by_blob(a: Snapshot, b: Snapshot) -> Iterator[Twin]:
    theirs = _grouped((file.blob, file) for file in b.files)
    for blob, files in _grouped((file.blob, file) for file in a.files).items():
        if blob in theirs:
            yield Twin(files, theirs[blob], "the same git blob", files[0].size)


def _by_pointer(
    a: Snapshot, b: Snapshot, small_a: Mapping[str, bytes], small_b: Mapping[str, bytes]
) -> Iterator[Twin]:
    """Large objects: two pointers to one object that are not one blob, or a pointer and the object itself."""
    pointers_a, pointers_b = _pointers(small_a), _pointers(small_b)
    sizes = {size for pointers in (pointers_a, pointers_b) for _, size in pointers.values()}
    digests_a = _digests(small_a, sizes) | {path: oid for path, (oid, _) in pointers_a.items()}
    digests_b = _digests(small_b, sizes) | {path: oid for path, (oid, _) in pointers_b.items()}
    sizes_of = {oid: size for pointers in (pointers_a, pointers_b) for oid, size in pointers.values()}
    ours, theirs = _files_by(a, digests_a), _files_by(b, digests_b)
    for oid in sorted(ours.keys() & theirs.keys() & sizes_of.keys()):
        if not {file.blob for file in ours[oid]} & {file.blob for file in theirs[oid]}:
            yield Twin(ours[oid], theirs[oid], "the same large object", sizes_of[oid])


def _by_text(
    a: Snapshot, b: Snapshot, settled: set[str], small_a: Mapping[str, bytes], small_b: Mapping[str, bytes]
) -> Iterator[Twin]:
    """Files whose bytes agree once white space is dropped, line endings with it."""
    ours, theirs = (
        _files_by(snapshot, {path: _bare(data) for path, data in small.items()}, settled)
        for snapshot, small in ((a, small_a), (b, small_b))
    )
    for digest, files in ours.items():
        if digest and digest in theirs:
            yield Twin(files, theirs[digest], "the same text but for white space", files[0].size)


def _bare(data: bytes) -> str:
    bare = data.translate(None, b" \t\r\n\f\v")
    return hashlib.blake2b(bare, digest_size=16).hexdigest() if len(bare) >= LEAST else ""


def _pointers(small: Mapping[str, bytes]) -> dict[str, tuple[str, int]]:
    found = {}
    for path, data in small.items():
        match = _POINTER.match(data) if len(data) <= _LARGEST_POINTER else None
        if match:
            found[path] = (match.group(1).decode(), int(match.group(2)))
    return found


def _digests(small: Mapping[str, bytes], sizes: set[int]) -> dict[str, str]:
    """SHA-256 of the files that have just the size of an object which the other side only points to."""
    return {path: hashlib.sha256(data).hexdigest() for path, data in small.items() if len(data) in sizes}


def _files_by(
    snapshot: Snapshot, keys: Mapping[str, str], settled: Iterable[str] = ()
) -> dict[str, tuple[File, ...]]:
    skipped = frozenset(settled)
    return _grouped(
        (keys[file.path], file) for file in snapshot.files if file.path in keys and file.blob not in skipped
    )


def _grouped(pairs: Iterable[tuple[str, File]]) -> dict[str, tuple[File, ...]]:
    groups: dict[str, list[File]] = defaultdict(list)
    for key, file in pairs:
        groups[key].append(file)
    return {key: tuple(files) for key, files in groups.items()}


def content_bits(twin: Twin, content: bytes | None) -> float:
    """Bits of one content: half a bit for each compressed byte if at hand, else 8 for each doubling of size.

    At most `MOST_BITS`; `ELSEWHERE_BITS` for what another class weighs. Content that is not at hand and of
    unknown size carries `UNREAD_BITS`.
    """
    if twin.size is None:
        bits = UNREAD_BITS
    elif content is not None and twin.how != "the same large object":
        bits = BITS_PER_BYTE * max(0, len(zlib.compress(content, 1)) - LEAST)
    else:
        bits = 8 * math.log2(max(1, twin.size / 1024))
    return min(ELSEWHERE_BITS if _ELSEWHERE.search(twin.a[0].path) else MOST_BITS, bits)


def strength(bits: float, media: bool, company: int) -> Strength:
    """The scale of docs/evidence/identical.md; `company` counts contents of `SUBSTANTIAL` bits or more."""
    if bits < 10:
        return "none"
    if media or bits < 60:
        return "weak"
    if bits < SUBSTANTIAL or company < 3:
        return "moderate"
    return "strong" if company < 8 else "very strong"


def _finding(twin: Twin, content: bytes | None, upstream: Mapping[str, str]) -> Finding | None:
    """The finding without its strength, which depends on the others; None for what everybody has."""
    ours = [file for file in twin.a if not is_common(file.path)][:_MOST_PLACES]
    theirs = [file for file in twin.b if not is_common(file.path)][:_MOST_PLACES]
    if not ours or not theirs or (twin.size is not None and twin.size < LEAST):
        return None
    bits = round(content_bits(twin, content), 1)
    known = sorted({upstream[file.blob] for file in (*ours, *theirs) if file.blob in upstream})
    pairs = zip_longest(ours, theirs)
    files: list[Json] = [
        [(one or ours[-1]).path, (other or theirs[-1]).path, ours[0].blob, twin.size, bits]
        for one, other in pairs
    ]
    unread = "" if twin.size is not None else " (the content itself is not at hand)"
    return Finding(
        kind="identical",
        title=f"{PurePosixPath(ours[0].path).name}: {twin.how} on both sides{unread}",
        strength="weak",
        bits=bits,
        a=tuple(_span(file, content) for file in ours),
        b=tuple(_span(file, content) for file in theirs),
        transformations=("reformatted",) if twin.how.endswith("white space") else ("identical",),
        explained_by=tuple(known),
        details={"files": files, "how": twin.how},
    )


def _weighed(findings: list[Finding]) -> list[Finding]:
    """The findings with their strengths, strongest first."""
    media = [all(_MEDIA.search(span.path) for span in finding.a) for finding in findings]
    company = sum(
        finding.bits >= SUBSTANTIAL and not finding.explained_by and not is_media
        for finding, is_media in zip(findings, media, strict=True)
    )
    weighed = [
        replace(finding, strength=strength(finding.bits, is_media, company))
        for finding, is_media in zip(findings, media, strict=True)
    ]
    return sorted(weighed, key=lambda finding: (-finding.bits, finding.a[0].path))


def _span(file: File, content: bytes | None) -> Span:
    is_text = content is not None and b"\0" not in content[:8192]
    return Span(file.path, end_line=max(1, content.count(b"\n")) if content is not None and is_text else 1)
