"""Sample an answer: python generate.py base.pt adapter.pt "Say hello" """
import sys

import torch

from data import ByteTokenizer, build_prompt
from lora import load_adapter, merge
from model import Llama, LlamaConfig


def pick(logits, seen, temperature, top_p, penalty):
    """Repetition penalty, then temperature, then nucleus sampling; logits are (1, vocab)."""
    used = logits.gather(1, seen)
    logits = logits.scatter(1, seen, torch.where(used > 0, used / penalty, used * penalty))
    if temperature <= 0:
        return logits.argmax(-1, keepdim=True)
    probs, order = (logits / temperature).softmax(-1).sort(dim=-1, descending=True)
    outside = probs.cumsum(-1) - probs >= top_p
    outside[:, 0] = False
    return order.gather(1, torch.multinomial(probs.masked_fill(outside, 0.0), 1))


@torch.inference_mode()
def generate(model, ids, max_new=200, temperature=0.8, top_p=0.95, penalty=1.1, eos_id=None):
    """Continue one prompt of shape (1, time) and return only the new token ids."""
    model.eval()
    cache, seen, feed, out = {}, ids, ids, []
    for _ in range(min(max_new, model.cfg.max_seq_len - ids.size(1))):
        logits = model(feed, cache=cache)[:, -1].float()
        feed = pick(logits, seen, temperature, top_p, penalty)
        if feed.item() == eos_id:
            break
        out.append(feed.item())
        seen = torch.cat([seen, feed], dim=1)
    return out


if __name__ == "__main__":
    base, adapter, instruction = sys.argv[1:4]
    tok = ByteTokenizer()
    net = Llama(LlamaConfig(vocab_size=tok.vocab_size))
    net.load_state_dict(torch.load(base, map_location="cpu"))
    load_adapter(net, adapter)
    merge(net)
    prompt = torch.tensor([[tok.bos_id] + tok.encode(build_prompt(instruction))])
    print(tok.decode(generate(net, prompt, eos_id=tok.eos_id)))
