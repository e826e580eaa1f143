#!/usr/bin/env bash
# Runs the commands behind the numbers in the documents and keeps their raw output.
# usage: benchmarks/run.sh CORPORA OUT [NAME...]     the named runs only; CORPORA holds master, benign_pool, benign_100k and eval_public as .parquet
# Needs: cargo build --release, GNU time, Python with pandas and pyarrow. About ten minutes on two cores, and forty more for `ablate`.
set -uo pipefail
cd "$(dirname "$0")/.."
corpora=$1
out=$2
only=" ${*:3} "
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
levelhead=${LEVELHEAD:-target/release/levelhead}
permissive="MIT Apache BSD CC0 CC-BY-1 CC-BY-2 CC-BY-3 CC-BY-4 CC-BY-SA ODC CDLA DRL"
mkdir -p "$out" docs/examples

# Without folders.
clean() {
  sed -e "s|$corpora/||g; s|$corpora|CORPORA|g; s|$work/||g; s|$levelhead|levelhead|g"
}

{ uname -sm; nproc; grep -m1 'model name' /proc/cpuinfo; rustc --version; } > "$out/machine.txt"

# run NAME COMMAND...: the command, its output, its time and its peak memory, in NAME.txt
run() {
  local name=$1
  shift
  [[ "$only" == "  " || "$only" == *" $name "* ]] || return 0
  echo "== $name"
  {
    echo "\$ $*"
    /usr/bin/time -f 'wall %e s, user %U s, peak memory %M KB, exit %x' "$@" 2>&1
  } | clean > "$out/$name.txt"
}

"$levelhead" data starter -o "$work/corpus" > /dev/null
python3 benchmarks/trap.py "$work/corpus/gate_benign.csv" "$work"
run trap "$levelhead" claim --before "$work/before.json" --after "$work/after.json" --trained-on "$work/variations.csv"
run group-100k "$levelhead" data check "$corpora/benign_100k.parquet"
run group-495k "$levelhead" data check "$corpora/master.parquet" "$corpora/benign_pool.parquet" "$corpora/benign_100k.parquet"
run starter-improve "$levelhead" improve -o "$work/starter"
[ ! -e "$work/starter/report.md" ] || clean < "$work/starter/report.md" > "$out/starter-report.md"
run plain-train "$levelhead" train --data "$corpora/master.parquet" --transformed 0 --whole-only --source-weights rows -o "$work/plain.lh"
run plain-gate "$levelhead" gate --guard "$work/plain.lh" --benign "$corpora/benign_100k.parquet" --attacks "$corpora/eval_public.parquet"
run baseline-train "$levelhead" train --data "$corpora/master.parquet" -o "$work/baseline.lh"
run baseline-evaluate "$levelhead" evaluate --guard "$work/baseline.lh" --data "$corpora/eval_public.parquet" --benign "$corpora/benign_100k.parquet"
run baseline-gate "$levelhead" gate --guard "$work/baseline.lh" --benign "$corpora/benign_100k.parquet" --attacks "$corpora/eval_public.parquet"
run seed-budget "$levelhead" improve --no-prompts --rounds 1 --train "$corpora/master.parquet" --benign "$corpora/benign_pool.parquet" \
  --gate-benign "$corpora/benign_100k.parquet" --gate-attacks "$corpora/eval_public.parquet" -o "$work/seed"
[ ! -e "$work/seed/report.md" ] || clean < "$work/seed/report.md" > "$out/seed-budget-report.md"
run ablate "$levelhead" ablate --train "$corpora/master.parquet" --benign "$corpora/benign_pool.parquet" \
  --gate-benign "$corpora/benign_100k.parquet" --gate-attacks "$corpora/eval_public.parquet" -o "$work/ablation"
[ ! -e "$work/ablation/ablation.json" ] || cp "$work/ablation/ablation.json" "$out/ablation.json"
ablation=()
[ ! -e "$out/ablation.json" ] || ablation=(--ablation "$out/ablation.json")
run improve "$levelhead" improve --no-prompts "${ablation[@]}" --train "$corpora/master.parquet" --benign "$corpora/benign_pool.parquet" \
  --gate-benign "$corpora/benign_100k.parquet" --gate-attacks "$corpora/eval_public.parquet" -o "$work/improve"
[ ! -e "$work/improve/report.md" ] || clean < "$work/improve/report.md" > "$out/improve-report.md"
[ ! -e "$work/improve/report.html" ] || clean < "$work/improve/report.html" > docs/examples/report.html
run rules-check-default "$levelhead" rules check --rules default --benign "$corpora/benign_pool.parquet" --attacks "$corpora/master.parquet"
run rules-check-naive "$levelhead" rules check --rules benchmarks/naive_rules.toml --benign "$corpora/benign_pool.parquet" \
  --attacks "$corpora/master.parquet" --show 8 --apply "$work/narrowed.toml"
run labels-planted "$levelhead" data labels --data "$corpora/master.parquet" --plant 0.02
run labels "$levelhead" data labels --data "$corpora/master.parquet" --show 0 --top 200 -o "$work/suspects.csv"
[ ! -e "$work/suspects.csv" ] || python3 benchmarks/worst_rows.py "$work/suspects.csv" > "$out/labels-worst-200.csv"
run train-all "$levelhead" train --data "$corpora/master.parquet" "$corpora/benign_pool.parquet" -o "$work/all.lh"
run train-default "$levelhead" train --data "$corpora/master.parquet" "$corpora/benign_pool.parquet" --licenses $permissive \
  --with-starter --attack-weight 3 --max-fpr 0.003 -o "$work/default.lh"
run default-evaluate "$levelhead" evaluate --guard "$work/default.lh" --data "$corpora/eval_public.parquet" --benign "$corpora/benign_100k.parquet"
run default-gate "$levelhead" gate --guard "$work/default.lh" --benign "$corpora/benign_100k.parquet" --attacks "$corpora/eval_public.parquet"
run default-curve python3 benchmarks/curve.py "$corpora" "$work/curve" "$levelhead" "$work/default.lh"
run category-scan "$levelhead" scan --category --guard "$work/default.lh" --input "$corpora/benign_100k.parquet" --output "$work/category.jsonl"
[ ! -e "$work/category.jsonl" ] || python3 benchmarks/category_agreement.py "$corpora/benign_100k.parquet" "$work/category.jsonl" > "$out/category.txt"
run scan "$levelhead" scan --guard "$work/default.lh" --input "$corpora/benign_100k.parquet" --output "$work/scan.jsonl"
run scan-one-thread "$levelhead" --threads 1 scan --guard "$work/default.lh" --input "$corpora/benign_100k.parquet" --output "$work/scan1.jsonl"
run crossval-by-source "$levelhead" crossval --data "$corpora/master.parquet" "$corpora/benign_pool.parquet" --licenses $permissive \
  --with-starter --scheme by-source --folds 6
for column in goal manner lang carrier; do
  run "left-out-$column" "$levelhead" crossval --data "$work/corpus/attacks.csv" --by "$column"
done
run group-recall cargo test --release -q -p levelhead-lab --lib grouping_finds_what_comparing_all_pairs_of_real -- --ignored --nocapture
run train-one-thread "$levelhead" --threads 1 train --data "$corpora/master.parquet" -o "$work/baseline1.lh"
run same-artifact cmp "$work/baseline.lh" "$work/baseline1.lh"
run same-verdicts cmp "$work/scan.jsonl" "$work/scan1.jsonl"
[ ! -e "$work/default.lh" ] || cp "$work/default.lh" models/default.lh
