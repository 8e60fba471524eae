"""Fine-tune (`run.py train`) or sample from (`run.py chat`) a Llama-style checkpoint."""
import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from safetensors.flax import load_file
from transformers import AutoTokenizer

import lora
from decoder import Decoder, DecoderConfig, empty_cache
from instruct import IGNORE, InstructionSet, build_prompt, epoch


def load_base(folder, dtype, rngs):
    """Read a Hugging Face style folder (config.json and *.safetensors)."""
    raw = json.loads((Path(folder) / "config.json").read_text())
    cfg = DecoderConfig(
        raw["vocab_size"], raw["hidden_size"], raw["intermediate_size"],
        raw["num_hidden_layers"], raw["num_attention_heads"],
        raw.get("num_key_value_heads", raw["num_attention_heads"]),
        raw["max_position_embeddings"], raw.get("rope_theta", 10000.0), raw["rms_norm_eps"])
    weights = {}
    for shard in sorted(Path(folder).glob("*.safetensors")):
        weights.update(load_file(shard))
    model = Decoder(cfg, rngs, dtype)

    def get(name):
        return weights.pop(name).astype(jnp.float32)

    model.embed.embedding.value = get("model.embed_tokens.weight")
    model.norm.scale.value = get("model.norm.weight")
    tied = "lm_head.weight" not in weights
    model.lm_head.kernel.value = (
        model.embed.embedding.value if tied else get("lm_head.weight")).T
    for i in range(cfg.layers):
        block, prefix = getattr(model, f"block_{i}"), f"model.layers.{i}."
        block.attn_norm.scale.value = get(prefix + "input_layernorm.weight")
        block.mlp_norm.scale.value = get(prefix + "post_attention_layernorm.weight")
        for part, theirs, names in ((block.attn, "self_attn", "qkvo"),
                                    (block.mlp, "mlp", ("gate", "up", "down"))):
            for n in names:
                getattr(part, f"{n}_proj").kernel.value = get(f"{prefix}{theirs}.{n}_proj.weight").T
    return model


def train(args, tokenizer, model, rngs):
    settings = dict(targets=args.targets, rank=args.rank, alpha=args.alpha)
    print(f"adapted {lora.inject(model, **settings, rngs=rngs)} layers")
    data = InstructionSet(args.data, tokenizer, args.max_len)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    updates = max(1, args.epochs * (len(data) // args.batch) // args.accumulate)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, args.lr, int(args.warmup * updates), updates, end_value=0.1 * args.lr)
    tx = optax.MultiSteps(
        optax.chain(optax.clip_by_global_norm(args.clip),
                    optax.adamw(schedule, weight_decay=args.weight_decay)),
        every_k_schedule=args.accumulate)

    # Only the adapters are differentiated; they stay in float32 while the model computes
    # in its own (bfloat16) dtype, which needs no loss scaling.
    graph, adapters, frozen = nnx.split(model, lora.Adapter, ...)
    opt_state = tx.init(adapters)

    def loss_fn(adapters, frozen, batch):
        logits, _ = nnx.merge(graph, adapters, frozen)(batch["tokens"], batch["mask"])
        labels = batch["labels"][:, 1:]
        valid = labels != IGNORE
        losses = optax.softmax_cross_entropy_with_integer_labels(
            logits[:, :-1], jnp.where(valid, labels, 0))
        return jnp.sum(losses * valid) / jnp.maximum(valid.sum(), 1)

    @jax.jit
    def step_fn(adapters, opt_state, frozen, batch):
        loss, grads = jax.value_and_grad(loss_fn)(adapters, frozen, batch)
        delta, opt_state = tx.update(grads, opt_state, adapters)
        return optax.apply_updates(adapters, delta), opt_state, loss

    rng, recent, step = np.random.default_rng(args.seed), [], 0
    for number in range(args.epochs):
        for batch in epoch(data, args.batch, pad_id, rng):
            adapters, opt_state, loss = step_fn(adapters, opt_state, frozen, batch)
            recent.append(loss)
            step += 1
            if step % (args.log_every * args.accumulate) == 0:
                update = step // args.accumulate
                print(f"epoch {number}  update {update}/{updates}  "
                      f"loss {np.mean(recent):.4f}  lr {schedule(update):.2e}")
                recent = []
        nnx.update(model, adapters)
        lora.save_adapter(model, args.adapter, **settings)


@nnx.jit
def forward(model, tokens, cache, offset):
    logits, cache = model(tokens, cache=cache, offset=offset)
    return logits[0, -1], cache


@jax.jit
def pick(key, logits, seen, temperature, top_p, penalty):
    logits = jnp.where(seen, jnp.where(logits > 0, logits / penalty, logits * penalty), logits)
    order = jnp.argsort(-logits)
    ranked = logits[order] / jnp.maximum(temperature, 1e-4)
    probs = jax.nn.softmax(ranked)
    outside = jnp.cumsum(probs) - probs >= top_p  # the most likely token always survives
    outside = outside.at[0].set(False)
    drawn = jax.random.categorical(key, jnp.where(outside, -jnp.inf, ranked))
    return order[jnp.where(temperature > 0, drawn, 0)]


def generate(model, tokenizer, prompt, key, max_new, temperature, top_p, penalty):
    tokens = tokenizer.encode(prompt)
    room = min(len(tokens) + max_new, model.cfg.max_len)
    if len(tokens) >= room:
        raise ValueError("the prompt leaves no room for an answer")
    cache = empty_cache(model.cfg, 1, -(-room // 128) * 128, model.embed.dtype)
    seen = jnp.zeros(model.cfg.vocab_size, bool).at[jnp.array(tokens)].set(True)
    logits, cache = forward(model, jnp.array([tokens]), cache, 0)
    answer = []
    for offset in range(len(tokens), room):
        key, sub = jax.random.split(key)
        token = int(pick(sub, logits, seen, temperature, top_p, penalty))
        if token == tokenizer.eos_token_id:
            break
        answer.append(token)
        seen = seen.at[token].set(True)
        logits, cache = forward(model, jnp.array([[token]]), cache, offset)
    return tokenizer.decode(answer)


def chat(args, tokenizer, model, rngs):
    if args.adapter.exists():
        lora.load_adapter(model, args.adapter, rngs=rngs)
        lora.merge(model)
    key = jax.random.PRNGKey(args.seed)
    while instruction := input("> ").strip():
        key, sub = jax.random.split(key)
        print(generate(model, tokenizer, build_prompt(instruction), sub, args.max_new,
                       args.temperature, args.top_p, args.repetition_penalty))


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("command", choices=["train", "chat"])
    p.add_argument("--base", required=True, help="folder of the base model")
    p.add_argument("--adapter", type=Path, default=Path("adapter"))
    p.add_argument("--data", default="train.jsonl")
    p.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    p.add_argument("--targets", nargs="+", default=["q_proj", "k_proj", "v_proj", "o_proj"])
    for name, value in dict(
        rank=8, alpha=16.0, max_len=512, batch=4, accumulate=8, epochs=3, lr=2e-4, warmup=0.03,
        weight_decay=0.0, clip=1.0, log_every=10, seed=0, max_new=256, temperature=0.7,
        top_p=0.9, repetition_penalty=1.1,
    ).items():
        p.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    args = p.parse_args()
    rngs = nnx.Rngs(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.base)
    model = load_base(args.base, jnp.dtype(args.dtype), rngs)
    {"train": train, "chat": chat}[args.command](args, tokenizer, model, rngs)


if __name__ == "__main__":
    main()
