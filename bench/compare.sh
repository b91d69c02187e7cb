#!/usr/bin/env bash
# The recipes side by side at equal training cost: every run of bench/compare/SIZE on every seed, then the table.
# Finished runs are skipped and interrupted ones go on, so it may be stopped and started again at will, on another machine
# too: a run is finished when its folder is in bench/results/compare/SIZE-DATA (remove it to run it again).
#
#   bench/compare.sh                          all runs, seeds 1 2 3, on CIFAR-10; about 6 minutes a run on 2 cores
#   bench/compare.sh offramp aebnas           only these
#   SIZE=large DEVICE=cuda bench/compare.sh   the published loops (100 + 30 x 8) for a machine with a card
#
# SIZE tiny|large, DATA, SEEDS, DEVICE cpu|cuda, THREADS, OFFRAMP (the binary), OUT (run directories), DATA_DIR.
# What is small of each run (front.csv, run.toml, compare.json) and the table land there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

SIZE=${SIZE:-tiny} DATA=${DATA:-cifar10} SEEDS=${SEEDS:-"1 2 3"} DEVICE=${DEVICE:-cpu}
OFFRAMP=${OFFRAMP:-build/offramp} OUT=${OUT:-build/compare/$SIZE-$DATA}
results=bench/results/compare/$SIZE-$DATA
read -ra seeds <<<"$SEEDS"
options=(--data "$DATA" --device "$DEVICE")
[ -z "${THREADS:-}" ] || options+=(--threads "$THREADS")
data_dir=()
[ -z "${DATA_DIR:-}" ] || data_dir=(--data-dir "$DATA_DIR")

# What is compared: the recipes, and ours with one thing taken away.
known=(offramp aebnas edanas nachos no-exits fixed-exits no-tuning)
names=("$@")
[ ${#names[@]} -gt 0 ] || names=("${known[@]}")

ours=small # our space
[ "$SIZE" != large ] || ours=cifar

# The spaces of the recipes at resolution 32, and those of the ablations, which follow ours.
#   no-exits     static networks
#   fixed-exits  where exits are is searched, what they are made of is not
#   no-tuning    thresholds are genes, as in EDANAS
space_of() {
  case $1 in
    no-exits) "$OFFRAMP" space show "$ours" --toml | sed '/^\[\[exit\]\]/,$d' ;;
    fixed-exits) "$OFFRAMP" space show "$ours" --toml | sed '/^\[\[exit\]\]/,$ {
        s/^depth = .*/depth = 1/; s/^type = .*/type = "separable"/; s/^kernel = .*/kernel = 3/; /^expand/d; /^ext/d
        s/^\(width\|stride\) = \[\([0-9]*\),.*/\1 = \2/ }' ;;
    no-tuning) "$OFFRAMP" space show "$ours" --toml | sed 's/^present = \[0, 1\]/threshold = [0.1, 0.2, 1]/' ;;
    offramp) "$OFFRAMP" space show "$ours" --toml ;;
    *) "$OFFRAMP" space show "$1" --toml | sed 's/^resolution = .*/resolution = 32/' ;;
  esac
}

# configure NAME: the words that make a run of it.
configure() {
  local recipe=$1
  case $1 in no-exits | fixed-exits | no-tuning) recipe=offramp ;; esac
  space_of "$1" >"$OUT/$1.toml"
  words=(--config "bench/compare/$SIZE/$recipe.toml" --space "$OUT/$1.toml")
  [ "$1" != no-tuning ] || words+=(--set tune.kind=genes)
}

run_one() {
  local name=$1 seed=$2 dir=$OUT/$1-$2 kept=$results/$1-$2
  if [ -f "$kept/compare.json" ]; then return; fi
  printf 'compare: %s, seed %s\n' "$name" "$seed" >&2
  if [ -f "$dir/archive.sqlite" ]; then
    "$OFFRAMP" resume "$dir" "${data_dir[@]}" >"$dir.log"
  else
    configure "$name"
    "$OFFRAMP" search "${words[@]}" "${options[@]}" "${data_dir[@]}" --seed "$seed" --out "$dir" --force >"$dir.log"
  fi
  mkdir -p "$kept"
  cp "$dir/front.csv" "$dir/run.toml" "$kept/"
  "$OFFRAMP" compare "$dir" --json >"$dir.json"
  mv "$dir.json" "$kept/compare.json"
}

# figure FILE KEY: a number of one run's comparison.
figure() { sed -n "s/.*\"$2\":\([0-9.e+-]*\).*/\1/p" "$1"; }

table() {
  local name seed file rows=""
  for name in "${known[@]}"; do
    for seed in "${seeds[@]}"; do
      file=$results/$name-$seed/compare.json
      [ -f "$file" ] || continue
      rows+="$name $seed $(figure "$file" test_hypervolume) $(figure "$file" curve_hypervolume) $(figure "$file" total) $(figure "$file" evaluated) $(figure "$file" failed)"$'\n'
    done
  done
  printf '%s' "$rows" | awk '
    { hv[$1] = hv[$1] sprintf(" %.4f", $3); sum[$1] += $3; all[$1] = all[$1] sprintf(" %.4f", $4); sum_all[$1] += $4
      macs[$1] += $5; n[$1]++; evals[$1] = evals[$1] " " $6 - $7 "/" $6 }
    END {
      for (k in n)
        printf "%.4f\t%s\t%.4f\t%s\t%.2e\t%s\t%s\n", sum_all[k] / n[k], k, sum[k] / n[k], hv[k], macs[k] / n[k],
               all[k], evals[k]
    }' | sort -rn | awk -F'\t' '
    BEGIN { print "| | all thresholds, mean | of each seed | one point a network, mean | of each seed | forward MACs x images | scored |"
            print "|---|--:|---|--:|---|--:|---|" }
    { printf "| %s | %s |%s | %s |%s | %s |%s |\n", $2, $1, $6, $3, $4, $5, $7 }' | tee "$results/table.md"
}

mkdir -p "$OUT" "$results"
for seed in "${seeds[@]}"; do
  for name in "${names[@]}"; do run_one "$name" "$seed"; done
done
table
