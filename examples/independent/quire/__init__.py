from quire.settings import Settings
from quire.vlm import QuireVLM

__all__ = ["QuireVLM", "Settings"]
