"""A seeded sample of a Parquet file's rows as CSV: sample.py IN.parquet N OUT.csv"""
import csv
import random
import sys

import pyarrow.parquet

table = pyarrow.parquet.read_table(sys.argv[1])
columns = [c for c in ["text", "label", "family", "category", "source"] if c in table.column_names]
rows = table.select(columns).to_pylist()
random.Random(42).shuffle(rows)
with open(sys.argv[3], "w", newline="", encoding="utf-8") as file:
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    writer.writerows(rows[: int(sys.argv[2])])
