"""Instruction data: JSON lines -> prompt template -> padded batches."""
import json

import numpy as np

IGNORE = -100


def build_prompt(instruction, context=""):
    parts = ["### Instruction:\n" + instruction.strip()]
    if context.strip():
        parts.append("### Input:\n" + context.strip())
    return "\n\n".join(parts) + "\n\n### Response:\n"


class InstructionSet:
    """Each line has `instruction`, `output` and optionally `input`."""

    def __init__(self, path, tokenizer, max_len=512):
        self.examples = []
        with open(path, encoding="utf-8") as lines:
            for line in filter(str.strip, lines):
                row = json.loads(line)
                prompt = tokenizer.encode(build_prompt(row["instruction"], row.get("input", "")))
                answer = tokenizer.encode(row["output"].strip(), add_special_tokens=False)
                answer.append(tokenizer.eos_token_id)
                if len(prompt) < max_len:  # otherwise nothing is left to learn from
                    tokens = (prompt + answer)[:max_len]
                    labels = ([IGNORE] * len(prompt) + answer)[:max_len]
                    self.examples.append((tokens, labels))

    def __len__(self):
        return len(self.examples)


def collate(examples, pad_id, multiple=64):
    """Right-pad to a multiple of `multiple`, so that few shapes are ever compiled."""
    longest = max(len(tokens) for tokens, _ in examples)
    shape = (len(examples), -(-longest // multiple) * multiple)
    batch = {
        "tokens": np.full(shape, pad_id, np.int32),
        "labels": np.full(shape, IGNORE, np.int32),
        "mask": np.zeros(shape, np.int32),
    }
    for i, (tokens, labels) in enumerate(examples):
        batch["tokens"][i, :len(tokens)] = tokens
        batch["labels"][i, :len(labels)] = labels
        batch["mask"][i, :len(tokens)] = 1
    return batch


def epoch(dataset, batch_size, pad_id, rng):
    order = rng.permutation(len(dataset))
    for start in range(0, len(order) - batch_size + 1, batch_size):
        yield collate([dataset.examples[i] for i in order[start:start + batch_size]], pad_id)
