# shellcheck shell=bash disable=SC2154  # some variables are those of ./run and common.sh
# What the gpu commands of ./run share: the card, the build they use, parts with deadlines, the report.
# Sourced by ./run (say, fail and configure are its).
#
# A part is one command with one result file, build/gpu/COMMAND/PART.txt: its output, then the line "result: STATE".
# What has a result is not run again, so a command that was cut goes on where it was; a part that its own time limit or
# the command's ended has none. Results of another build or another kind of card are thrown away.

card_root=build/gpu
card_built=build/card             # offramp, gpu_bench, cuda_tests: as carried
card_archive=build/card.tar.gz
no_card=3 not_reached=4           # exit codes

# Where the driver is, nvidia-smi may not be.
has_card() {
  if command -v nvidia-smi >/dev/null; then
    nvidia-smi -L 2>/dev/null | grep '^GPU ' >/dev/null
  else
    [ -e /dev/nvidia0 ]
  fi
}

# card_query FIELD: of the first card.
card_query() { nvidia-smi --query-gpu="$1" --format=csv,noheader -i 0 2>/dev/null || echo unknown; }

need_card() {
  has_card && return 0
  say "$1: no CUDA card on this machine: nothing was run"
  exit "$no_card"
}

# Sets `binaries`: an array of offramp, gpu_bench, cuda_tests. A carried build first, then build/cuda, else one is made.
find_build() {
  local dir=${OFFRAMP_BUILD:-build/cuda}
  if [ -f "$card_archive" ] && { [ ! -x "$card_built/offramp" ] || [ "$card_archive" -nt "$card_built/.unpacked" ]; }; then
    say "unpacking $card_archive"
    rm -rf "$card_built"
    tar -xzf "$card_archive" -C build
    touch "$card_built/.unpacked"
  fi
  if [ -x "$card_built/offramp" ]; then
    binaries=("$card_built/offramp" "$card_built/gpu_bench" "$card_built/cuda_tests")
    say "using the carried build in $card_built"
    return 0
  fi
  if [ ! -x "$dir/offramp" ] || [ ! -x "$dir/bench/gpu_bench" ] || [ ! -x "$dir/tests/cuda_tests" ]; then
    find_nvcc || fail "no build for the card here and no nvcc: make $card_archive with './run gpu-build' elsewhere, carry it here"
    say "no build for the card here: building in $dir, for $(card_query compute_cap)"
    configure_cuda "$dir" "$(card_query compute_cap | tr -cd 0-9)" -DOFFRAMP_TESTS=ON -DOFFRAMP_BENCH=ON
    timeout "$(seconds_left)" cmake --build "$dir" -j "$jobs" --target offramp gpu_bench cuda_tests >&2 ||
      fail "the build failed or took too long; the same command goes on with it"
  fi
  binaries=("$dir/offramp" "$dir/bench/gpu_bench" "$dir/tests/cuda_tests")
  say "using the build in $dir"
}

seconds_left() { echo $((card_deadline > SECONDS ? card_deadline - SECONDS : 0)); }

# card_begin COMMAND SECONDS [again]: the deadline counts from here. Sets `dir`, of results.
card_begin() {
  card_command=$1
  card_deadline=$((SECONDS + $2))
  parts=() deferred=()
  need_card "$card_command"
  find_build
  dir=$card_root/$card_command
  if [ "${3-}" = again ]; then rm -rf "$dir"; fi
  mkdir -p "$dir"
  local identity
  identity=$({ card_query name,driver_version && sha256sum "${binaries[@]}"; } | sha256sum | cut -c1-16)
  if [ "$(cat "$dir/identity" 2>/dev/null || true)" != "$identity" ]; then
    rm -rf "$dir"
    mkdir -p "$dir"
    echo "$identity" >"$dir/identity"
  fi
}

result_file() { printf '%s' "$dir/${1//\//-}.txt"; }
state_of() {
  if [ -f "$(result_file "$1")" ]; then sed -n 's/^result: //p' "$(result_file "$1")" | tail -1; fi
}

# What a test binary says of itself: where every test was skipped, nothing has passed.
test_state() {
  local file=$1 passed skipped
  passed=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$file" | tail -1)
  skipped=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test.*/\1/p' "$file" | tail -1)
  if [ "${passed:-0}" -gt 0 ]; then
    echo "passed (${passed} tests${skipped:+, ${skipped} skipped})"
  elif [ "${skipped:-0}" -gt 0 ]; then
    echo "SKIPPED (all ${skipped} tests: $(grep -m1 -o 'no CUDA card[a-z ]*' "$file" || echo 'see its output'))"
  else
    echo "failed (no test ran)"
  fi
}

# part PART LIMIT tests|command WORD...: runs it unless it has a result. LIMIT in seconds, the command's deadline is
# another. What an earlier call had to cut waits until card_report, so that it cannot keep others from their turn.
part() {
  local state
  parts+=("$1")
  state=$(state_of "$1")
  if [ -n "$state" ]; then
    say "$1: $state (earlier)"
  elif [ -f "$(result_file "$1").cut" ]; then
    deferred+=("$(printf '%q ' "$@")")
  else
    run_part "$@"
  fi
}

run_part() {
  local name=$1 limit=$2 kind=$3 left file state rc=0
  shift 3
  left=$(seconds_left)
  if [ "$left" -lt 5 ]; then return 0; fi
  limit=$((limit < left ? limit : left))
  file=$(result_file "$name")
  echo "\$ $*" >"$file.cut"
  timeout -k 3 "$limit" "$@" >>"$file.cut" 2>&1 </dev/null || rc=$?
  if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
    say "$name: not finished in $limit s"
    return 0
  fi
  if [ "$rc" -ne 0 ]; then
    state="failed (exit code $rc)"
  elif [ "$kind" = tests ]; then
    state=$(test_state "$file.cut")
  else
    state=passed
  fi
  echo "result: $state" >>"$file.cut"
  mv "$file.cut" "$file"
  say "$name: $state"
}

test_suites() { "${binaries[2]}" --gtest_list_tests | sed -n 's/^\([A-Za-z][A-Za-z0-9_/]*\)\..*/\1/p'; }

# card_report TITLE PATTERN: build/gpu/FILE.txt from the parts: what ran on what, the state of each part, lines that match
# PATTERN, and the end of each failure. The exit code says the worst.
card_report() {
  local file=$card_root/report.txt name state passed=0 failed=0 skipped=0 open=0 words
  for words in "${deferred[@]}"; do eval "run_part $words"; done
  if [ "$card_command" != gpu ]; then file=$card_root/report-${card_command#gpu-}.txt; fi
  {
    echo "$1"
    echo "card:    $(card_query name), driver $(card_query driver_version), $(card_query memory.total)"
    echo "host:    $(uname -sm), $(nproc) cores"
    "${binaries[0]}" version | sed -n -e '1s/^/build:   /p' -e 's/^cuda  */cuda:    /p'
    echo
    for name in "${parts[@]}"; do
      state=$(state_of "$name")
      if [ -z "$state" ] && [ -f "$(result_file "$name").cut" ]; then state="NOT FINISHED in its time"; fi
      printf '%-34s %s\n' "$name" "${state:-NOT REACHED}"
      case $state in
        passed*) passed=$((passed + 1)) ;;
        SKIPPED*) skipped=$((skipped + 1)) ;;
        failed*) failed=$((failed + 1)) ;;
        *) open=$((open + 1)) ;;
      esac
    done
    echo
    echo "$passed passed, $failed failed, $skipped skipped, $open not finished or not reached"
    for name in "${parts[@]}"; do
      if [ -f "$(result_file "$name")" ]; then grep -hE -e "$2" "$(result_file "$name")" || true; fi
    done | awk 'NR == 1 { print "" } /: copy / && limits++ { next } { print }'
    for name in "${parts[@]}"; do
      case $(state_of "$name") in
        failed*) printf '\n--- %s\n' "$name" && tail -25 "$(result_file "$name")" ;;
      esac
    done
  } >"$file.new"
  mv "$file.new" "$file"
  cat "$file"
  say "report: $file"
  if [ "$failed" -gt 0 ]; then exit 1; fi
  if [ "$open" -gt 0 ]; then
    say "the same command goes on with what is left"
    exit "$not_reached"
  fi
  if [ "$passed" -eq 0 ]; then exit "$no_card"; fi
}

# again_or_fail COMMAND WORD...: the one argument that these commands know; prints "again" for it.
again_or_fail() {
  local command=$1
  shift
  [ $# -gt 0 ] || return 0
  [ "$*" = --again ] || fail "$command: unknown argument '$*' (--again: forget earlier results)"
  echo again
}
