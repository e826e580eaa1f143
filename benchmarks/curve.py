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
    path = corpora / f"{name}.parquet"
    return np.array([v["score"] for v in verdicts(build, guard, path, work / f"{name}.jsonl")]), pd.read_parquet(path)


traffic, _ = scores("benign_100k")
score, rows = scores("eval_public")
is_attack = ((rows.label == 1) & (rows.family != "harmful_request")).to_numpy()
of = {source: (rows.source == source).to_numpy() for source in rows.source.unique()}
attacks = ["slabs_test", "neuralchemy_test", "deepset_test", "bipia_context"]
harmless = ["notinject", "wildguard_benign", "bipia_context"]
print("| FPR on `benign_100k` | mean recall | " + " | ".join(attacks) + " | " + " | ".join(f"{s}, harmless, flagged" for s in harmless) + " |")
print("|---:|" + "---:|" * (1 + len(attacks) + len(harmless)))
for share in (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1):
    cut = np.quantile(traffic, 1 - share)
    caught = [(score[of[s] & is_attack] > cut).mean() for s in attacks]
    flagged = [(score[of[s] & (rows.label == 0).to_numpy()] > cut).mean() for s in harmless]
    cells = [f"{share:.2%}", *(f"{x:.3f}" for x in [np.mean(caught), *caught]), *(f"{x:.1%}" for x in flagged)]
    print("| " + " | ".join(cells).replace("%", " %") + " |")
