"""python train.py tokens/train.bin --tokens-check tokens/check.bin"""
import math
from contextlib import nullcontext
from dataclasses import asdict

import torch

from quill import Quill, count_parameters, make_optimizer
from settings import NetSizes, training_options
from stream import endless_batches, open_tokens


def learning_rate(i, high, low, warm_iters, max_iters):
    if i < warm_iters:
        return high * (i + 1) / warm_iters
    if i >= max_iters:
        return low
    angle = math.pi * (i - warm_iters) / max(1, max_iters - warm_iters)
    return low + (high - low) * (math.cos(angle) + 1) / 2


class Trainer:
    def __init__(self, opts):
        self.opts = opts
        if torch.cuda.is_available():
            self.device = torch.device("cuda")
        else:
            self.device = torch.device("cpu")
        self.newest_file = opts.workdir / "newest.pt"
        self.top_file = opts.workdir / "top.pt"
        self.iteration = 0
        self.lowest = math.inf

        state = None
        sizes = NetSizes.from_namespace(opts)
        if opts.carry_on:
            state = torch.load(self.newest_file, map_location=self.device)
            sizes = NetSizes(**state["sizes"])
        self.sizes = sizes
        self.net = Quill(sizes).to(self.device)
        self.optim = make_optimizer(self.net, opts.lr_high, opts.decay)
        use_scaler = self.device.type == "cuda" and opts.math == "fp16"
        self.scaler = torch.cuda.amp.GradScaler(enabled=use_scaler)
        if state is not None:
            self.restore(state)

        self.train_batches = self.batches_of(opts.tokens_train)
        self.check_batches = None
        if opts.tokens_check:
            self.check_batches = self.batches_of(opts.tokens_check)

    def batches_of(self, path):
        tokens = open_tokens(path, self.sizes.max_len)
        return endless_batches(tokens, self.opts.rows, self.sizes.max_len, self.device)

    def parts(self):
        return {"net": self.net, "optim": self.optim, "scaler": self.scaler}

    def restore(self, state):
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.iteration = state["iteration"]
        self.lowest = state["lowest"]
        print("continuing from iteration", self.iteration)

    def store(self, path):
        state = {name: part.state_dict() for name, part in self.parts().items()}
        state["sizes"] = asdict(self.sizes)
        state["iteration"] = self.iteration
        state["lowest"] = self.lowest
        torch.save(state, path)

    def low_precision(self):
        if self.device.type == "cpu":
            return nullcontext()
        if self.opts.math == "fp16":
            return torch.autocast(device_type=self.device.type, dtype=torch.float16)
        if self.opts.math == "bf16":
            return torch.autocast(device_type=self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def loss_on(self, batches):
        inputs, targets = next(batches)
        with self.low_precision():
            return self.net(inputs, targets)

    def update(self):
        """One optimizer step over all micro batches; gives the mean loss as a tensor."""
        o = self.opts
        lr = learning_rate(self.iteration, o.lr_high, o.lr_low, o.warm_iters, o.max_iters)
        for group in self.optim.param_groups:
            group.update(lr=lr)
        self.optim.zero_grad(set_to_none=True)
        losses = []
        for _ in range(o.micro_steps):
            loss = self.loss_on(self.train_batches) / o.micro_steps
            losses.append(loss.detach())
            self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optim)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), max_norm=o.grad_limit)
        self.scaler.step(self.optim)
        self.scaler.update()
        self.iteration += 1
        return torch.stack(losses).sum()

    def check(self):
        if self.check_batches is None:
            return
        self.net.eval()
        with torch.no_grad():
            losses = [self.loss_on(self.check_batches).item() for _ in range(self.opts.check_rows)]
        self.net.train()
        mean = sum(losses) / len(losses)
        print(f"[{self.iteration}] check loss {mean:.4f}")
        if mean >= self.lowest:
            return
        self.lowest = mean
        self.store(self.top_file)

    def run(self):
        print(f"{self.device}: {count_parameters(self.net) / 1e6:.1f}M parameters")
        while self.iteration < self.opts.max_iters:
            loss = self.update()
            if not self.iteration % self.opts.print_interval:
                print(f"[{self.iteration}] train loss {loss.item():.4f}")
            at_end = self.iteration == self.opts.max_iters
            if at_end or not self.iteration % self.opts.check_interval:
                self.check()
                self.store(self.newest_file)


if __name__ == "__main__":
    options = training_options()
    torch.manual_seed(options.random_seed)
    torch.set_float32_matmul_precision("high")
    options.workdir.mkdir(exist_ok=True, parents=True)
    Trainer(options).run()
