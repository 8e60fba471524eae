import argparse

import numpy as np
import torch
from torch.utils.data import DataLoader

from interactions import Interactions, NextItemDataset, pad_left, read_log
from sasrec import SASRec


@torch.no_grad()
def evaluate(model, cases, device, k=10, batch_size=256):
    """Rank the answer among all items the user has not interacted with yet."""
    model.eval()
    ndcg = hits = 0.0
    for start in range(0, len(cases), batch_size):
        chunk = cases[start:start + batch_size]
        seq = torch.from_numpy(np.stack([pad_left(h, model.max_len) for h, _ in chunk])).to(device)
        scores = model.scores(seq).cpu()
        for row, (history, answer) in zip(scores, chunk):
            value = row[answer].item()
            row[history] = float("-inf")
            row[answer] = float("-inf")
            rank = int((~(row < value)).sum())  # ties (and NaNs) count against us
            if rank < k:
                hits += 1
                ndcg += 1 / np.log2(rank + 2)
    return ndcg / len(cases), hits / len(cases)


def main():
    p = argparse.ArgumentParser(description="Self-attentive sequential recommendation")
    p.add_argument("log", help="interaction file: user, item, timestamp")
    p.add_argument("--delimiter", default=",")
    p.add_argument("--columns", type=int, nargs=3, default=[0, 1, 2], metavar=("USER", "ITEM", "TIME"))
    p.add_argument("--no-header", action="store_true")
    p.add_argument("--min-count", type=int, default=5)
    p.add_argument("--max-len", type=int, default=50)
    p.add_argument("--dim", type=int, default=64)
    p.add_argument("--heads", type=int, default=2)
    p.add_argument("--depth", type=int, default=2)
    p.add_argument("--dropout", type=float, default=0.2)
    p.add_argument("--batch-size", type=int, default=128)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--epochs", type=int, default=300)
    p.add_argument("--eval-every", type=int, default=5)
    p.add_argument("--patience", type=int, default=6, help="evaluations without gain before stopping")
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--out", default="sasrec.pt")
    args = p.parse_args()

    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    data = Interactions(read_log(args.log, args.delimiter, args.columns, not args.no_header),
                        args.min_count)
    print(f"{len(data.sequences)} users, {data.num_items} items")
    train_set = NextItemDataset(data.training(), data.num_items, args.max_len)
    loader = DataLoader(train_set, args.batch_size, shuffle=True, num_workers=2)

    shape = dict(num_items=data.num_items, max_len=args.max_len, dim=args.dim, heads=args.heads,
                 depth=args.depth, dropout=args.dropout)
    model = SASRec(**shape).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, betas=(0.9, 0.98))

    best, stale = -1.0, 0
    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for batch in loader:
            loss = model.loss(*(t.to(device) for t in batch))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch} loss {total / len(loader):.4f}")

        if epoch % args.eval_every:
            continue
        ndcg, hit = evaluate(model, data.heldout("valid"), device)
        print(f"  valid NDCG@10 {ndcg:.4f} HR@10 {hit:.4f}")
        if ndcg > best:
            best, stale = ndcg, 0
            torch.save({"shape": shape, "model": model.state_dict(), "item_ids": data.item_ids}, args.out)
        else:
            stale += 1
            if stale >= args.patience:
                print("no improvement, stopping")
                break

    if best >= 0:
        model.load_state_dict(torch.load(args.out, map_location=device)["model"])
    ndcg, hit = evaluate(model, data.heldout("test"), device)
    print(f"test NDCG@10 {ndcg:.4f} HR@10 {hit:.4f}")


if __name__ == "__main__":
    main()
