# shellcheck shell=bash disable=SC2154  # some variables are those of ./run and common.sh
# ./run gpu-peers: the reference networks against PyTorch on the same card in the same run, in under 9 minutes a call.

card_peers() {
  local again python="" candidate uuid case net
  again=$(again_or_fail gpu-peers "$@")
  card_begin gpu-peers $((9 * 60 - 20)) "$again"
  for candidate in "${PYTHON:-python3}" python3; do
    if "$candidate" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then python=$candidate && break; fi
  done
  [ -n "$python" ] || fail "gpu-peers: no python3 with a PyTorch that sees the card (PYTHON=... names another)"
  # What was cut goes on only on the very card where it began: ratios within one card.
  uuid=$(card_query uuid)
  for case in train:512 infer:1024 infer:1; do
    for net in min32 mid48 max64 cifar; do
      part "${case/:/-}-$net" 300 command "$python" bench/peers/torch_gpu.py --bench "${binaries[1]}" \
        --offramp "${binaries[0]}" --net $net --cases "$case" --out "$dir/$net-${case/:/-}-$uuid.jsonl"
    done
  done
  card_report "Offramp against PyTorch's best on a card (best / ours: above 1 we are faster)" \
    'PyTorch [0-9]|MACs, side|ours '
}
