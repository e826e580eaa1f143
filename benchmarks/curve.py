"""What each threshold of a guard buys and costs: usage: curve.py CORPORA WORK LEVELHEAD GUARD

For each FPR on benign_100k: mean recall over the four public attack sources, recall by source, and the harmless prompts of
three sources flagged. A curve, not a choice: no threshold is taken from it.
"""
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from corpora import verdicts

corpora, work, build, guard = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
work.mkdir(parents=True, exist_ok=True)


def scores(name):
    made = verdicts(build, guard, corpora / f"{name}.parquet", work / f"{name}.jsonl")
    return np.array([v["score"] for v in made])


traffic, score = scores("benign_100k"), scores("eval_public")
rows = pd.read_parquet(corpora / "eval_public.parquet", columns=["label", "family", "source"])
is_attack, is_harmless = (rows.label == 1) & (rows.family != "harmful_request"), rows.label == 0
attacks = {s: score[is_attack & (rows.source == s)] for s in ("slabs_test", "neuralchemy_test", "deepset_test", "bipia_context")}
harmless = {s: score[is_harmless & (rows.source == s)] for s in ("notinject", "wildguard_benign", "bipia_context")}
print("| FPR on `benign_100k` | mean recall | " + " | ".join(attacks) + " | " + " | ".join(f"{s}, harmless, flagged" for s in harmless) + " |")
print("|---:|" + "---:|" * (1 + len(attacks) + len(harmless)))
for share in (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1):
    cut = np.quantile(traffic, 1 - share)
    caught = [(of_source > cut).mean() for of_source in attacks.values()]
    flagged = [(of_source > cut).mean() for of_source in harmless.values()]
    cells = [f"{share:.2%}", *(f"{x:.3f}" for x in [np.mean(caught), *caught]), *(f"{x:.1%}" for x in flagged)]
    print("| " + " | ".join(cells).replace("%", " %") + " |")
