"""Every place where a side names a model it builds on, loads, tunes, merges or calls."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from detector.evidence.finding import Json
from detector.evidence.known import known
from detector.evidence.readers.tree import SUFFIXES, read_tree
from detector.evidence.readers.unreadable import Unreadable
from detector.evidence.vocabulary import decode, entries
from detector.snapshot.model import Snapshot

LARGEST = 2**19
"""bytes of a file that is looked through"""
_ID = r"[A-Za-z0-9][\w.-]{1,60}/[A-Za-z0-9][\w.-]{2,80}"
_QUOTED_ID = re.compile(rf"""["']({_ID})["']""")
_ARGUMENT = re.compile(
    r"--\w{0,40}(?:model|base|tower|backbone|encoder|llm|tokenizer|teacher)\w{0,40}[ =]+"
    rf"""["']?({_ID})(?=["'\s]|$)"""
)
_ARCHITECTURE = re.compile(
    r"transformers\.models\.(\w+)|\b([A-Z]\w{2,30}?)(?:ForCausalLM|ForConditionalGeneration|VisionModel|VisionTransformer"
    r"|PreTrainedModel|TextModel|ForMaskedLM|ForSequenceClassification)\b"
)
_IMPORTED = re.compile(
    r"^[ \t]*from[ \t]+transformers[\w.]*[ \t]+import[ \t]+(?:\([^)]{0,4000}\)|[^\n]{0,1000})", re.MULTILINE
)
_CALL = re.compile(
    r"""(?:from_pretrained|snapshot_download|hf_hub_download|SentenceTransformer|torch\.hub\.load|pipeline)"""
    r"""\(\s*[^()\n]{0,80}$"""
)
_PURPOSE = re.compile(
    r"(?:model|base|tower|backbone|encoder|llm|tokenizer|teacher|checkpoint|pretrained)\w*[\"']?"
    r"(?:[^=\n\"']{0,40}[=,]\s*(?:default\s*=\s*)?[\"']?|\s+[\"']?|\s*:\s*[\"']?)$",
    re.IGNORECASE,
)
_STATES_AN_ID = re.compile(rf"""[:=]\s{{0,9}}["']?{_ID}""")
_NAMES_A_MODEL = re.compile(
    rf"""(?:model|tower|encoder|path|pretrained|teacher|llm)\w{{0,40}}["']?\s{{0,9}}{_STATES_AN_ID.pattern}""",
    re.IGNORECASE,
)
"""cheap tests before a settings file is parsed; the first, which the second implies, is much the cheaper"""
_LOADERS = ("timm.create_model", "clip.load", "whisper.load_model", "create_model_and_transforms")
_NAMED_LOADER = re.compile(rf"""(?:{"|".join(map(re.escape, _LOADERS))})\(\s*["']([\w./-]{{3,80}})["']""")
_TUNERS = ("get_peft_model", "LoraConfig", "PeftModel", "SFTTrainer", "DPOTrainer", "FastLanguageModel")
_TUNING = re.compile(rf"\b({'|'.join(_TUNERS)})\b\s*[(.]")
_FROM = re.compile(r"^FROM\s+(\S{3,100})", re.MULTILINE)
_SETTING = re.compile(
    r"(_name_or_path|base_model(_name_or_path|_name|_id)?|model_name_or_path|model_id|pretrained\w*|teacher\w*"
    r"|(mm_)?vision_tower|text_(model|encoder)|vision_(model|encoder)|llm|model|donor_model)$",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"\.|(datasets?|models?|checkpoints?|ckpts?|outputs?|runs|results|logs|weights|assets|images?|configs?|scripts|src|tests"
    r"|docs|examples|application|text|audio|video|multipart|path|work_dirs|pretrained(_models)?|cache|tmp|home|mnt|refs"
    r"|your.?org|username|user|org|namespace|public|and|local|data)/",
    re.IGNORECASE,
)
_FILE = re.compile(
    r"\.(py|json|ya?ml|txt|md|sh|png|jpe?g|pth?|bin|ckpt|safetensors|npz?|csv|jsonl|parquet|onnx|gguf|zip|tar|gz|git"
    r"|html|pkl)$",
    re.IGNORECASE,
)


class Usage(NamedTuple):
    """`what` is how it is used; `name` the model, service or method; `place` `path:line`."""

    what: str
    name: str
    place: str


def read_usages(snapshot: Snapshot) -> tuple[Usage, ...]:
    """All usages of one side, each name once for each way of using it."""
    paths = [
        file.path
        for file in snapshot.files
        if 0 < (file.size or 0) <= min(LARGEST, snapshot.limits.file_bytes) and _wanted(file.path)
    ]
    found: dict[tuple[str, str], Usage] = {}
    for path, data in sorted(snapshot.read(paths).items()):
        for usage in _of_file(path, decode(data), data):
            found.setdefault((usage.what, usage.name.lower()), usage)
    return tuple(found.values())


def _wanted(path: str) -> bool:
    name = PurePosixPath(path).name
    return name == "Modelfile" or (
        path.endswith((".py", ".sh", *SUFFIXES)) and not name.startswith("tokenizer")
    )


def _of_file(path: str, text: str, data: bytes) -> Iterator[Usage]:
    if path.endswith(SUFFIXES):
        if _STATES_AN_ID.search(text) and _NAMES_A_MODEL.search(text):
            yield from _settings(path, data)
        return
    if path.endswith("Modelfile"):
        for match in _FROM.finditer(text):
            yield _usage("is packaged from", match.group(1), path, text, match.start())
        return
    if path.endswith(".py"):
        yield from _code(path, text)
    for match in _ARGUMENT.finditer(text):
        if is_model(match.group(1)):
            yield _usage("names as default", match.group(1), path, text, match.start(1))


def _code(path: str, text: str) -> Iterator[Usage]:
    for match in _QUOTED_ID.finditer(text):
        before = text[max(0, match.start() - 160) : match.start()]
        if is_model(match.group(1)) and not before.rpartition("\n")[2].lstrip().startswith(
            (">>>", "#", "...")
        ):
            if _CALL.search(before):
                yield _usage("loads", match.group(1), path, text, match.start())
            elif _PURPOSE.search(before):
                yield _usage("names as default", match.group(1), path, text, match.start())
    for match in _matches(_NAMED_LOADER, _LOADERS, text):
        yield _usage("loads", match.group(1), path, text, match.start(1))
    for match in _matches(_TUNING, _TUNERS, text):
        yield _usage("tunes a base with", match.group(1), path, text, match.start())
    for statement in _matches(_IMPORTED, ("transformers",), text):
        for match in _ARCHITECTURE.finditer(statement.group()):
            name = (match.group(1) or match.group(2)).lower()
            if not name.startswith("auto") and name != "pre":
                yield _usage("takes the architecture of", name, path, text, statement.start())
    yield from _services(path, text)


def _matches(pattern: re.Pattern[str], words: Iterable[str], text: str) -> Iterator[re.Match[str]]:
    """Matches of a pattern that needs one of the words: looking for plain words first is much faster."""
    return pattern.finditer(text) if any(word in text for word in words) else iter(())


def _settings(path: str, data: bytes) -> Iterator[Usage]:
    """Settings, adapters and merge recipes. Unreadable ones are named by the `config` class already."""
    try:
        tree: Json = read_tree(path, data)
    except Unreadable:
        return
    if not isinstance(tree, dict):
        return
    what = (
        "is an adapter of"
        if "peft_type" in tree
        else "merges"
        if "merge_method" in tree
        else "names in settings"
    )
    for entry in entries(tree)[:5000]:
        name = entry.value.strip('"')
        if entry.value.startswith('"') and _SETTING.fullmatch(entry.key) and is_model(name):
            yield Usage(what, name, path)


def _services(path: str, text: str) -> Iterator[Usage]:
    for service in known().services:
        for mark in (*service.modules, *service.marks):
            at = text.find(mark)
            if at >= 0 and (mark in service.marks or (at := _import_of(mark, text)) >= 0):
                yield _usage("calls the hosted model service", service.name, path, text, at)


def _import_of(module: str, text: str) -> int:
    match = re.search(rf"^[ \t]*(?:import|from)[ \t]+{re.escape(module)}(?![\w])", text, re.MULTILINE)
    return match.start() if match else -1


def _usage(what: str, name: str, path: str, text: str, offset: int) -> Usage:
    line = text.count("\n", 0, offset) + 1
    return Usage(what, name, f"{path}:{line}")


def is_model(name: str) -> bool:
    """Whether `org/name` may be a model on a hub and is not a path, a type or a rate."""
    organisation, _, model = name.partition("/")
    return (
        bool(organisation and model)
        and "/" not in model
        and not _PATH.match(name)
        and not _FILE.search(model)
        and any(letter.isalpha() for letter in model)
        and len(model) > 3
    )


def declared(names: Mapping[str, str], readme: str) -> set[str]:
    """The names of which the README names the model or its family."""
    plain = _plain(readme)
    return {
        name for name, family in names.items() if _plain(name.rpartition("/")[2]) in plain or family in plain
    }


def family(name: str) -> str:
    """The first word of a model's name, by which people call it: siglip, llama, qwen."""
    words = re.findall(r"[a-z]{3,}", name.rpartition("/")[2].lower())
    return words[0] if words else _plain(name)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())
