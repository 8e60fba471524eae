"""The whole network, its starting weights, and its loss."""
import torch
import torch.nn as nn
import torch.nn.functional as fn

from blocks import Block

INIT_STD = 0.02


def init_module(module):
    if isinstance(module, nn.Embedding):
        module.weight.data.normal_(0.0, INIT_STD)
    elif isinstance(module, nn.Linear):
        module.bias.data.zero_()
        module.weight.data.normal_(0.0, INIT_STD)


class Quill(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes
        self.embed = nn.ModuleDict({
            "token": nn.Embedding(sizes.num_tokens, sizes.embed_dim),
            "place": nn.Embedding(sizes.max_len, sizes.embed_dim),
        })
        self.embed_drop = nn.Dropout(sizes.drop_rate)
        stack = []
        for _ in range(sizes.num_blocks):
            stack.append(Block(sizes.embed_dim, sizes.num_heads, sizes.drop_rate))
        self.body = nn.Sequential(*stack, nn.LayerNorm(sizes.embed_dim))

        self.apply(init_module)
        small = INIT_STD * (2 * sizes.num_blocks) ** -0.5
        for block in stack:
            for writer in block.residual_writers():
                writer.weight.data.normal_(0.0, small)

    def forward(self, tokens, targets=None):
        """Scores for every next token, or the mean loss when the targets are given."""
        steps = tokens.size(1)
        if steps > self.sizes.max_len:
            raise ValueError(f"{steps} tokens do not fit, the limit is {self.sizes.max_len}")
        places = torch.arange(steps, device=tokens.device)
        h = self.embed["token"](tokens) + self.embed["place"](places)
        h = self.body(self.embed_drop(h))
        scores = h @ self.embed["token"].weight.t()
        if targets is None:
            return scores
        return fn.cross_entropy(scores.reshape(-1, scores.size(-1)), targets.reshape(-1))


def make_optimizer(net, lr, decay):
    decayed, plain = [], []
    for param in net.parameters():
        if not param.requires_grad:
            continue
        if param.dim() >= 2:
            decayed.append(param)
        else:
            plain.append(param)
    groups = [dict(params=decayed, weight_decay=decay), dict(params=plain, weight_decay=0.0)]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), lr=lr)


def count_parameters(net):
    total = 0
    for param in net.parameters():
        total += param.numel()
    return total
