"""Puts the figures of a benchmark run into README.md and models/README.md: usage: fill.py benchmarks/runs/NAME

Only tables and numbers are replaced; a sentence that a figure no longer bears out has to be changed by hand.
"""
import json
import re
import sys
from pathlib import Path

run = Path(sys.argv[1])
out = {path.stem: path.read_text() for path in run.glob("*.txt")}
reports = {name: (run / f"{name}-report.md").read_text() for name in ("starter", "improve", "seed-budget")}


def table(text, heading, columns=None):
    """The lines of the table whose first cell is `heading`."""
    lines = re.search(rf"^\| ?{re.escape(heading)}.*\n(?:\|.*\n)+", text, re.M)[0].strip("\n").split("\n")
    return lines if columns is None else ["| " + " | ".join(cells(line)[:columns]) + " |" for line in lines]


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def put(doc, heading, lines):
    """Replaces the body of the table in `doc` whose heading line begins so."""
    pattern = rf"(^\| ?{re.escape(heading)}.*\n\|[-:| ]+\n)((?:\|.*\n)+)"
    assert re.search(pattern, doc, re.M), heading
    return re.sub(pattern, lambda m: m[1] + "\n".join(lines) + "\n", doc, count=1, flags=re.M)


def replace(doc, pattern, new):
    assert re.search(pattern, doc), pattern
    return re.sub(pattern, lambda m: new, doc, count=1)


def cost(name):
    wall, memory = re.search(r"wall ([\d.]+) s.*peak memory (\d+) KB", out[name]).groups()
    return float(wall), int(memory) / 1000


# The model card.
card = Path("models/README.md").read_text()
old_run = re.search(r"benchmarks/runs/[\w-]+", card)[0]
card = card.replace(old_run, str(run))
bytes_of = Path("models/default.lh").read_bytes()
header = json.JSONDecoder().raw_decode(bytes_of[bytes_of.index(b'{"'):].decode("utf-8", "ignore"))[0]
made_of = header["provenance"]
card = put(card, "license", [f"| {name} | {n:,} |" for name, n in sorted(made_of["licenses"].items(), key=lambda x: -x[1])])
names = {"attacks": "attack corpus"}
sides = {"1": {}, "0": {}}
for key, n in made_of["sources"].items():
    source, side = key.rsplit("/", 1)
    name = "starter corpus" if source.startswith("starter/") else names.get(source, source)
    sides[side][name] = sides[side].get(name, 0) + n
attacks, benign = (sorted(sides[side].items(), key=lambda x: -x[1]) for side in ("1", "0"))
card = put(card, "source | attacks", [f"| {name} | {n:,} |" for name, n in attacks])
card = replace(card, r"Benign rows, by source: .*\.", "Benign rows, by source: " + ", ".join(f"{name} {n:,}" for name, n in benign) + ".")
n_attacks = sum(n for _, n in attacks)
card = replace(card, r"[\d,]+ rows, [\d,]+ attacks\.", f"{n_attacks + sum(n for _, n in benign):,} rows, {n_attacks:,} attacks.")
text = out["default-evaluate"]
figures = {cells(line)[0]: cells(line) for line in text.split("\n") if line.startswith("| ")}
own = cells(re.search(r"^\| recall, mean over.*$", text, re.M)[0])
wanted = ["AUC", "mean recall over sources at 1 % FPR", "mean recall over sources at 0.5 % FPR", "mean recall over sources at 0.1 % FPR"]
lines = [f"| mean recall over the four public sources, at its own threshold | {own[2]} | {own[3]} |"]
lines += ["| " + " | ".join(figures[name][:3]) + " |" for name in wanted + ["expected calibration error"]]
card = put(card, "figure", lines)
card = put(card, "source | caught", table(text, "source | own threshold", 3)[2:])
card = put(card, "benign prompts flagged", table(text[text.index("### False positives by source"):], "source | counts", 4)[2:])
changes = re.findall(r"^ (\w+) +(\d+ of \d+ \([\d.]+ %\)) +(\d+ of \d+ \([\d.]+ %\))", out["default-gate"], re.M)
card = put(card, "transformation", [f"| {name} | {freed} | {alarmed} |" for name, freed, alarmed in changes])
card = put(card, "FPR on `benign_100k`", table(out["default-curve"], "FPR on")[2:])
poisoned = re.search(r"\| bipia_context \| ([\d.]+ %) \(\d+ of 199\)", text)[1]
clean = re.search(r"\| bipia_context \| \d+ of 167 \| ([\d.]+ %)", text)[1]
card = replace(card, r"catches [\d.]+ % of", f"catches {poisoned} of")
card = replace(card, r"flags [\d.]+ % of\s+the clean", f"flags {clean} of\n  the clean")
padded = re.search(r"\(([\d.]+ %)\)", dict((c[0], c[1]) for c in changes)["padded_after"])[1]
card = replace(card, r"free it in [\d.]+ %", f"free it in {padded}")
refused = dict((name, n) for n, name in re.findall(r"^- (\d+) rows, (\w+): equal", reports["improve"], re.M))
card = replace(card, r"\([\d,]+ of the traffic, [\d,]+ of the labelled prompts", f"({int(refused['benign']):,} of the traffic, {int(refused['train']):,} of the labelled prompts")
Path("models/README.md").write_text(card)

# The first page.
page = Path("README.md").read_text().replace(old_run, str(run))
rounds = [cells(line) for line in table(reports["improve"], "round | rows added")[2:]]
page = put(page, "round | rows added", [f"| {r[0]} | {int(r[1]):,} | {r[2]} | {r[4]} | {r[6]} |" for r in rounds])
for row, name in [("`levelhead improve` on the starter corpus", "starter-improve"), ("the real run above", "improve"), ("train on", "train-all"),
                  ("train the default guard", "train-default"), ("scan 100,000", "scan"), ("the same on one", "scan-one-thread"),
                  ("group 100,000", "group-100k"), ("group 495,428", "group-495k")]:
    wall, memory = cost(name)
    page = replace(page, rf"(\[{re.escape(row)}[^|]*)\|[^|]*\|[^|]*\|", re.search(rf"\[{re.escape(row)}[^|]*", page)[0] + f"| {wall:.1f} s | {memory:.0f} MB |")
Path("README.md").write_text(page)
for name, report in reports.items():
    first = re.search(r"\*\*mean recall over sources at 1 % FPR\*\* \| ([\d.]+) \| \*\*([\d.]+)", report)
    print(name, "mean recall at 1 % FPR on the holdout:", first.groups())
