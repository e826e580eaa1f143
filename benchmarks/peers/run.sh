#!/usr/bin/env bash
# Holds Levelhead against guards that install by package name, on the same texts in the same run, and reinforces one of them.
# usage: benchmarks/peers/run.sh CORPORA OUT [short]     CORPORA holds master, benign_pool, benign_100k and eval_public as .parquet
# Needs: cargo build --release, Python with venv. About twenty minutes on two cores.
set -uo pipefail
cd "$(dirname "$0")/../.."
corpora=$1
out=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
levelhead=${LEVELHEAD:-target/release/levelhead}
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q oubliette-shield==1.2.0 "stackone-defender[onnx]==0.9.4" pyarrow || exit 2
python=$work/venv/bin/python

clean() { sed -e "s|$corpora/||g; s|$work/venv/bin/||g; s|$work/||g; s|$PWD/||g; s|benchmarks/peers/||g; s|^\$ $levelhead|\$ levelhead|"; }

# Without prompts, which are other people's.
without_prompts() { sed -e '/^## What the flagged prompts share/,/^## What cannot be seen/d' -e '/^Regressions: /,/^wall/{/^wall/!d}'; }

# run NAME COMMAND...: the command, its output and its times, added to NAME.txt
run() {
  local name=$1
  shift
  echo "== $name: $*" | clean
  { echo "\$ $*"; /usr/bin/time -f 'wall %e s, user %U s, peak memory %M KB, exit %x' "$@" 2>&1; echo; } | clean | without_prompts >> "$out/$name.txt"
}

rm -f "$out"/peers-{speed,default,oubliette,oubliette-pipeline,stackone}.txt
"$python" benchmarks/peers/sample.py "$corpora/benign_100k.parquet" 10000 "$work/benign.jsonl"
for peer in oubliette oubliette-pipeline stackone; do
  printf 'kind = "command"\ncommand = ["%s", "%s/benchmarks/peers/guard.py", "%s"]\n' "$python" "$PWD" "$peer" > "$work/$peer.toml"
  run peers-speed "$python" benchmarks/peers/guard.py "$peer" "$work/benign.jsonl"
done
run peers-speed cargo run --release -q -p levelhead --example throughput "$work/benign.jsonl"
run peers-speed "$levelhead" --threads 1 scan --input "$corpora/benign_100k.parquet" --output "$work/all.jsonl"
for guard in "$work/oubliette.toml" "$work/oubliette-pipeline.toml" "$work/stackone.toml" default; do
  run "peers-$(basename "$guard" .toml)" "$levelhead" evaluate --guard "$guard" --data "$corpora/eval_public.parquet" --benign "$work/benign.jsonl"
done

# `short` ends here.
[[ "${3:-}" != short ]] || exit 0
rm -f "$out/peers-reinforced.txt"

# The false positives of another guard, reinforced: what it flags of the pool becomes 4,790 rows beside the master.
"$python" benchmarks/peers/sample.py "$corpora/benign_pool.parquet" 100000 "$work/pool.jsonl"
run peers-reinforced "$levelhead" audit --guard "$work/oubliette.toml" --benign "$work/pool.jsonl" -o "$work/audit"
run peers-reinforced "$levelhead" reinforce --audit "$work/audit/audit.json" --originals --rest 0.5 --false-positives 958 \
  --pool "$work/pool.jsonl" --attacks "$corpora/master.parquet" --measured "$corpora/benign_100k.parquet" "$corpora/eval_public.parquet" \
  --hard-negatives none -o "$work/rows.csv"
run peers-reinforced "$levelhead" train --data "$corpora/master.parquet" -o "$work/before.lh"
run peers-reinforced "$levelhead" train --data "$corpora/master.parquet" "$work/rows.csv" -o "$work/after.lh"
run peers-reinforced "$levelhead" compare "$work/before.lh" "$work/after.lh" --data "$corpora/eval_public.parquet" "$corpora/benign_100k.parquet"
