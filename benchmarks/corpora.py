"""What the measurements in Python share: the rows by license, and verdicts of a guard on a file."""
import json
import subprocess

import pandas as pd

PERMISSIVE = "MIT|Apache|BSD|CC0|CC-BY-[1-4]|CC-BY-SA|ODC|CDLA|DRL"


def rows_by_license(corpora, permissive):
    """The rows of master and benign_pool whose license lets them train the guard that ships, or the others."""
    rows = pd.concat([pd.read_parquet(corpora / f"{name}.parquet") for name in ("master", "benign_pool")], ignore_index=True)
    return rows[rows.license.fillna("").str.contains(PERMISSIVE) == permissive].reset_index(drop=True)


def verdicts(build, guard, rows, out):
    """The verdicts of a guard on the rows of a file, in their order."""
    scan = [build, "scan", "--guard", guard, "--input", rows, "--output", out, "--force"]
    assert subprocess.run(scan, capture_output=True).returncode < 2
    return [json.loads(line) for line in out.open()]
