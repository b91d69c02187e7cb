// What the implementations of the operations share. Not for use outside this folder.
#pragma once
#include <initializer_list>
#include <string>
#include <utility>

#include "autograd/variable.h"
#include "kernels/error.h"
#include "kernels/recorder.h"

namespace offramp::ops {

[[noreturn]] inline void refuse(const char* op, const std::string& wanted, const std::string& got) {
  throw input_error(std::string(op) + ": " + wanted + " wanted, got " + got);
}

// Runs body(T{}) with T = float or double, the element type of x.
template <class Body>
decltype(auto) dispatch(const char* op, const Tensor& x, Body&& body) {
  if (x.dtype() == DType::f32) return body(float{});
  if (x.dtype() == DType::f64) return body(double{});
  refuse(op, "f32 or f64 elements", std::string(dtype_name(x.dtype())));
}

inline bool is_dry(const Exec& exec) { return exec.recorder && exec.recorder->dry; }

// The device of the result: meta when any operand is. Throws when the operands' types differ, or when there
// is no memory to compute with and no dry recorder to catch the call.
inline Device common_device(const char* op, const Exec& exec, std::initializer_list<const Tensor*> operands) {
  const Tensor& first = **operands.begin();
  Device device = first.device();
  for (const Tensor* t : operands) {
    if (!t->defined()) continue;
    if (t->dtype() != first.dtype())
      refuse(op, "operands of type " + std::string(dtype_name(first.dtype())),
             std::string(dtype_name(t->dtype())));
    if (t->device() == Device::meta) device = Device::meta;
  }
  if (device == Device::meta && !is_dry(exec))
    throw usage_error(std::string(op) +
                      ": tensors without memory can only be recorded (dry recorder), not computed");
  return device;
}

inline const Tensor& tensor_or_none(const Variable& v) {
  static const Tensor none;
  return v.defined() ? v.value() : none;
}

template <class T>
const T* data_or_null(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

inline void require_rank(const char* op, const char* name, const Tensor& t, i64 rank) {
  if (t.rank() != rank)
    refuse(op, std::string(name) + " of rank " + std::to_string(rank), "shape " + t.shape().str());
}

// The tensor itself when its elements lie in row-major order without gaps, else a copy. On meta tensors too.
inline Tensor packed(const Tensor& t) {
  if (!t.defined() || t.is_contiguous()) return t;
  if (t.device() == Device::meta) return Tensor::empty(t.shape(), t.dtype(), t.device());
  return t.contiguous();
}

// Sum over the rows of a contiguous tensor [...,c]: the gradient of a bias. Chunks depend on the shape alone
// and are added in order.
Tensor column_sum(Exec& exec, const Tensor& rows);

}  // namespace offramp::ops
