// Names shared by every layer. Plain C header below: target-specific files may include it.
#pragma once
#include <stdint.h>

namespace offramp {

using i32 = int32_t;
using i64 = int64_t;
using u8 = uint8_t;
using u32 = uint32_t;
using u64 = uint64_t;

// Activation applied element by element.
//   relu6(x) = min(max(x,0),6)   hard_sigmoid(x) = relu6(x+3)/6   hard_swish(x) = x * hard_sigmoid(x)
enum class Act : u8 { none, relu, relu6, hard_swish, hard_sigmoid, sigmoid };

}  // namespace offramp
