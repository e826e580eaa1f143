"""A seeded sample of a Parquet file's rows: sample.py IN.parquet N OUT.jsonl"""
import json
import random
import sys

import pyarrow.parquet

table = pyarrow.parquet.read_table(sys.argv[1])
columns = [c for c in ["text", "label", "family", "category", "source"] if c in table.column_names]
rows = table.select(columns).to_pylist()
random.Random(42).shuffle(rows)
with open(sys.argv[3], "w", encoding="utf-8") as file:
    file.writelines(json.dumps(row) + "\n" for row in rows[: int(sys.argv[2])])
