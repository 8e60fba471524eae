"""Learner as pure functions over a state: dynamics, pilot and critic, and the acting step."""
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct

from flax_parts import (DenseTower, Pilot, RecurrentCore, ScreenCoder, ScreenPrinter, as_vector,
                        empty_latent, two_way_kl)


def scale_screen(screens):
    return screens.astype(jnp.float32) / 255.0 - 0.5


def trace_targets(payoff, fade, worth, mix):
    """Arguments (depth, rows), each about the latent reached by the control of that row."""
    def back(later, now):
        p, f, w = now
        later = p + f * ((1 - mix) * w + mix * later)
        return later, later

    _, targets = jax.lax.scan(back, worth[-1], (payoff, fade, worth), reverse=True)
    return targets


class Dynamics(nn.Module):
    control_size: int

    def setup(self):
        self.coder = ScreenCoder()
        self.core = RecurrentCore()
        self.printer = ScreenPrinter()
        self.payoff_head = DenseTower(1)
        self.going_head = DenseTower(1)

    def __call__(self, screen, key):
        """Only there to create every parameter."""
        rows = screen.shape[0]
        latent, _ = self.correct(empty_latent(rows), jnp.zeros((rows, self.control_size)),
                                 self.encode(screen), jnp.ones(rows), key)
        vector = as_vector(latent)
        return self.paint(vector), self.payoff(vector), self.going(vector)

    def encode(self, screen):
        return self.coder(screen)

    def correct(self, latent, control, code, fresh, key):
        return self.core.correct(latent, control, code, fresh, key)

    def predict(self, latent, control, key):
        return self.core.predict(latent, control, key)

    def paint(self, vector):
        return self.printer(vector)

    def payoff(self, vector):
        return self.payoff_head(vector).squeeze(-1)

    def going(self, vector):
        """Logit that the task goes on."""
        return self.going_head(vector).squeeze(-1)


@struct.dataclass
class WalkerState:
    weights: Any      # {"dynamics", "pilot", "critic"}
    slow_critic: Any
    moments: Any      # optimizer states under the same names


class Walker:
    def __init__(self, control_size, depth=15, decay=0.99, mix=0.95, entropy_bonus=1e-3,
                 slow_rate=0.02, grad_limit=100.0):
        self.control_size, self.depth = control_size, depth
        self.decay, self.mix = decay, mix
        self.entropy_bonus, self.slow_rate = entropy_bonus, slow_rate
        self.dynamics = Dynamics(control_size)
        self.pilot = Pilot(control_size)
        self.critic = DenseTower(1, n_hidden=3)
        self.solvers = {
            part: optax.chain(optax.clip_by_global_norm(grad_limit), optax.adam(rate, eps=1e-5))
            for part, rate in (("dynamics", 6e-4), ("pilot", 8e-5), ("critic", 8e-5))
        }

    def create(self, key):
        keys = jax.random.split(key, 5)
        vector = as_vector(empty_latent(1))
        weights = {
            "dynamics": self.dynamics.init(keys[0], jnp.zeros((1, 64, 64, 3)), keys[1]),
            "pilot": self.pilot.init(keys[2], vector, keys[3]),
            "critic": self.critic.init(keys[4], vector),
        }
        moments = {part: solver.init(weights[part]) for part, solver in self.solvers.items()}
        return WalkerState(weights, weights["critic"], moments)

    def _ask(self, weights, method, *args):
        return self.dynamics.apply(weights, *args, method=method)

    def _worth(self, weights, vector):
        return self.critic.apply(weights, vector).squeeze(-1)

    def dynamics_cost(self, weights, drawn, key):
        """`drawn` has time in front. Cost, then (informed latents, numbers to report)."""
        screen = scale_screen(drawn["screen"])
        codes = self._ask(weights, "encode", screen)
        seq_len, n_seq = screen.shape[:2]

        def forward(latent, inputs):
            control, code, fresh, step_key = inputs
            informed, blind = self._ask(weights, "correct", latent, control, code, fresh, step_key)
            return informed, (informed, blind)

        inputs = (drawn["control"], codes, drawn["fresh"], jax.random.split(key, seq_len))
        _, (informed, blind) = jax.lax.scan(forward, empty_latent(n_seq), inputs)
        vector = as_vector(informed)
        screen_cost = 0.5 * jnp.square(
            self._ask(weights, "paint", vector) - screen).sum(axis=(-3, -2, -1)).mean()
        payoff_cost = 0.5 * jnp.square(self._ask(weights, "payoff", vector) - drawn["payoff"]).mean()
        going_cost = optax.sigmoid_binary_cross_entropy(
            self._ask(weights, "going", vector), drawn["going"]).mean()
        kl_cost, kl = two_way_kl(informed, blind)
        report = {"screen": screen_cost, "payoff": payoff_cost, "going": going_cost, "kl": kl}
        return screen_cost + payoff_cost + going_cost + kl_cost, (informed, report)

    def wander(self, dynamics, pilot, latent, key):
        """Vectors of depth + 1 latents and log-densities of the controls in between."""
        def forward(latent, step_key):
            pilot_key, core_key = jax.random.split(step_key)
            vector = jax.lax.stop_gradient(as_vector(latent))
            control, log_density = self.pilot.apply(pilot, vector, pilot_key)
            latent = self._ask(dynamics, "predict", latent, control, core_key)
            return latent, (as_vector(latent), log_density)

        _, (vectors, log_densities) = jax.lax.scan(forward, latent, jax.random.split(key, self.depth))
        return jnp.concatenate([as_vector(latent)[None], vectors]), log_densities

    def pilot_cost(self, pilot, dynamics, slow_critic, latent, key):
        vectors, log_densities = self.wander(dynamics, pilot, latent, key)
        payoff = self._ask(dynamics, "payoff", vectors[1:])
        going = nn.sigmoid(self._ask(dynamics, "going", vectors))
        fade = self.decay * going[1:]
        targets = trace_targets(payoff, fade, self._worth(slow_critic, vectors[1:]), self.mix)
        # chance that the walk has not ended by then
        presence = jax.lax.stop_gradient(
            jnp.cumprod(jnp.concatenate([going[:1], fade[:-1]]), axis=0))
        cost = -(presence * (targets - self.entropy_bonus * log_densities)).mean()
        return cost, (vectors[:-1], targets, presence, -log_densities.mean())

    def critic_cost(self, critic, vectors, targets, presence):
        return 0.5 * (presence * jnp.square(self._worth(critic, vectors) - targets)).mean()

    def _descend(self, part, state, grads):
        change, moment = self.solvers[part].update(grads, state.moments[part], state.weights[part])
        return state.replace(
            weights={**state.weights, part: optax.apply_updates(state.weights[part], change)},
            moments={**state.moments, part: moment})

    @partial(jax.jit, static_argnums=0)
    def learn(self, state, drawn, key):
        """One step for each of the three parts; returns the new state and a report."""
        model_key, walk_key = jax.random.split(key)
        (_, (informed, report)), grads = jax.value_and_grad(self.dynamics_cost, has_aux=True)(
            state.weights["dynamics"], drawn, model_key)
        state = self._descend("dynamics", state, grads)

        roots = jax.tree_util.tree_map(lambda x: x.reshape((-1,) + x.shape[2:]), informed)
        (pilot_cost, (vectors, targets, presence, entropy)), grads = jax.value_and_grad(
            self.pilot_cost, has_aux=True)(
            state.weights["pilot"], state.weights["dynamics"], state.slow_critic, roots, walk_key)
        state = self._descend("pilot", state, grads)

        critic_cost, grads = jax.value_and_grad(self.critic_cost)(
            state.weights["critic"], vectors, targets, presence)
        state = self._descend("critic", state, grads)
        state = state.replace(slow_critic=optax.incremental_update(
            state.weights["critic"], state.slow_critic, self.slow_rate))
        return state, {**report, "pilot": pilot_cost, "critic": critic_cost, "entropy": entropy}

    def no_memory(self):
        """What to hand to `choose` when a task begins."""
        return empty_latent(1), jnp.zeros((1, self.control_size)), jnp.ones(1)

    @partial(jax.jit, static_argnums=0, static_argnames="mode_only")
    def choose(self, weights, screen, memory, key, shake=0.0, mode_only=False):
        """Control for one screen, and the memory for the next call."""
        core_key, pilot_key, shake_key = jax.random.split(key, 3)
        latent, control, fresh = memory
        code = self._ask(weights["dynamics"], "encode", scale_screen(screen[None]))
        latent, _ = self._ask(weights["dynamics"], "correct", latent, control, code, fresh, core_key)
        control, _ = self.pilot.apply(weights["pilot"], as_vector(latent), pilot_key, mode_only)
        control = jnp.clip(control + shake * jax.random.normal(shake_key, control.shape), -1, 1)
        return control[0], (latent, control, jnp.zeros(1))
