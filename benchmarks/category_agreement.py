#!/usr/bin/env python3
"""How often the category head names what a set says of itself.

usage: category_agreement.py SET.parquet VERDICTS.jsonl     (of `levelhead scan --category`)
"""

import json
import sys
from collections import Counter

import pandas


def main(path, verdicts):
    said = pandas.read_parquet(path, columns=["category"])["category"]
    named = [json.loads(line)["category"] for line in open(verdicts, encoding="utf-8")]
    pairs = Counter(zip(said, named))
    total = sum(pairs.values())
    right = sum(n for (a, b), n in pairs.items() if a == b)
    print(f"all: {100 * right / total:.1f} % ({right:,} of {total:,})")
    for category in sorted(set(said)):
        of_category = {b: n for (a, b), n in pairs.items() if a == category}
        n = sum(of_category.values())
        wrong = max((m, b) for b, m in of_category.items() if b != category)
        print(f"{category}: {100 * of_category.get(category, 0) / n:.1f} % of {n:,}; most often else {wrong[1]} ({wrong[0]:,})")


if __name__ == "__main__":
    main(*sys.argv[1:])
