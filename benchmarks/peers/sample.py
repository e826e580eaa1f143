"""A seeded sample of a Parquet file's rows: sample.py IN.parquet N OUT.csv, or OUT.jsonl for the texts alone"""
import csv
import json
import random
import sys

import pyarrow.parquet

table = pyarrow.parquet.read_table(sys.argv[1])
columns = [c for c in ["text", "label", "family", "category", "source"] if c in table.column_names]
rows = table.select(columns).to_pylist()
random.Random(42).shuffle(rows)
rows = rows[: int(sys.argv[2])]
with open(sys.argv[3], "w", newline="", encoding="utf-8") as file:
    if sys.argv[3].endswith(".jsonl"):
        file.writelines(json.dumps({"text": row["text"]}) + "\n" for row in rows)
    else:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
