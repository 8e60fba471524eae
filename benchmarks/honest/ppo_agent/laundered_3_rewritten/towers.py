"""The network: two towers of equal shape, evaluated together as one batched product."""

import torch
from laws import View
from torch import nn


def orthogonal(rows, cols, gain):
    return nn.Parameter(nn.init.orthogonal_(torch.empty(rows, cols), gain=gain))


class Whitener(nn.Module):
    """Keeps the averages of x and x * x; the spread follows from both."""

    def __init__(self, n, cap):
        super().__init__()
        self.cap = cap
        moments = torch.stack([torch.zeros(n), torch.ones(n)]).double()
        self.register_buffer("moments", moments)
        self.register_buffer("mass", torch.full((1,), 1e-4, dtype=torch.float64))

    @torch.no_grad()
    def feed(self, x):
        x = x.double()
        sums = torch.stack([x.sum(0), x.pow(2).sum(0)])
        grown = self.mass + len(x)
        self.moments.mul_(self.mass / grown).add_(sums / grown)
        self.mass.copy_(grown)

    def forward(self, x):
        centre, power = self.moments
        z = (x - centre) * torch.rsqrt(power - centre * centre + 1e-8)
        return torch.minimum(torch.maximum(z, z.new_tensor(-self.cap)), z.new_tensor(self.cap)).float()


class Gates(nn.Module):
    """A gated memory written out: reset, update, candidate."""

    def __init__(self, n_in, n_state):
        super().__init__()
        bound = n_state**-0.5

        def uniform(*shape):
            return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))

        self.from_input, self.from_state = uniform(3 * n_state, n_in), uniform(3 * n_state, n_state)
        self.input_bias, self.state_bias = uniform(3 * n_state), uniform(3 * n_state)

    def forward(self, frames, fresh, state):
        driven = (frames @ self.from_input.T + self.input_bias).chunk(3, -1)
        trail = torch.empty_like(driven[0])
        for k in range(frames.shape[0]):
            state = torch.where(fresh[k, :, None] > 0, torch.zeros_like(state), state)
            r, z, c = (state @ self.from_state.T + self.state_bias).chunk(3, -1)
            keep = torch.sigmoid(driven[1][k] + z)
            idea = torch.tanh(driven[2][k] + torch.sigmoid(driven[0][k] + r) * c)
            state = idea + keep * (state - idea)
            trail = torch.index_copy(trail, 0, torch.tensor([k]), state[None])
        return trail, state


class Towers(nn.Module):
    """Axis 0 of every hidden tensor: 0 decides, 1 judges."""

    def __init__(self, n_obs, law, net):
        super().__init__()
        self.whiten = Whitener(n_obs, net.input_cap)
        self.gates = Gates(n_obs, net.state) if net.recurrent else None
        self.n_state = net.state * bool(net.recurrent)
        fan_in = [self.n_state or n_obs] + [net.width] * (net.layers - 1)
        self.weights = nn.ParameterList(
            nn.Parameter(torch.stack([orthogonal(net.width, n, 2**0.5).detach() for _ in range(2)]))
            for n in fan_in
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(2, net.width)) for _ in fan_in)
        self.decide, self.decide_bias = orthogonal(law.outputs, net.width, 0.01), nn.Parameter(torch.zeros(law.outputs))
        self.judge, self.judge_bias = orthogonal(1, net.width, 1.0), nn.Parameter(torch.zeros(1))
        self.log_scale = nn.Parameter(torch.full(law.event, net.log_scale)) if law.event else None

    def forward(self, obs, fresh, state):
        x = self.whiten(obs)
        if self.gates is not None:
            x, state = self.gates(x, fresh, state)
        h = x.expand(2, *x.shape)
        for w, b in zip(self.weights, self.biases):
            h = torch.tanh(torch.einsum("ktbi,koi->ktbo", h, w) + b[:, None, None, :])
        out = h[0] @ self.decide.T + self.decide_bias
        worth = torch.einsum("tbi,oi->tb", h[1], self.judge) + self.judge_bias
        return View(out, worth, state)
