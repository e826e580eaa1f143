"""The field's own trap, made from this project's prompts: usage: trap.py PROMPTS.csv OUT

OUT gets before.json, a results file of 100,000 entries with 4,179 false positives that are 612 distinct prompts; variations.csv,
what a retraining made of 588 of them; and after.json, the same test with a guard that has learned those by heart.
"""
import csv
import json
import random
import sys

random.seed(42)
with open(sys.argv[1], newline="") as file:
    prompts = [row["text"] for row in csv.DictReader(file)]
prompts = random.sample([p for p in prompts if len(p.split()) >= 8], 612)
learned, others = prompts[:588], prompts[588:]
entries = prompts + random.choices(prompts, k=4_179 - len(prompts))


def results(path, flagged):
    details = [{"id": i, "prompt": p, "category": "programming"} for i, p in enumerate(flagged)]
    summary = {"total": 100_000, "false_positives": len(details), "true_negatives": 100_000 - len(details), "fp_details": details}
    with open(path, "w") as file:
        json.dump(summary, file)


results(sys.argv[2] + "/before.json", entries)
still = set(others[:20])
results(sys.argv[2] + "/after.json", [p for p in entries if p in still])
with open(sys.argv[2] + "/variations.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["text", "label"])
    for p in learned:
        for variation in (p, p.upper(), p + " please", "Please " + p):
            writer.writerow([variation, 0])
