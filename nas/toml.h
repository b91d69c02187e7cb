// The door to toml++: include this, never <toml++/toml.h>. For .cpp files only, it is a heavy header.
//
// toml++ 3.3 aborts on some malformed files ("[=]", "[.a]"): an assertion stands in front of the very check
// that reports the error, and with NDEBUG the assertion becomes a promise to the optimiser, which drops the
// check. So its assertions are switched off here, and NDEBUG with them. All units of a binary must agree on
// that.
#pragma once
#ifdef NDEBUG
#undef NDEBUG
#endif
#define TOML_ASSERT(expr) static_cast<void>(0)
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>
#include <string>

namespace offramp::nas {

// Parses a TOML text. Throws Error(input), "path:line: wanted TOML, got: ...", always in one line.
toml::table parse_toml(const std::string& text, const std::string& path);

}  // namespace offramp::nas
