# shellcheck shell=bash disable=SC2154  # some variables are those of ./run and common.sh
# ./run gpu-sanitize: device tests under compute-sanitizer, in under 9 minutes a call.

find_sanitizer() {
  local candidate
  for candidate in compute-sanitizer "${CUDA_HOME:-/usr/local/cuda}"/{bin,compute-sanitizer}/compute-sanitizer; do
    if command -v "$candidate" >/dev/null; then sanitizer=$candidate && return 0; fi
  done
  fail "gpu-sanitize: no compute-sanitizer on this machine (part of the CUDA toolkit)"
}

card_sanitize() {
  local again tool suite sanitizer
  again=$(again_or_fail gpu-sanitize "$@")
  card_begin gpu-sanitize $((9 * 60 - 20)) "$again"
  find_sanitizer
  # Its own exit code does not count.
  if { "$sanitizer" "${binaries[2]}" --gtest_filter=CudaLanguage.Shuffles 2>&1 || true; } |
    grep 'Device not supported' >/dev/null; then
    say "gpu-sanitize: compute-sanitizer does not support this machine's card or its driver: nothing was run"
    exit "$no_card"
  fi
  # racecheck looks at shared memory, so only at kernels: whole trainings and profiles would take their time and add none.
  # The longest suites come last.
  for tool in memcheck racecheck; do
    for suite in $(test_suites | grep -vE '^Cuda(Training|Search|Profile|Conv2d/|Plan$)') $(test_suites | grep -E '^CudaConv2d/|^CudaPlan$'); do
      part "$tool-$suite" 120 tests "$sanitizer" --tool $tool --error-exitcode 9 "${binaries[2]}" "--gtest_filter=$suite.*"
    done
  done
  part memcheck-CudaTraining.SupernetTrains 180 tests "$sanitizer" --tool memcheck --error-exitcode 9 "${binaries[2]}" \
    --gtest_filter=CudaTraining.SupernetTrains
  card_report "Offramp's device tests under compute-sanitizer" '========= (ERROR|RACECHECK) SUMMARY|Device not supported'
}
