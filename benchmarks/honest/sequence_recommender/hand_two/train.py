"""python train.py ratings.csv --delimiter , --header"""
import argparse
import math
import random
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from interactions import EvalSequences, InteractionLog, TrainSequences, eval_collate
from sasrec import SASRec


@torch.no_grad()
def evaluate(model, loader, device, k=10):
    """NDCG@k and hit rate@k, ranking the answer against every item not in the history."""
    model.eval()
    ndcg = hits = users = 0
    for seq, answers, histories in loader:
        scores = model.rank_scores(seq.to(device)).cpu()
        target = scores.gather(1, answers.unsqueeze(1)).clone()
        scores[:, 0] = -math.inf
        for row, history in enumerate(histories):
            scores[row, history] = -math.inf
        # the answer itself must not count, ties are resolved against us
        scores.scatter_(1, answers.unsqueeze(1), -math.inf)
        rank = (scores >= target).sum(1)
        inside = rank < k
        hits += inside.sum().item()
        ndcg += (inside / torch.log2(rank.float() + 2)).sum().item()
        users += len(answers)
    return {"ndcg": ndcg / max(users, 1), "hit": hits / max(users, 1)}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("log", type=Path)
    p.add_argument("--delimiter", default=",")
    p.add_argument("--header", action="store_true")
    p.add_argument("--min-count", type=int, default=5)
    p.add_argument("--max-len", type=int, default=50)
    p.add_argument("--dim", type=int, default=64)
    p.add_argument("--blocks", type=int, default=2)
    p.add_argument("--heads", type=int, default=1)
    p.add_argument("--dropout", type=float, default=0.2)
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--epochs", type=int, default=300)
    p.add_argument("--eval-every", type=int, default=2)
    p.add_argument("--patience", type=int, default=10, help="evaluations without improvement")
    p.add_argument("--seed", type=int, default=42)
    p.add_argument("--save", type=Path, default=Path("sasrec.pt"))
    args = p.parse_args()

    random.seed(args.seed)
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    log = InteractionLog(args.log, args.delimiter, args.header, args.min_count)
    print(len(log.users), "users,", log.num_items, "items")

    train_loader = DataLoader(TrainSequences(log, args.max_len), args.batch_size, shuffle=True)
    valid_loader, test_loader = (
        DataLoader(EvalSequences(log, split, args.max_len), 256, collate_fn=eval_collate)
        for split in ("valid", "test"))
    model = SASRec(log.num_items, args.max_len, args.dim, args.blocks, args.heads, args.dropout).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, betas=(0.9, 0.98))

    best, stale = -1.0, 0
    for epoch in range(1, args.epochs + 1):
        model.train()
        running = 0.0
        for batch in train_loader:
            loss = model.loss(*(t.to(device) for t in batch))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item()
        line = f"epoch {epoch:3d}  loss {running / len(train_loader):.4f}"
        if epoch % args.eval_every:
            print(line, flush=True)
            continue
        scores = evaluate(model, valid_loader, device)
        print(f"{line}  valid ndcg@10 {scores['ndcg']:.4f}  hit@10 {scores['hit']:.4f}", flush=True)
        if scores["ndcg"] > best:
            best, stale = scores["ndcg"], 0
            torch.save({"model": model.state_dict(), "items": log.item_index, "args": vars(args)}, args.save)
        else:
            stale += 1
            if stale >= args.patience:
                print("no improvement, stopping")
                break

    if best >= 0:
        model.load_state_dict(torch.load(args.save, map_location=device, weights_only=False)["model"])
    scores = evaluate(model, test_loader, device)
    print(f"test ndcg@10 {scores['ndcg']:.4f}  hit@10 {scores['hit']:.4f}")


if __name__ == "__main__":
    main()
