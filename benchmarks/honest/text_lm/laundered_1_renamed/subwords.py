'''
Subword vocabulary learned from raw text.

The input is split into fragments first and fragments never join. A fragment
starts as UTF-8 bytes (symbols 0 to 255), every learned join gets the next
symbol, and the control symbols sit at the end. The whole vocabulary is kept
in an ordinary dictionary.
'''
import argparse
import json
import re
from collections import Counter, defaultdict
from functools import lru_cache

FRAGMENT_PATTERN = re.compile(
    r' ?[^\W\d_]+| ?\d{1,3}| ?[^\w\s]+|_+|\s+(?!\S)|\s+'
)
CONTROL_SYMBOLS = (
    '<bos>',
    '<eos>',
    '<pad>',
)


def join_symbols(symbols, couple, replacement):
    result, pos = [], 0
    while pos < len(symbols):
        if tuple(symbols[pos:pos + 2]) == couple:
            result.append(replacement)
            pos += 2
        else:
            result.append(symbols[pos])
            pos += 1
    return result


def fit_joins(documents, target_size):
    '''Return the joins in the order in which they were learned.'''
    histogram = Counter(
        fragment
        for document in documents
        for fragment in FRAGMENT_PATTERN.findall(document)
    )
    spelled = [list(fragment.encode()) for fragment in histogram]
    weights = list(histogram.values())
    couple_counts, occurrences = Counter(), defaultdict(set)

    for idx, symbols in enumerate(spelled):
        for couple in zip(symbols, symbols[1:]):
            couple_counts[couple] += weights[idx]
            occurrences[couple].add(idx)

    joins = []
    while (
        len(joins) < target_size - 256 - len(CONTROL_SYMBOLS)
        and couple_counts
    ):
        winner = min(
            couple_counts,
            key=lambda couple: (-couple_counts[couple], couple),
        )
        if couple_counts[winner] < 2:
            break
        replacement = 256 + len(joins)
        joins.append(winner)
        # the other fragments keep their statistics
        for idx in occurrences.pop(winner):
            for couple in zip(spelled[idx], spelled[idx][1:]):
                couple_counts[couple] -= weights[idx]
            spelled[idx] = join_symbols(spelled[idx], winner, replacement)
            for couple in zip(spelled[idx], spelled[idx][1:]):
                couple_counts[couple] += weights[idx]
                occurrences[couple].add(idx)
        # forget couples that no longer occur
        couple_counts = +couple_counts
    return joins


def build_vocabulary(joins):
    pieces = [bytes([value]) for value in range(256)]
    for left, right in joins:
        pieces.append(pieces[left] + pieces[right])

    priority = {
        tuple(couple): place for place, couple in enumerate(joins)
    }
    controls = {
        symbol: len(pieces) + offset
        for offset, symbol in enumerate(CONTROL_SYMBOLS)
    }

    @lru_cache(maxsize=1 << 16)
    def spell(fragment):
        symbols = list(fragment.encode())
        while len(symbols) > 1:
            place, couple = min(
                (priority.get(candidate, len(priority)), candidate)
                for candidate in zip(symbols, symbols[1:])
            )
            if place == len(priority):
                break
            symbols = join_symbols(symbols, couple, 256 + place)
        return tuple(symbols)

    return {
        'joins': joins,
        'pieces': pieces,
        'controls': controls,
        'spell': spell,
        'length': len(pieces) + len(controls),
    }


def text_to_ids(vocabulary, document, open_tag=False, close_tag=False):
    numbers = [
        number
        for fragment in FRAGMENT_PATTERN.findall(document)
        for number in vocabulary['spell'](fragment)
    ]
    return (
        [vocabulary['controls']['<bos>']] * open_tag
        + numbers
        + [vocabulary['controls']['<eos>']] * close_tag
    )


def ids_to_text(vocabulary, numbers):
    return b''.join(
        vocabulary['pieces'][number]
        for number in numbers
        if number < len(vocabulary['pieces'])
    ).decode(errors='replace')


def write_vocabulary(vocabulary, filename):
    with open(filename, 'w') as stream:
        json.dump({'joins': vocabulary['joins']}, stream)


def read_vocabulary(filename):
    with open(filename) as stream:
        return build_vocabulary(
            [tuple(couple) for couple in json.load(stream)['joins']]
        )


if __name__ == '__main__':
    cli = argparse.ArgumentParser(
        description='Build a subword vocabulary out of a corpus.'
    )
    cli.add_argument('corpus', nargs='+')
    cli.add_argument('--size', type=int, default=8192)
    cli.add_argument('--save-to', default='subwords.json')
    opts = cli.parse_args()
    documents = (
        open(name, encoding='utf-8', errors='replace').read()
        for name in opts.corpus
    )
    write_vocabulary(
        build_vocabulary(fit_joins(documents, opts.size)),
        opts.save_to,
    )
