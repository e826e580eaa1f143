"""Recall on attack collections that a build has not trained on: usage: held_out.py CORPORA WORK LEVELHEAD...

Stricter than `crossval --scheme by-source`: sister collections (train and validation of one) are held out together. Six folds, the
permissively licensed rows, the settings of the default guard. The threshold flags the share named of all held-out harmless rows.
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
from corpora import rows_by_license, verdicts

corpora, work, builds = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
work.mkdir(parents=True, exist_ok=True)
rows = rows_by_license(corpora, permissive=True)
collection = rows.source.str.replace(r"_(train|validation|regular500|jailbreak|zh)$", "", regex=True)
attacks = rows[rows.label == 1].groupby(collection).size()
benign = rows[rows.label == 0].groupby(collection).size()
fold_of, totals = {}, np.zeros((6, 2))
# The largest first, each to the fold with the fewest rows of its kind.
for name in sorted(set(collection), key=lambda c: (-attacks.get(c, 0), -benign.get(c, 0), c)):
    fold = int(totals[:, 0 if attacks.get(name, 0) else 1].argmin())
    fold_of[name] = fold
    totals[fold] += (attacks.get(name, 0), benign.get(name, 0))
fold = collection.map(fold_of)
columns = ["text", "label", "family", "category", "severity", "confidence", "source", "notes"]
for k in range(6):
    rows[fold != k][columns].to_parquet(work / f"train{k}.parquet")
    rows[fold == k][columns].to_parquet(work / f"test{k}.parquet")


def logits(build):
    scores = np.zeros(len(rows))
    for k in range(6):
        guard, out = work / "guard.lh", work / "scores.jsonl"
        train = [build, "train", "--data", work / f"train{k}.parquet", "--with-starter", "--attack-weight", "3", "--max-fpr", "0.003"]
        subprocess.run([*train, "-o", guard, "--force"], check=True, capture_output=True)
        scores[fold == k] = [v["score"] for v in verdicts(build, guard, work / f"test{k}.parquet", out)]
    scores = scores.clip(1e-12, 1 - 1e-12)
    return np.log(scores / (1 - scores))


is_attack, source = rows.label == 1, rows.source
of_source = source[is_attack].value_counts()
large = [c for c, n in attacks.sort_values(ascending=False).items() if n >= 150]
print("held out together:", len(fold_of), "collections;", int(is_attack.sum()), "attacks,", int((~is_attack).sum()), "harmless rows")
print("mean over the", (of_source >= 10).sum(), "attack sources of ten rows or more; then by collection at 1 % FPR, and WildGuard's harmless rows flagged")
print(f"{'build':12}  at 1 %  at 0.5 %  at 0.1 %  " + "  ".join(large) + "  wildguardmix flagged")
for build in builds:
    z = logits(build)
    means = []
    for share in (0.01, 0.005, 0.001):
        cut = np.quantile(z[~is_attack], 1 - share)
        means.append(np.mean([(z[is_attack & (source == s)] > cut).mean() for s, n in of_source.items() if n >= 10]))
    cut = np.quantile(z[~is_attack], 0.99)
    by = [(z[is_attack & (collection == c)] > cut).mean() for c in large]
    flagged = (z[source == "wildguardmix"] > cut).mean()
    cells = [f"{x:.3f}".rjust(len(c)) for x, c in zip(by, large)]
    print(f"{Path(build).name:12}  {means[0]:6.3f}  {means[1]:8.3f}  {means[2]:8.3f}  " + "  ".join(cells) + f"  {flagged:.3f}")
