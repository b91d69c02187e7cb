#!/usr/bin/env bash
# ./run gpu-peers: training steps and inference against PyTorch on this machine's card, in the same run. Needs python3 with
# torch. One part a network; what was measured is kept and not measured again.
. bench/card/common.sh
require_card
require_build
python3 -c 'import torch' 2>/dev/null || fail_card "python3 has no torch here: nothing to compare with"
begin gpu-peers 530

for net in min32 mid48 max64; do
  part "peers-$net" 300 python3 bench/peers/torch_gpu.py --bench "$card_build/gpu_bench" --net "$net" --out "$results/$net.jsonl"
done
finish peers-
