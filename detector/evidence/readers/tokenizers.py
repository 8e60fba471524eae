"""The tokenizers of a repository: for each folder, what its tokenizer files say together, as data."""

from __future__ import annotations

import base64
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from detector.evidence.finding import Json
from detector.evidence.readers.sentencepiece import CONTROL, USER_DEFINED, read_pieces
from detector.evidence.readers.tree import read_tree
from detector.evidence.readers.unreadable import Unreadable
from detector.evidence.vocabulary import decode
from detector.snapshot.model import File, Notice, Snapshot

LARGEST = 8
"""times `Limits.file_bytes`: vocabularies are long lists but plain ones"""
MOST_FOLDERS = 32
_ROLE = re.compile(
    r"(^|/)(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|encoder)\.json$|(^|/)(merges|vocab)\.txt$"
    r"|(^|/)(tokenizer|spiece|sentencepiece(\.bpe)?|source|target|[^/]*(spm|bpe|unigram|tokenizer)[^/]*)\.model$"
    r"|\.tiktoken$|(^|/)chat_template\.(jinja|json)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """What the tokenizer files of one folder hold.

    `vocabulary` and `added` give ids by token; `added` are the tokens added on top or declared special.
    `merges` are in order of rank. `trees` are the JSON files other than the vocabulary itself, by name.
    `blobs` are all the files, those included that are not at hand.
    """

    folder: str
    blobs: Mapping[str, File]
    vocabulary: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int | None] = field(default_factory=dict)
    merges: tuple[str, ...] = ()
    template: str = ""
    trees: Mapping[str, Json] = field(default_factory=dict)


def read_tokenizers(snapshot: Snapshot, side: str) -> tuple[tuple[Tokenizer, ...], tuple[Notice, ...]]:
    """Tokenizers by folder. Files too large or unreadable are notices; their blob ids still count."""
    folders: dict[str, dict[str, File]] = defaultdict(dict)
    for file in snapshot.files:
        if _ROLE.search(file.path):
            path = PurePosixPath(file.path)
            folders[str(path.parent)][path.name] = file
    notices: list[Notice] = []
    if len(folders) > MOST_FOLDERS:
        message = f"has {len(folders)} folders with tokenizers; the first {MOST_FOLDERS} were read"
        notices.append(Notice(message, snapshot.source, side))
    chosen = sorted(folders)[:MOST_FOLDERS]
    largest = LARGEST * snapshot.limits.file_bytes
    readable = [
        file.path
        for folder in chosen
        for file in folders[folder].values()
        if file.size is not None and file.size <= largest
    ]
    contents = snapshot.read(readable)
    for folder in chosen:
        for file in folders[folder].values():
            if file.size is not None and file.size > largest:
                notices.append(
                    Notice(f"is over {largest:,} bytes; only its identity was compared", file.path, side)
                )
    return tuple(_tokenizer(folder, folders[folder], contents, notices, side) for folder in chosen), tuple(
        notices
    )


def _tokenizer(
    folder: str, files: Mapping[str, File], contents: Mapping[str, bytes], notices: list[Notice], side: str
) -> Tokenizer:
    parts = _Parts()
    for name, file in files.items():
        if file.path in contents:
            try:
                parts.take(name.lower(), contents[file.path])
            except Unreadable as error:
                notices.append(Notice(str(error), file.path, side))
    return Tokenizer(folder, files, parts.vocabulary, parts.added, parts.merges, parts.template, parts.trees)


@dataclass(slots=True)
class _Parts:
    """Gathers what the files say; every value is checked, since a stranger wrote them."""

    vocabulary: dict[str, int] = field(default_factory=dict)
    added: dict[str, int | None] = field(default_factory=dict)
    merges: tuple[str, ...] = ()
    template: str = ""
    trees: dict[str, Json] = field(default_factory=dict)

    def take(self, name: str, data: bytes) -> None:
        if name.endswith(".model"):
            self._pieces(data)
        elif name.endswith(".tiktoken"):
            self._ranks(data)
        elif name == "chat_template.jinja":
            self.template = _text(data)
        elif name == "merges.txt":
            self.merges = tuple(
                line for line in _text(data).splitlines() if line and not line.startswith("#version")
            )
        elif name == "vocab.txt":
            self.vocabulary = {token: number for number, token in enumerate(_text(data).splitlines())}
        else:
            tree = read_tree(name, data)
            if not isinstance(tree, dict):
                raise Unreadable("is not a JSON object, as tokenizer files are")
            self._tree(name, tree)

    def _pieces(self, data: bytes) -> None:
        pieces = read_pieces(data)
        self.vocabulary = self.vocabulary or {piece.text: number for number, piece in enumerate(pieces)}
        for number, piece in enumerate(pieces):
            if piece.kind in (CONTROL, USER_DEFINED):
                self.added.setdefault(piece.text, number)

    def _ranks(self, data: bytes) -> None:
        ranks = {}
        lines = data.splitlines()
        for line in lines:
            token, _, rank = line.partition(b" ")
            try:
                ranks[base64.b64decode(token).decode("latin-1")] = int(rank)
            except ValueError:
                continue
        if len(ranks) < 0.9 * len(lines) or not ranks:
            raise Unreadable("is not a table of base64 tokens and ranks")
        self.vocabulary = self.vocabulary or ranks

    def _tree(self, name: str, tree: dict[str, Json]) -> None:
        if name in ("vocab.json", "encoder.json"):
            self.vocabulary = self.vocabulary or _ids(tree)
        elif name == "added_tokens.json":
            self.added.update(_ids(tree))
        elif name == "tokenizer.json":
            self._fast(tree)
        elif name == "special_tokens_map.json":
            for value in tree.values():
                self._declare(value)
        else:
            self._configuration(tree)
        if name not in ("tokenizer.json", "vocab.json", "encoder.json"):
            self.trees[name] = tree

    def _fast(self, tree: dict[str, Json]) -> None:
        """`tokenizer.json` of the tokenizers library."""
        model = tree.get("model")
        if isinstance(model, dict):
            vocabulary, merges = model.get("vocab"), model.get("merges")
            if isinstance(vocabulary, dict):
                self.vocabulary = _ids(vocabulary)
            elif isinstance(vocabulary, list):
                self.vocabulary = {
                    item[0]: number
                    for number, item in enumerate(vocabulary)
                    if isinstance(item, list) and item and isinstance(item[0], str)
                }
            if isinstance(merges, list):
                self.merges = tuple(_merge(item) for item in merges)
        added = tree.get("added_tokens")
        for item in added if isinstance(added, list) else ():
            if isinstance(item, dict):
                self._declare(item.get("content"), item.get("id"))

    def _configuration(self, tree: dict[str, Json]) -> None:
        """`tokenizer_config.json`, or the JSON form of a chat template."""
        decoder = tree.get("added_tokens_decoder")
        for number, item in decoder.items() if isinstance(decoder, dict) else ():
            if isinstance(item, dict):
                self._declare(
                    item.get("content"), int(number) if number.isdecimal() and len(number) < 10 else None
                )
        for key, value in tree.items():
            if key.endswith("_token") or key == "additional_special_tokens":
                self._declare(value)
        template = tree.get("chat_template")
        if isinstance(template, str):
            self.template = self.template or template

    def _declare(self, value: Json, number: Json = None) -> None:
        for item in value if isinstance(value, list) else [value]:
            token = item.get("content") if isinstance(item, dict) else item
            if isinstance(token, str) and token and (number is not None or token not in self.added):
                self.added[token] = number if isinstance(number, int) else self.vocabulary.get(token)


def _ids(tree: dict[str, Json]) -> dict[str, int]:
    return {token: number for token, number in tree.items() if isinstance(number, int)}


def _merge(item: Json) -> str:
    """Merges are written "a b" or ["a", "b"]."""
    return " ".join(map(str, item)) if isinstance(item, list) else str(item)


def _text(data: bytes) -> str:
    if b"\0" in data[:4096]:
        raise Unreadable("is not text")
    return decode(data)
