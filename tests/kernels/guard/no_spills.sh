#!/bin/sh
# Usage: no_spills.sh OBJDUMP PATTERN REGISTER OBJECT...
# Sums of a micro-kernel that the compiler keeps on the stack instead of in registers cost a third of its speed, and
# a loop over them that is not unrolled is enough. Requires that no function whose name matches the pattern touches
# the stack with such a register (zmm, ymm). Prints the offenders; exit 1 when there is one.
set -eu
objdump=$1 pattern=$2 register=$3
shift 3
work=$(mktemp)
trap 'rm -f "$work"' EXIT
# The stack and frame pointers as a base, in the syntax of binutils and of LLVM.
"$objdump" -d --no-show-raw-insn "$@" | awk -v pattern="$pattern" -v reg="%$register" '
  />:$/ { name = $2; inside = name ~ pattern; seen += inside }
  inside && index($0, reg) && /\(%r[sb]p[,)]/ { print name, $0 }
  END { if (!seen) { print "no function matches " pattern } }
' >"$work"
if [ -s "$work" ]; then
  cat "$work"
  exit 1
fi
