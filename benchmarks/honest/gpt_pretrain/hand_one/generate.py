"""Sample text from a checkpoint: python generate.py runs/gpt/best.pt --prompt "Once upon a time" """
import argparse

import tiktoken
import torch

from transformer import ModelConfig, Transformer


@torch.inference_mode()
def sample(model, ids, new_tokens, temperature=1.0, top_k=None):
    for _ in range(new_tokens):
        logits = model(ids[:, -model.cfg.context :])[:, -1].float()
        if temperature == 0:
            chosen = logits.argmax(-1, keepdim=True)
        else:
            logits = logits / temperature
            if top_k:
                floor = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
                logits = logits.masked_fill(logits < floor, float("-inf"))
            chosen = torch.multinomial(logits.softmax(-1), 1)
        ids = torch.cat([ids, chosen], dim=1)
    return ids


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint")
    p.add_argument("--prompt", default="\n")
    p.add_argument("--tokens", type=int, default=200)
    p.add_argument("--count", type=int, default=3)
    p.add_argument("--temperature", type=float, default=0.8)
    p.add_argument("--top-k", type=int, default=100)
    p.add_argument("--seed", type=int)
    args = p.parse_args()
    if args.seed is not None:
        torch.manual_seed(args.seed)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    saved = torch.load(args.checkpoint, map_location=device)
    model = Transformer(ModelConfig(**saved["config"])).to(device).eval()
    model.load_state_dict(saved["model"])

    codec = tiktoken.get_encoding("gpt2")
    prompt = torch.tensor([codec.encode(args.prompt)], device=device).repeat(args.count, 1)
    for row in sample(model, prompt, args.tokens, args.temperature, args.top_k).tolist():
        # The vocabulary is padded to a round size; skip ids the codec does not know.
        print(codec.decode([t for t in row if t < codec.n_vocab]))
        print("-" * 40)


if __name__ == "__main__":
    main()
