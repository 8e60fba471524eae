"""Let a taught network go on talking: `python speak.py brain=nest/top say="Once more"`."""
import tiktoken
import torch

import knobs
import tower


def draw(scores, warmth, choices):
    """One symbol per row; adding Gumbel noise and taking the maximum samples the softmax."""
    if warmth == 0:
        return scores.max(-1).indices
    scores = scores / warmth
    if choices:
        ranked = scores.sort(-1, descending=True).values
        last = ranked[:, min(choices, ranked.shape[1]) - 1]
        scores[scores < last[:, None]] = -torch.inf
    noise = -torch.log(torch.empty_like(scores).exponential_())
    return (scores + noise).max(-1).indices


def talk(weights, net, opening, tries, warmth, choices):
    """Yield one column of symbols after another, remembering keys and values while they fit."""
    said = torch.tensor(opening, device=weights["symbol"].device).expand(tries, len(opening))
    memory, unread = [], said[:, -net["reach"]:]
    while True:
        hidden = tower.climb(weights, net, unread, memory)
        column = draw(tower.votes(weights, hidden[:, -1]).float(), warmth, choices)
        yield column
        said = torch.column_stack((said, column))
        if memory[0][0].shape[2] < net["reach"]:
            unread = column[:, None]
        else:
            # Full: every symbol moves one place, so nothing remembered stays true.
            memory, unread = [], said[:, -net["reach"]:]


@torch.no_grad()
def show(k):
    if k.luck >= 0:
        torch.manual_seed(k.luck)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    life = torch.load(k.brain, map_location=place)
    book = tiktoken.get_encoding("gpt2")
    opening = book.encode(k.say)
    talker = talk(life["weights"], life["net"], opening, k.tries, k.warmth, k.choices)
    columns = [column.tolist() for _, column in zip(range(k.words), talker)]
    for line in zip(*columns):
        symbols = opening + [s for s in line if s < book.n_vocab]
        print(book.decode(symbols), "-" * 40, sep="\n")


if __name__ == "__main__":
    show(knobs.read(knobs.SPEAK))
