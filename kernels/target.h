// Which instruction set the host kernels use.
#pragma once
#include <span>
#include <string_view>

#include "kernels/types.h"

namespace offramp {

enum class Target : u8 { portable, avx2, avx512 };

std::string_view target_name(Target target);
// "portable", "avx2", "avx512"; throws Error(usage) on anything else.
Target parse_target(std::string_view name);

// Both the processor (CPUID) and the operating system (XCR0 register state) must support it.
bool cpu_supports(Target target);
// Every target compiled into this build, widest last.
std::span<const Target> built_targets();

// OFFRAMP_TARGET when it is set (throws Error(usage) when unknown), else the widest target of this CPU.
// May name a target this CPU lacks: recording a plan for it is allowed, running is refused by Exec.
Target default_target();

}  // namespace offramp
