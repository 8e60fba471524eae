"""Answer one instruction: python tide_sample.py base.npz adapter.npz "Say hello" """
import sys

import jax
import jax.numpy as jnp

from tide_adapter import fold_in, read_adapter, read_tree
from tide_data import ByteVocab, render_prompt
from tide_net import TideConfig, TideNet


def choose(key, logits, history, temperature, nucleus, repeat_penalty):
    """Penalise repeats, divide by the temperature, sample the nucleus; logits are (1, tokens)."""
    used = jnp.take_along_axis(logits, history, axis=1)
    used = jnp.where(used > 0, used / repeat_penalty, used * repeat_penalty)
    logits = logits.at[jnp.arange(logits.shape[0])[:, None], history].set(used)
    if temperature <= 0:
        return logits.argmax(-1, keepdims=True)
    probs = jax.nn.softmax(logits / temperature, axis=-1)
    order = jnp.argsort(-probs, axis=-1)
    probs = jnp.take_along_axis(probs, order, axis=1)
    excluded = jnp.cumsum(probs, axis=-1) - probs >= nucleus
    excluded = excluded.at[:, 0].set(False)
    log_probs = jnp.where(excluded, -jnp.inf, jnp.log(probs))
    drawn = jax.random.categorical(key, log_probs, axis=-1)[:, None]
    return jnp.take_along_axis(order, drawn, axis=1)


def continue_prompt(net, variables, tokens, key, max_new=200, temperature=0.8, nucleus=0.95,
                    repeat_penalty=1.1, stop_token=None):
    """Extend a prompt of shape (1, time); only the new tokens are returned."""
    cache, history, feed, out = None, tokens, tokens, []
    for _ in range(min(max_new, net.cfg.max_positions - tokens.shape[1])):
        logits, cache = net.apply(variables, feed, cache=cache)
        key, subkey = jax.random.split(key)
        feed = choose(subkey, logits[:, -1].astype(jnp.float32), history, temperature, nucleus,
                      repeat_penalty)
        if feed.item() == stop_token:
            break
        out.append(feed.item())
        history = jnp.concatenate([history, feed], axis=1)
    return out


if __name__ == "__main__":
    base, adapter_path, task = sys.argv[1:4]
    vocab = ByteVocab()
    net = TideNet(TideConfig(num_tokens=vocab.num_tokens))
    params, _ = read_tree(base)
    net, adapter = read_adapter(net, adapter_path)
    net, params = fold_in(net, params, adapter)
    prompt = jnp.array([[vocab.start_token] + vocab.to_tokens(render_prompt(task))])
    print(vocab.to_text(continue_prompt(net, {"params": params}, prompt, jax.random.PRNGKey(0),
                                        stop_token=vocab.stop_token)))
