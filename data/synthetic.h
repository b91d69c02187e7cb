// Generated 32x32 colour images of ten classes whose difficulty varies and is known.
#pragma once
#include "data/dataset.h"

namespace offramp::data {

// `count` samples of stream `stream` (0: training pool, 1: test). Sample i depends on (seed, stream, i) only;
// every 40 consecutive samples hold each class at each difficulty 0..3 once, in random order.
Dataset synthetic(u64 seed, u64 stream, i64 count);

}  // namespace offramp::data
