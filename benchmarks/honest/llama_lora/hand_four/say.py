"""python say.py base.pt adapter.pt tok.model "instruction" """
import sys

import torch

import data
import lora
from llama import Llama, Shape

G = dict(n=256, temp=0.7, top_p=0.9, rep=1.1, seed=0)


@torch.no_grad()
def generate(f, ids, eos, n=256, temp=0.7, top_p=0.9, rep=1.1, seed=0):
    f.eval()
    dev = next(f.parameters()).device
    rng = torch.Generator(dev).manual_seed(seed)
    cache = [[] for _ in f.layers]
    t, out = torch.tensor([ids], device=dev), list(ids)
    for _ in range(min(n, f.S.T - len(ids))):
        z = f(t, cache=cache)[0, -1].float()
        if rep != 1.0:
            i = torch.tensor(sorted(set(out)), device=dev)
            z[i] = torch.where(z[i] > 0, z[i] / rep, z[i] * rep)
        if temp <= 0:
            k = int(z.argmax())
        else:
            p, j = (z / temp).softmax(-1).sort(descending=True)
            p = p * (p.cumsum(-1) - p < top_p)      # the first one always survives
            k = int(j[torch.multinomial(p, 1, generator=rng)])
        if k == eos:
            break
        out.append(k)
        t = torch.tensor([[k]], device=dev)
    return out[len(ids):]


if __name__ == "__main__":
    import sentencepiece as spm
    tk = spm.SentencePieceProcessor(model_file=sys.argv[3])
    f = Llama(Shape())
    f.load_state_dict(torch.load(sys.argv[1], map_location="cpu"))
    lora.load(f, sys.argv[2])
    lora.fold(f, True)
    f = f.to("cuda" if torch.cuda.is_available() else "cpu")
    x = [tk.bos_id()] + tk.encode(data.prompt(dict(instruction=sys.argv[4])))
    print(tk.decode(generate(f, x, tk.eos_id(), **G)))
