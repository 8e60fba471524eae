"""Write text with a trained decoder: python run_sampling.py ckpt/decoder/lowest.msgpack --text "Long ago" """
import argparse
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import tiktoken
from flax import serialization

from decoder import Decoder, DecoderSpec


def generate(net, params, idx, n_new, key, temp=1.0, k=None):
    apply = jax.jit(lambda variables, window: net.apply(variables, window))
    for _ in range(n_new):
        logits = apply({"params": params}, idx[:, -net.spec.n_ctx :])[:, -1].astype(jnp.float32)
        if temp == 0:
            nxt = jnp.argmax(logits, axis=-1, keepdims=True)
        else:
            logits = logits / temp
            if k:
                kth = jax.lax.top_k(logits, min(k, logits.shape[-1]))[0][:, -1:]
                logits = jnp.where(logits < kth, -jnp.inf, logits)
            key, draw_key = jax.random.split(key)
            nxt = jax.random.categorical(draw_key, logits, axis=-1)[:, None]
        idx = jnp.concatenate([idx, nxt], axis=1)
    return idx


def run():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("ckpt")
    ap.add_argument("--text", default="\n")
    ap.add_argument("--n-new", type=int, default=200)
    ap.add_argument("--n-samples", type=int, default=3)
    ap.add_argument("--temp", type=float, default=0.8)
    ap.add_argument("--k", type=int, default=100)
    ap.add_argument("--prng", type=int)
    opt = ap.parse_args()
    key = jax.random.PRNGKey(opt.prng if opt.prng is not None else time.time_ns() % 2**31)

    restored = serialization.msgpack_restore(Path(opt.ckpt).read_bytes())
    net = Decoder(DecoderSpec(**restored["spec"]))
    params = jax.tree_util.tree_map(jnp.asarray, restored["params"])

    bpe = tiktoken.get_encoding("gpt2")
    start = jnp.tile(jnp.asarray([bpe.encode(opt.text)], dtype=jnp.int32), (opt.n_samples, 1))
    for out in generate(net, params, start, opt.n_new, key, opt.temp, opt.k).tolist():
        # Ids beyond the BPE table exist only because n_vocab was rounded up.
        print(bpe.decode([i for i in out if i < bpe.n_vocab]))
        print("-" * 40)


if __name__ == "__main__":
    run()
