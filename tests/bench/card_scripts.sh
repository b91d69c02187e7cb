#!/usr/bin/env bash
# Usage: card_scripts.sh SOURCE_DIR
# The gpu commands of ./run (bench/card/*.sh) without a card: what they say when something is missing or wrong, and
# what they run again. A copy of them runs in a folder of its own, on programs that stand for nvidia-smi, PyTorch,
# compute-sanitizer and our own binaries and note how they were called. Exit 1 when something is not as wanted, 77
# (skipped) where a tool that the scripts need is missing.
set -euo pipefail

source_dir=$1
for tool in timeout sha256sum awk paste tar; do
  if ! command -v "$tool" >/dev/null; then
    echo "SKIPPED: no $tool on this machine"
    exit 77
  fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bench" "$work/bin" "$work/build/cuda/bench" "$work/build/cuda/tests"
cp "$source_dir/run" "$work"
cp -r "$source_dir/bench/card" "$work/bench"
cd "$work"

failures=0
wrong() {
  echo "FAILED: $1"
  if [ -n "${2-}" ]; then sed 's/^/    /' "$2"; fi
  failures=$((failures + 1))
}

# program PATH <<TEXT: a script that notes its call in ./calls.
program() {
  { printf '#!/usr/bin/env bash\necho "%s $*" >>"%s/calls"\n' "${1##*/}" "$work" && cat; } >"$1"
  chmod +x "$1"
}
# Tools as they are here, but for those that a machine may have or not.
export PATH="$work/bin:/usr/bin:/bin" CUDA_HOME="$work/none" CUDACXX="" OFFRAMP_DATA="" JOBS=1
unset OFFRAMP_BUILD PYTHON

# run CODE WORD...: ./run WORD... has this exit code. Its output is in ./out and ./err, the calls are in ./calls.
run() {
  local want=$1 code=0
  shift
  : >calls
  ./run "$@" >out 2>err </dev/null || code=$?
  [ "$code" -eq "$want" ] || wrong "./run $*: exit code $code, wanted $want" err
}
# One line, for people, and nothing else.
says() {
  if [ -s out ] || [ "$(wc -l <err)" -ne 1 ] || ! grep -qF -- "$1" err; then wrong "wanted the one line '$1', got" err; fi
  if grep -v '^nvidia-smi' calls >ran; then wrong "something was run" ran; fi
}
in_err() { grep -qF -- "$1" err || wrong "wanted on stderr: '$1'" err; }
in_out() { grep -qE -- "$1" out || wrong "wanted in the report: '$1'" out; }
# called COUNT PATTERN
called() {
  local count
  count=$(grep -cE -- "$2" calls || true)
  [ "$count" -eq "$1" ] || wrong "$count calls of '$2', wanted $1" calls
}

# --- No card.
program bin/nvidia-smi <<<'exit 9'
for command in gpu gpu-peers gpu-sanitize gpu-search; do
  run 3 $command
  says "run: $command: no CUDA card on this machine: nothing was run"
done

# --- Wrong arguments.
for command in gpu gpu-peers gpu-sanitize; do
  run 1 $command --fast
  says "run: $command: unknown argument '--fast' (--again: forget earlier results)"
done
run 1 gpu-build now
says "run: gpu-build: unknown argument 'now'"
run 1 gpu-search --fast
says "run: gpu-search: unknown argument '--fast' (--data-dir DIR, --config FILE, --seconds N, --again)"
run 1 gpu-search --data-dir
says "run: gpu-search: --data-dir needs a value"
for seconds in 19 521 many -5; do
  run 1 gpu-search --seconds "$seconds"
  says "run: gpu-search: --seconds: wanted 20 to 520, got '$seconds'"
done
echo 'space = "small"' >empty.toml
run 1 gpu-search --config empty.toml
says 'run: gpu-search: empty.toml does not say data = "..."'

# --- A card, no build, no compiler.
program bin/nvidia-smi <<'EOT'
case $* in
  -L) echo 'GPU 0: pretended' ;;
  *) echo pretended ;;
esac
EOT
if command -v nvcc >/dev/null; then
  echo "SKIPPED: what is said without nvcc; it is in /usr/bin here"
else
  run 1 gpu
  says "run: no build for the card here and no nvcc: make build/card.tar.gz with './run gpu-build' elsewhere, carry it here"
  run 1 gpu-build
  says "run: gpu-build: no nvcc here"
fi

# --- A card and a build. What is in ./broken fails, in ./skipped has nothing to test.
touch broken skipped
program build/cuda/offramp <<'EOT'
case $1 in
  version) echo 'offramp 0, pretended' ;;
  space) echo 0,1,2 ;;
  search | resume)
    while [ "$1" != --out ] && [ "$1" != resume ]; do shift; done
    mkdir -p "$2/models"
    touch "$2/archive.sqlite"
    echo 'data = "cifar10"' >"$2/run.toml"
    echo 'supernet took 1 s'
    [ ! -f interrupted ] || exit 130
    touch "$2"/models/{1,2,3}.safetensors
    ;;
  eval) echo '{"accuracy": 0.91, "avg_macs": 9000000, "share": 1}' ;;
  compare) echo '{"evaluated": 1003, "failed": 2}' ;;
  data) [ ! -f no-data ] || { echo "no data" >&2 && exit 1; } ;;
esac
EOT
program build/cuda/bench/gpu_bench <<'EOT'
echo "train pretended"
! grep -qxF -- "$*" broken
EOT
program build/cuda/tests/cuda_tests <<'EOT'
if [ "$1" = --gtest_list_tests ]; then
  printf 'One.\n  Test\nTwo/0.  # TypeParam = float\n  Test\nCudaPlan.\n  Test\n'
elif grep -qxF -- "$1" skipped; then
  echo '[  SKIPPED ] 2 tests, listed below:'
else
  echo '[  PASSED  ] 3 tests.'
fi
EOT
train='--networks min32 --mode train --batch 512'

run 0 gpu
called 1 "^gpu_bench $train"
called 13 '^gpu_bench'
called 1 '^cuda_tests --gtest_filter=Two/0\.\*'
in_out '^train-min32 +passed$'
in_out '^test-One +passed \(3 tests\)$'
in_out '^18 passed, 0 failed, 0 skipped, 0 not finished or not reached$'
cp out first

# What has a result is not run again.
run 0 gpu
called 0 '^(gpu_bench|cuda_tests --gtest_filter|offramp (search|profile))'
in_err 'run: train-min32: passed (earlier)'
cmp -s out first || wrong "another report than before" out

# Failures and skipped tests are results.
echo "$train" >broken
echo '--gtest_filter=One.*' >skipped
run 1 gpu --again
called 13 '^gpu_bench'
in_out '^train-min32 +failed \(exit code 1\)$'
in_out '^test-One +SKIPPED \(all 2 tests'
in_out '^--- train-min32$'
in_out '^16 passed, 1 failed, 1 skipped, 0 not'
: >broken
run 1 gpu
called 0 '^gpu_bench'

# What was cut goes on, after what has not had its turn; the rest stays as it is.
program bin/timeout <<'EOT'
case $* in *"$(cat "${0%/*}/../to_cut")"*) exit 124 ;; esac
exec /usr/bin/timeout "$@"
EOT
echo "$train" >to_cut
run 4 gpu --again
called 12 '^gpu_bench'
in_err 'run: train-min32: not finished in 60 s'
in_err 'run: the same command goes on with what is left'
in_out '^train-min32 +NOT FINISHED in its time$'
rm bin/timeout
rm build/gpu/gpu/infer1-mid48.txt  # as if it had not been reached
run 0 gpu
called 2 '^gpu_bench'
[ "$(grep -m1 '^gpu_bench' calls)" = "gpu_bench --networks mid48 --mode infer --batch 1" ] ||
  wrong "what was cut kept another from its turn" calls
called 0 '^cuda_tests --gtest_filter'

# Of another build nothing counts; a carried one comes first.
mkdir build/card
cp build/cuda/offramp build/cuda/bench/gpu_bench build/cuda/tests/cuda_tests build/card
echo '# newer' >>build/card/gpu_bench
tar -czf build/card.tar.gz -C build card
rm -r build/card
run 0 gpu
in_err 'run: unpacking build/card.tar.gz'
in_err 'run: using the carried build in build/card'
called 13 '^gpu_bench'
rm -r build/card build/card.tar.gz

# Without a single test that could run, nothing has passed.
run 1 gpu-sanitize
in_err 'run: gpu-sanitize: no compute-sanitizer on this machine'
called 0 '^cuda_tests --gtest_filter'
program bin/compute-sanitizer <<'EOT'
[ ! -f unsupported ] || { echo '========= Error: Device not supported' && exit 1; }
while [[ $1 == --* ]]; do case $1 in --tool | --error-exitcode) shift 2 ;; *) shift ;; esac done
exec "$@"
EOT
touch unsupported
run 3 gpu-sanitize
in_err 'does not support this machine'
called 0 '^cuda_tests --gtest_filter'
rm unsupported
run 0 gpu-sanitize
called 3 '^compute-sanitizer --tool memcheck .*--gtest_filter=(One|Two/0|CudaPlan)\.\*$'
called 3 '^compute-sanitizer --tool racecheck'
in_out '^memcheck-CudaPlan +passed'
run 0 gpu-sanitize
called 1 '^compute-sanitizer'  # whether it can
printf -- '--gtest_filter=%s\n' 'One.*' 'Two/0.*' 'CudaPlan.*' CudaTraining.SupernetTrains >skipped
run 3 gpu-sanitize --again
in_out '^0 passed, 0 failed, 7 skipped'

# --- PyTorch.
program bin/python3 <<'EOT'
[ "$1" != -c ] || [ ! -f no-torch ] || exit 1
EOT
touch no-torch
run 1 gpu-peers
in_err 'run: gpu-peers: no python3 with a PyTorch that sees the card'
called 0 'torch_gpu.py'
rm no-torch
run 0 gpu-peers
called 12 '^python3 bench/peers/torch_gpu.py'
run 0 gpu-peers
called 0 'torch_gpu.py'

# --- A whole search, interrupted by its own clock.
touch no-data interrupted
run 1 gpu-search
in_err "run: gpu-search: cifar10 is not (whole) in 'build/data'"
rm no-data
run 4 gpu-search --seconds 30
called 1 '^offramp search --config build/gpu/gpu-search/config.toml .*--max-seconds'
in_out '^search +NOT FINISHED'
in_out '^figures +NOT REACHED'
rm interrupted
run 0 gpu-search
called 0 '^offramp search'
called 1 '^offramp resume build/gpu/gpu-search/run '
in_out '^search  candidates  1003 evaluated, 2 of them failed; wanted 1000: as wanted$'
in_out '^search  networks    3 trained to the end; wanted 3: as wanted$'
in_out '^search  time        .* s in 2 calls; wanted at most 480: as wanted$'
in_out '^search  accuracy    91.00 % of the test images; wanted 90 %: as wanted$'
run 0 gpu-search
called 0 '^offramp (search|resume|eval)'
# Other settings are another search.
{ cat bench/card/search.toml && echo '# other'; } >other.toml
run 0 gpu-search --config other.toml
called 1 '^offramp search'

for file in run bench/card/*.sh; do bash -n "$file" || wrong "$file: not well formed"; done
if command -v shellcheck >/dev/null; then
  shellcheck -x run bench/card/*.sh >found 2>&1 || wrong "shellcheck" found
else
  echo "SKIPPED: shellcheck, which is not on this machine"
fi

if [ "$failures" -gt 0 ]; then
  echo "$failures not as wanted"
  exit 1
fi
echo "all as wanted"
