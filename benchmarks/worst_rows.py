"""Lists the rows of `levelhead data labels -o` without their texts, which are other people's: worst_rows.py SUSPECTS.csv"""
import csv
import sys

KEPT = ["rank", "file", "row", "label", "source", "family", "p_attack", "reason"]

with open(sys.argv[1], newline="", encoding="utf-8") as file:
    writer = csv.DictWriter(sys.stdout, KEPT, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in csv.DictReader(file):
        writer.writerow(row | {"file": row["file"].rsplit("/", 1)[-1]})
