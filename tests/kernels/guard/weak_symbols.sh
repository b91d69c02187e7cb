#!/bin/sh
# Usage: weak_symbols.sh COMPILER NM SOURCE_DIR SUFFIX FLAGS...
# Compiles every kernels/**/*SUFFIX at -O0 and requires zero weak symbols: an inline function of a header, compiled
# here with wide instructions, could be picked by the linker for CPUs that lack them. At -O2 the check is blind,
# because most such functions vanish. Prints each offender; exit 1 when there is one. DW.ref.__gxx_personality_v0 is none:
# a pointer to the run-time library that -O0 leaves behind for clean-ups, without a single instruction.
set -eu
compiler=$1 nm=$2 root=$3 suffix=$4
shift 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

weak_symbols_of() { # source flags...
  source=$1
  shift
  "$compiler" -std=c++20 -O0 "$@" -I"$root" -c "$source" -o "$work/object.o"
  "$nm" -C "$work/object.o" | grep -E ' [WwVvu] ' | grep -v ' V DW\.ref\.__gxx_personality_v0$' || true
}

# The check itself must be able to fail.
printf 'inline int twice(int x) { return 2 * x; }\nint use(int x) { return twice(x); }\n' >"$work/bad.cpp"
if [ -z "$(weak_symbols_of "$work/bad.cpp" "$@")" ]; then
  echo "the check is blind: an inline function was not seen as weak"
  exit 1
fi

bad=0 seen=0
for source in $(find "$root/kernels" -name "*$suffix" | sort); do
  seen=$((seen + 1))
  found=$(weak_symbols_of "$source" "$@")
  if [ -n "$found" ]; then
    echo "$source: weak symbols"
    echo "$found"
    bad=1
  fi
done
if [ "$seen" = 0 ]; then
  echo "no file kernels/**/*$suffix"
  exit 1
fi
exit $bad
