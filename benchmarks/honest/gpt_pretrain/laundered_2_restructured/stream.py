"""Batches without end from a token file."""
import numpy
import torch


def open_tokens(path, max_len):
    tokens = numpy.memmap(path, mode="r", dtype="uint16")
    if tokens.shape[0] > max_len:
        return tokens
    raise ValueError(f"{path}: {tokens.shape[0]} tokens are not enough")


def endless_batches(tokens, rows, max_len, device):
    span = numpy.arange(max_len + 1)
    while True:
        begin = torch.randint(0, tokens.shape[0] - max_len, (rows, 1)).numpy()
        picked = tokens[begin + span].astype("int64")
        inputs = torch.as_tensor(picked[:, :-1]).to(device)
        targets = torch.as_tensor(picked[:, 1:]).to(device)
        yield inputs, targets
