"""Recall of finished guards on sources that train none of them: usage: other_licenses.py CORPORA WORK LEVELHEAD:GUARD...

The rows of master and benign_pool under licenses that no guard of this project trains on; of each harmless source 3,000 at most.
Plain harmful requests are left out. The thresholds flag the share named of all those harmless rows; macro: of the mean over their
sources. A guard is read by the build that it goes with.
"""
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from corpora import rows_by_license, verdicts

corpora, work = Path(sys.argv[1]), Path(sys.argv[2])
work.mkdir(parents=True, exist_ok=True)
rows = rows_by_license(corpora, permissive=False)
rows = rows[rows.family != "harmful_request"]
harmless = rows[rows.label == 0].sample(frac=1, random_state=0).groupby("source").head(3000)
rows = pd.concat([rows[rows.label == 1], harmless], ignore_index=True)
rows[["text", "label", "source"]].to_parquet(work / "rows.parquet")
is_attack = (rows.label == 1).to_numpy()


def sources(of, least):
    """Which rows are of each source, for the sources with enough of them."""
    return {s: of & (rows.source == s).to_numpy() for s, n in rows.source[of].value_counts().items() if n >= least}


attacks, harmless = sources(is_attack, 10), sources(~is_attack, 50)
weight = sum(mine / mine.sum() for mine in harmless.values()) / len(harmless)
print(f"{is_attack.sum():,} attacks of {len(attacks)} sources, {(~is_attack).sum():,} harmless rows of {len(harmless)}")


def recall(caught):
    return np.mean([caught[mine].mean() for mine in attacks.values()])


for pair in sys.argv[3:]:
    build, guard = pair.split(":")
    made = verdicts(build, guard, work / "rows.parquet", work / "scores.jsonl")
    score, flagged = np.array([v["score"] for v in made]), np.array([v["flagged"] for v in made])
    print(f"\n{Path(guard).name}, flagged at its own threshold: {flagged[~is_attack].mean():.4f} of harmless rows, {recall(flagged):.3f} of attacks")
    order = np.argsort(-score)
    for share in (0.03, 0.01, 0.005):
        cut = np.quantile(score[~is_attack], 1 - share)
        macro = score[order[np.searchsorted(np.cumsum(weight[order]), share)]]
        print(f"  mean recall at {share:.1%} FPR {recall(score > cut):.3f}, macro {recall(score > macro):.3f}")
    cut = np.quantile(score[~is_attack], 0.99)
    print("  at 1 % FPR: " + ", ".join(f"{s} {(score[mine] > cut).mean():.2f}" for s, mine in attacks.items()))
