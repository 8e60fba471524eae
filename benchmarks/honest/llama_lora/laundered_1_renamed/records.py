# Reads question/answer records and turns them into training rows in which
# only the answer is scored.

import json

import torch
from torch.utils.data import Dataset

SKIP = -100


class Utf8Codec:
    # Each byte is one token, shifted behind three reserved numbers.

    filler, opener, closer, n_tokens = 0, 1, 2, 259

    def to_tokens(self, string):
        return [
            value + 3
            for value in string.encode("utf-8")
        ]

    def to_string(self, tokens):
        return bytes(
            value - 3
            for value in tokens
            if value >= 3
        ).decode("utf-8", errors="replace")


def format_question(task, context=""):
    between = (
        f"### Input:\n{context}\n\n"
        if context
        else ""
    )
    return f"### Instruction:\n{task}\n\n{between}### Response:\n"


class RecordSet(Dataset):

    def __init__(self, filename, codec, limit=512):
        with open(filename, encoding="utf-8") as handle:
            records = [
                json.loads(text)
                for text in handle
                if text.strip()
            ]
        self.pairs = []
        for record in records:
            question = format_question(
                record["instruction"],
                record.get("input", ""),
            )
            lead = [codec.opener] + codec.to_tokens(question)
            answer = codec.to_tokens(record["output"]) + [codec.closer]
            # rows whose question fills the whole limit teach nothing
            if len(lead) < limit:
                goals = [SKIP] * len(lead) + answer
                self.pairs.append(
                    (
                        (lead + answer)[:limit],
                        goals[:limit],
                    )
                )

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, number):
        return self.pairs[number]


def batch_builder(filler, step=8):

    def build(pairs):
        columns = -(-max(len(tokens) for tokens, _ in pairs) // step) * step
        tokens = torch.full((len(pairs), columns), filler)
        goals = torch.full((len(pairs), columns), SKIP)
        valid = torch.zeros(len(pairs), columns, dtype=torch.bool)
        for line, (source, goal) in enumerate(pairs):
            tokens[line, :len(source)] = torch.tensor(source)
            goals[line, :len(goal)] = torch.tensor(goal)
            valid[line, :len(source)] = True
        return tokens, goals, valid

    return build
