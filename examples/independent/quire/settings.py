from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class EyeSettings:
    """Keyword arguments of transformers.Dinov2Config that we change."""

    hidden_size: int = 384
    num_hidden_layers: int = 12
    num_attention_heads: int = 6
    image_size: int = 518
    patch_size: int = 14


@dataclass(frozen=True)
class MouthSettings:
    """Keyword arguments of transformers.Qwen2Config that we change."""

    vocab_size: int = 1536
    hidden_size: int = 640
    intermediate_size: int = 1920
    num_hidden_layers: int = 18
    num_attention_heads: int = 10
    num_key_value_heads: int = 2
    max_position_embeddings: int = 4096
    rope_theta: float = 10000.0
    tie_word_embeddings: bool = True


@dataclass(frozen=True)
class Settings:
    eye: EyeSettings = EyeSettings()
    mouth: MouthSettings = MouthSettings()
    cell: int = 280  # pixels; 20 x 20 patches, 10 x 10 after folding
    max_cells: int = 12
    fold: int = 2
    pooled_tokens: int = 50
    pooler_layers: int = 2
    pooler_dim: int = 512
    dropout: float = 0.05
    image_token: str = "<image>"

    def __post_init__(self) -> None:
        if self.cell % (self.eye.patch_size * self.fold):
            raise ValueError("cell must be a multiple of patch_size * fold")

    @property
    def side(self) -> int:
        """Patches along one side of a cell, after folding."""
        return self.cell // self.eye.patch_size // self.fold

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self), indent=4) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Settings:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        raw["eye"] = EyeSettings(**raw["eye"])
        raw["mouth"] = MouthSettings(**raw["mouth"])
        return cls(**raw)
