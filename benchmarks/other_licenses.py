"""Recall of finished guards on sources that train none of them: usage: other_licenses.py CORPORA WORK LEVELHEAD:GUARD...

The rows of master and benign_pool under licenses that no guard of this project trains on; of each harmless source 3,000 at most.
Plain harmful requests are left out. The thresholds flag the share named of all those harmless rows; macro: of the mean over their
sources. A guard is read by the build that it goes with.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

corpora, work = Path(sys.argv[1]), Path(sys.argv[2])
work.mkdir(parents=True, exist_ok=True)
permissive = re.compile("MIT|Apache|BSD|CC0|CC-BY-[1-4]|CC-BY-SA|ODC|CDLA|DRL")
rows = pd.concat([pd.read_parquet(corpora / f"{name}.parquet") for name in ("master", "benign_pool")], ignore_index=True)
rows = rows[~rows.license.fillna("").str.contains(permissive) & (rows.family != "harmful_request")]
harmless = rows[rows.label == 0].sample(frac=1, random_state=0).groupby("source").head(3000)
rows = pd.concat([rows[rows.label == 1], harmless], ignore_index=True)
rows[["text", "label", "source"]].to_parquet(work / "rows.parquet")
is_attack = (rows.label == 1).to_numpy()
attacks = [s for s, n in rows.source[is_attack].value_counts().items() if n >= 10]
sources = [s for s, n in rows.source[~is_attack].value_counts().items() if n >= 50]
weight = np.zeros(len(rows))
for s in sources:
    mine = ~is_attack & (rows.source == s).to_numpy()
    weight[mine] = 1 / mine.sum() / len(sources)
print(f"{is_attack.sum():,} attacks of {len(attacks)} sources, {(~is_attack).sum():,} harmless rows of {len(sources)}")
for pair in sys.argv[3:]:
    build, guard = pair.split(":")
    out = work / "scores.jsonl"
    scan = [build, "scan", "--guard", guard, "--input", work / "rows.parquet", "--output", out, "--force"]
    assert subprocess.run(scan, capture_output=True).returncode < 2
    verdicts = [json.loads(line) for line in out.open()]
    score = np.array([v["score"] for v in verdicts])
    flagged = np.array([v["flagged"] for v in verdicts])

    def recall(caught):
        return np.mean([caught[is_attack & (rows.source == s).to_numpy()].mean() for s in attacks])

    print(f"\n{Path(guard).name}, flagged at its own threshold: {flagged[~is_attack].mean():.4f} of harmless rows, {recall(flagged):.3f} of attacks")
    for share in (0.03, 0.01, 0.005):
        cut = np.quantile(score[~is_attack], 1 - share)
        order = np.argsort(-score)
        macro = score[order[np.searchsorted(np.cumsum(weight[order]), share)]]
        print(f"  mean recall at {share:.1%} FPR {recall(score > cut):.3f}, macro {recall(score > macro):.3f}")
    cut = np.quantile(score[~is_attack], 0.99)
    print("  at 1 % FPR: " + ", ".join(f"{s} {(score[is_attack & (rows.source == s).to_numpy()] > cut).mean():.2f}" for s in attacks))
