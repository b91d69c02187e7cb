# shellcheck shell=bash disable=SC2154  # some variables are those of ./run and common.sh
# ./run gpu-build: a build to carry to a machine that has a card and perhaps neither network nor packages.

most_carried=$((64 << 20))

card_build() {
  [ $# -eq 0 ] || fail "gpu-build: unknown argument '$*'"
  find_nvcc || fail "gpu-build: $no_nvcc"
  local dir=build/cuda-sm90 bytes file
  need "its tests" libgtest-dev
  # One architecture, to stay small; nothing shared beside libc, libm and the driver.
  configure_cuda "$dir" 90-real -DOFFRAMP_TESTS=ON -DOFFRAMP_BENCH=ON \
    "-DCMAKE_EXE_LINKER_FLAGS=-static-libstdc++ -static-libgcc"
  cmake --build "$dir" -j "$jobs" --target offramp gpu_bench cuda_tests >&2
  rm -rf "$card_built"
  mkdir -p "$card_built"
  for file in offramp bench/gpu_bench tests/cuda_tests; do
    strip -o "$card_built/${file##*/}" "$dir/$file"
    if ldd "$card_built/${file##*/}" | grep -qE 'libstdc\+\+|libgcc_s'; then
      fail "gpu-build: $file still wants a shared libstdc++ or libgcc"
    fi
  done
  tar -czf "$card_archive" -C build "${card_built#build/}"
  touch "$card_built/.unpacked"
  bytes=$(stat -c %s "$card_archive")
  say "$card_archive: $bytes bytes ($(((bytes + (1 << 20) - 1) >> 20)) MiB), sm_90 only"
  [ "$bytes" -le "$most_carried" ] || fail "gpu-build: that is more than the $most_carried bytes that can be carried"
}
