"""Two models' answers to the same questions: read from JSONL, and measured against chance."""
