# What the scripts of a card share: parts with results of their own, deadlines, one report. Sourced, from the root.
#
# A part that was finished is not run again: its result lies in a folder that is named after the program it ran, so another
# build starts afresh. A part that failed, ran out of time or skipped everything is run again.
set -euo pipefail

card_build=${CARD_BUILD:-build/card}

fail_card() {
  printf '%s\n' "run: $*" >&2
  exit 3
}

# The build to run: what lies in build/card, else what was carried as build/card.tar.gz.
require_build() {
  if [ ! -x "$card_build/cuda_tests" ] && [ -f "$card_build.tar.gz" ]; then
    mkdir -p "$card_build"
    tar -xzf "$card_build.tar.gz" -C "$card_build"
  fi
  [ -x "$card_build/cuda_tests" ] || fail_card "no build for a card in $card_build: ./run gpu-build makes one"
}

require_card() {
  command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q . ||
    fail_card "no CUDA card on this machine: nothing was run"
}

# begin NAME SECONDS: opens the results of ./run NAME; all its parts together may take SECONDS.
begin() {
  report_name=$1
  deadline=$((SECONDS + $2))
  results=build/card-results/$1-$(cksum <"$card_build/cuda_tests" | cut -d' ' -f1)
  parts=()
  mkdir -p "$results"
}

# part NAME SECONDS COMMAND...: state and output end up in the results. The states: passed, skipped (a test program that
# skipped every test), failed, timeout, not reached.
part() {
  local name=${1//\//-} limit=$2 start=$SECONDS state code=0
  shift 2
  parts+=("$name")
  [ "$(cat "$results/$name.state" 2>/dev/null)" != passed ] || return 0
  if [ $((deadline - SECONDS)) -lt "$limit" ]; then limit=$((deadline - SECONDS)); fi
  if [ "$limit" -le 0 ]; then
    echo "not reached" >"$results/$name.state"
    return 0
  fi
  printf '%s\n' "run: $report_name: $name" >&2
  timeout -k 5 "$limit" "$@" >"$results/$name.txt" 2>&1 || code=$?
  case $code in
    0) state=passed ;;
    124 | 137) state=timeout ;;
    *) state=failed ;;
  esac
  if [ $state = passed ] && grep -q '^\[  SKIPPED \]' "$results/$name.txt" && ! grep -q '^\[       OK \]' "$results/$name.txt"; then
    state=skipped
  fi
  echo "$state" >"$results/$name.state"
  echo "$((SECONDS - start))" >"$results/$name.seconds"
}

# The suites of the device tests, one a line.
suites() { "$card_build/cuda_tests" --gtest_list_tests | sed -n 's/^\([A-Za-z0-9_/]*\)\..*/\1/p'; }

# finish SHOWN...: writes and prints the report, with the output of parts whose names begin with one of SHOWN and of those
# that did not pass. Fails unless every part passed.
finish() {
  local report=build/card-results/$report_name.txt name state left=0
  {
    printf '%s, %s\n' "$report_name" "$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -1)"
    "$card_build/offramp" version
    printf '\n'
    for name in "${parts[@]}"; do
      state=$(cat "$results/$name.state")
      printf '%-12s %4s s  %s\n' "$state" "$(cat "$results/$name.seconds" 2>/dev/null || echo -)" "$name"
      [ "$state" = passed ] || left=$((left + 1))
    done
    printf '\n%d of %d parts passed\n' $((${#parts[@]} - left)) ${#parts[@]}
    for name in "${parts[@]}"; do
      state=$(cat "$results/$name.state")
      if [ "$state" = passed ]; then
        local shown=0 prefix
        for prefix in "$@"; do case $name in "$prefix"*) shown=1 ;; esac; done
        [ $shown = 1 ] || continue
      fi
      [ -f "$results/$name.txt" ] || continue
      printf '\n== %s: %s\n' "$name" "$state"
      tail -n 60 "$results/$name.txt"
    done
  } >"$report"
  cat "$report"
  printf '%s\n' "run: report in $report" >&2
  [ $left = 0 ]
}
