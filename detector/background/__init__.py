"""How common things are in public machine-learning code, and which functions anybody may know."""

from detector.background.background import Background
from detector.background.commons import Commons, Explanation
from detector.background.rarity import rarities, rarity

__all__ = ["Background", "Commons", "Explanation", "rarities", "rarity"]
