#!/usr/bin/env bash
# ./run gpu-sanitize: the device tests of kernels under compute-sanitizer's memcheck and racecheck. Whole trainings are left
# out: they launch the same kernels, thousands of times.
. bench/card/common.sh
require_card
require_build
sanitizer=$(command -v compute-sanitizer || true)
[ -n "$sanitizer" ] || for sanitizer in /usr/local/cuda/bin/compute-sanitizer /opt/cuda/bin/compute-sanitizer; do
  [ ! -x "$sanitizer" ] || break
done
[ -x "$sanitizer" ] || fail_card "compute-sanitizer is not on PATH"
begin gpu-sanitize 530

for tool in memcheck racecheck; do
  for suite in $(suites | grep -v 'CudaTraining'); do
    part "$tool-$suite" 240 "$sanitizer" --tool $tool --error-exitcode 9 "$card_build/cuda_tests" --gtest_filter="$suite.*"
  done
done
finish memcheck- racecheck-
