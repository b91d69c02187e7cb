#!/usr/bin/env bash
# ./run gpu: every device test and our own benchmarks on this machine's card, in under 8 minutes. Part by part: called again
# it goes on with what is missing.
. bench/card/common.sh
require_card
require_build
begin gpu 470

for suite in $(suites); do
  part "test-$suite" 120 "$card_build/cuda_tests" --gtest_filter="$suite.*"
done
for net in min32 mid48 max64 cifar; do
  part "bench-train-512-$net" 60 "$card_build/gpu_bench" --networks "$net" --mode train --batch 512
  for batch in 1 1024; do
    part "bench-infer-$batch-$net" 60 "$card_build/gpu_bench" --networks "$net" --mode infer --batch "$batch"
  done
done
for precision in tf32 f32; do
  part "bench-train-512-$precision" 60 "$card_build/gpu_bench" --networks mid48 --mode train --batch 512 --precision $precision
done

# The binary from end to end: a search, and what it chose evaluated on the card and on the host.
out=$results/search
part search 90 "$card_build/offramp" search --device cuda --data synthetic --space small --evals 40 --force --out "$out" \
  --set supernet.epochs=2 --set final.epochs=2 --set final.count=1
part eval-card 30 "$card_build/offramp" eval --device cuda --model "$out/chosen.safetensors"
part eval-host 30 "$card_build/offramp" eval --model "$out/chosen.safetensors"
finish bench- eval-
