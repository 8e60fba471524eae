"""Settings are given as key=value words: `python learn.py corpus=a.bin rate=3e-4 resume=yes`."""
import sys
from types import SimpleNamespace

NET = {
    "symbols": 50304,
    "reach": 1024,
    "floors": 12,
    "eyes": 12,
    "girth": 768,
    "forget": 0.0,
}

LEARN = {
    "corpus": "",
    "exam": "",
    "home": "nest",
    "resume": False,
    "bundle": 12,
    "slices": 40,
    "until": 100_000,
    "rise": 1000,
    "rate": 6e-4,
    "rate_end": 6e-5,
    "shrink": 0.1,
    "leash": 1.0,
    "exam_gap": 1000,
    "exam_size": 100,
    "news_gap": 10,
    "digits": "bf16",
    "luck": 0,
    **NET,
}

SPEAK = {
    "brain": "nest/top",
    "say": "\n",
    "words": 200,
    "tries": 3,
    "warmth": 0.8,
    "choices": 100,
    "luck": -1,
}


def _convert(text, example):
    if isinstance(example, bool):
        return text.lower() in {"1", "yes", "true", "on"}
    return type(example)(text)


def read(defaults, words=None):
    chosen = dict(defaults)
    for word in sys.argv[1:] if words is None else words:
        key, sign, text = word.partition("=")
        if not sign or key not in defaults:
            sys.exit(f"cannot read {word!r}; known keys: {', '.join(sorted(defaults))}")
        chosen[key] = _convert(text, defaults[key])
    return SimpleNamespace(**chosen)
