"""E-values: the extreme-value law fitted on unrelated packages, and checked on others.

    python -m benchmarks.evalues fit          # writes detector/background/law.json
    python -m benchmarks.evalues calibrate    # writes table and figure of docs/statistics.md

Both read the packages that the background does not hold (benchmarks/background/held_out.txt): those labelled
`fit` and those labelled `calibration`. Downloads and fingerprints are kept under benchmarks/.cache.
"""
