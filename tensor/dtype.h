// Element types of tensors.
#pragma once
#include <string_view>
#include <type_traits>

#include "kernels/types.h"

namespace offramp {

enum class DType : u8 { f32, f64, i64, u8 };

constexpr offramp::i64 dtype_size(DType t) { return t == DType::f32 ? 4 : t == DType::u8 ? 1 : 8; }
constexpr std::string_view dtype_name(DType t) {
  switch (t) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::i64:
      return "i64";
    case DType::u8:
      return "u8";
  }
  return "?";
}

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, offramp::i64>)
    return DType::i64;
  else {
    static_assert(std::is_same_v<T, offramp::u8>, "no dtype for this type");
    return DType::u8;
  }
}

}  // namespace offramp
