# shellcheck shell=bash disable=SC2154  # some variables are those of ./run and common.sh
# ./run gpu: every device test and our own benchmarks on a card, in under 8 minutes.

# A small search on the card, then its chosen network scored there and on the host.
card_search() {
  local offramp=$1 out=$2 device
  rm -rf "$out"
  "$offramp" search --data synthetic --space small --evals 12 --device cuda --out "$out" --set supernet.epochs=2 \
    --set final.epochs=2 --set final.count=1
  for device in cpu cuda; do
    "$offramp" eval --model "$out/chosen.safetensors" --data synthetic --device "$device" --precision f32 --json |
      grep -oE '"(accuracy|avg_macs|share)": *[^,}]*' >"$out/$device.txt"
  done
  echo "eval on the host and on the card:"
  # A sample beside a threshold may leave elsewhere.
  paste "$out/cpu.txt" "$out/cuda.txt" | awk '
    { print; scale = $2 > 1 ? $2 : 1; if ($2 - $4 > 0.002 * scale || $4 - $2 > 0.002 * scale) differs = 1 }
    END { if (differs || NR < 3) { print "not the same network by its figures"; exit 1 } }'
}

card_profile() {
  local genotype
  genotype=$("$1" space sample small)
  "$1" profile --device cuda --precision bf16 --batch 256 --space small --genotype "$genotype"
  "$1" profile --device cuda --precision bf16 --batch 256 --space small --genotype "$genotype" --train
}

card_gpu() {
  local again suite net
  again=$(again_or_fail gpu "$@")
  card_begin gpu $((8 * 60 - 20)) "$again"
  # Figures first: a test that hangs must not cost them.
  for net in min32 mid48 max64 cifar; do
    part "train-$net" 60 command "${binaries[1]}" --networks $net --mode train --batch 512
    part "infer1-$net" 40 command "${binaries[1]}" --networks $net --mode infer --batch 1
    part "infer1024-$net" 40 command "${binaries[1]}" --networks $net --mode infer --batch 1024
  done
  export -f card_profile card_search
  part profile 40 command bash -euo pipefail -c 'card_profile "$@"' card_profile "${binaries[0]}"
  part rows-mid48 40 command "${binaries[1]}" --networks mid48 --mode rows
  for suite in $(test_suites); do
    part "test-$suite" 90 tests "${binaries[2]}" "--gtest_filter=$suite.*"
  done
  part search 120 command bash -euo pipefail -c 'card_search "$@"' card_search "${binaries[0]}" "$dir/search"
  card_report "Offramp on a card: tests and benchmarks (graph = a captured step or pass, ratio = graph / floor)" \
    '^(train|infer) |: copy '
}
