// Element types of tensors.
#pragma once
#include <string_view>
#include <type_traits>

#include "kernels/bf16.h"
#include "kernels/types.h"

namespace offramp {

enum class DType : u8 { f32, f64, i64, u8, bf16 };

constexpr offramp::i64 dtype_size(DType t) {
  switch (t) {
    case DType::u8:
      return 1;
    case DType::bf16:
      return 2;
    case DType::f32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
  }
  return 8;
}
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
    case DType::bf16:
      return "bf16";
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
  else if constexpr (std::is_same_v<T, Bf16>)
    return DType::bf16;
  else {
    static_assert(std::is_same_v<T, offramp::u8>, "no dtype for this type");
    return DType::u8;
  }
}

}  // namespace offramp
