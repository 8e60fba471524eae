"""From a JSON-lines file to padded batches in which only the answers count."""
import json
from functools import partial

import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

UNSCORED = -100
SHIFT = 3


class ByteCodec:
    pad = 0
    begin = 1
    end = 2
    size = 256 + SHIFT

    @staticmethod
    def text_to_ids(text):
        return list(map(SHIFT.__add__, bytes(text, "utf-8")))

    @staticmethod
    def ids_to_text(ids):
        raw = bytearray()
        for token in ids:
            if token < SHIFT:
                continue
            raw.append(token - SHIFT)
        return str(raw, "utf-8", "replace")

    def question(self, task, material=""):
        """Token ids of the prompt, opened by the begin token."""
        parts = ["### Instruction:\n", task, "\n\n"]
        if material:
            parts += ["### Input:\n", material, "\n\n"]
        parts.append("### Response:\n")
        return [self.begin, *self.text_to_ids("".join(parts))]

    def reply(self, text):
        return [*self.text_to_ids(text), self.end]


def read_lines(filename):
    with open(filename, encoding="utf-8") as stream:
        for line in stream:
            line = line.strip()
            if line:
                yield json.loads(line)


def to_sample(record, codec, crop):
    question = codec.question(record["instruction"], record.get("input", ""))
    if len(question) >= crop:
        return None  # the answer would be cropped away
    reply = codec.reply(record["output"])[:crop - len(question)]
    return question + reply, [UNSCORED] * len(question) + reply


def load_samples(filename, codec, crop=512):
    candidates = (to_sample(record, codec, crop) for record in read_lines(filename))
    return [sample for sample in candidates if sample is not None]


def stack(samples, pad, multiple=8):
    tokens, targets = zip(*samples)
    lengths = torch.tensor([len(t) for t in tokens])
    longest = int(lengths.max())
    width = longest + (-longest) % multiple
    columns = torch.arange(width)
    keep = columns[None, :] < lengths[:, None]
    return {
        "keep": keep,
        "tokens": _pad(tokens, pad, width),
        "targets": _pad(targets, UNSCORED, width),
    }


def _pad(rows, fill, width):
    block = pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=fill)
    return torch.nn.functional.pad(block, (0, width - block.shape[1]), value=fill)


def make_loader(filename, codec, crop, micro_batch):
    return DataLoader(load_samples(filename, codec, crop), batch_size=micro_batch, shuffle=True,
                      collate_fn=partial(stack, pad=codec.pad))
