"""Complete a prompt with a trained checkpoint."""
import argparse

import tiktoken
import torch

from transformer import LanguageModel, ModelArgs

p = argparse.ArgumentParser()
p.add_argument("checkpoint")
p.add_argument("--prompt", default="\n")
p.add_argument("--length", type=int, default=200)
p.add_argument("--samples", type=int, default=3)
p.add_argument("--temperature", type=float, default=0.8)
p.add_argument("--top-k", type=int, default=200)
opt = p.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
state = torch.load(opt.checkpoint, map_location=device)
model = LanguageModel(ModelArgs(**state["args"])).to(device)
model.load_state_dict(state["model"])
model.eval()

codec = tiktoken.get_encoding("gpt2")
ids = torch.tensor([codec.encode(opt.prompt)] * opt.samples, device=device)
for row in model.sample(ids, opt.length, opt.temperature, opt.top_k).tolist():
    # The vocabulary is padded; ids past the real one have no text.
    print(codec.decode([t for t in row if t < codec.n_vocab]))
    print("=" * 40)
