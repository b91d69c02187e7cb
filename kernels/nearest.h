// Nearest spelling, for the messages of errors about unknown names.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace offramp {

// The candidate closest to `wanted` (edit distance with transpositions, case ignored; a candidate that starts
// with `wanted` counts as close), or "" when none is near enough to be a slip of the pen.
std::string nearest(std::string_view wanted, std::span<const std::string> candidates);

// "; did you mean 'cifar10'?" or "; known: a, b, c" when nothing is near: to be appended to a message.
std::string did_you_mean(std::string_view wanted, std::span<const std::string> candidates);

}  // namespace offramp
