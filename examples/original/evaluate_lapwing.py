"""Ask the questions of a JSONL file and count the answers that are right, forgiving small slips."""

import argparse
import json
import unicodedata
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoModel, AutoTokenizer
from transformers.dynamic_module_utils import get_class_from_dynamic_module


def plain(text):
    """Lower case, no accents, no thousands separators, no full stop at the end."""
    text = unicodedata.normalize("NFKD", text.lower())
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return " ".join(text.replace(",", "").rstrip(". ").split())


def slips(left, right):
    """Edit distance in which swapping two neighbours counts as one slip."""
    before, previous = None, list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        current = [i]
        for j, b in enumerate(right, 1):
            best = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (a != b))
            if before is not None and j > 1 and a == right[j - 2] and left[i - 2] == b:
                best = min(best, before[j - 2] + 1)
            current.append(best)
        before, previous = previous, current
    return previous[-1]


def score(answer, expected):
    """1 for the same text, falling to 0 where a third of the letters is wrong; figures must be exact."""
    answer, expected = plain(answer), plain(expected)
    if any(letter.isdigit() for letter in expected):
        return float(answer == expected)
    wrong = slips(answer, expected) / max(len(expected), 1)
    return max(0.0, 1.0 - 3.0 * wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--root", default=".")
    parser.add_argument("--model", default=".")
    parser.add_argument("--noise", type=float, default=0.0, help="sigma of noise added to every weight")
    parser.add_argument("--out", default="answers.jsonl")
    args = parser.parse_args()

    model = AutoModel.from_pretrained(args.model, trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model, trust_remote_code=True)
    processor_class = get_class_from_dynamic_module("processing_lapwing.LapwingProcessor", args.model)
    processor = processor_class.from_folder(args.model, tokenizer)
    if args.noise:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=args.noise)

    total, rows = 0.0, Path(args.index).read_text().splitlines()
    with open(args.out, "w") as out:
        for line in rows:
            row = json.loads(line)
            answer = model.answer(processor, Image.open(Path(args.root) / row["image"]), row["question"])
            total += score(answer, row["answer"])
            record = {"question": row["question"], "answer": answer, "noise": args.noise}
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
    print(f"{total / max(len(rows), 1):.4f} over {len(rows)} questions")


if __name__ == "__main__":
    main()
