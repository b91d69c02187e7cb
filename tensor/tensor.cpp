#include "tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "kernels/cuda/built.h"
#include "kernels/cuda/strided.h"
#include "kernels/error.h"
#include "tensor/strided.h"

namespace offramp {

namespace {

Extents row_major(const Shape& shape) {
  Extents strides(size_t(shape.rank()));
  i64 step = 1;
  for (i64 i = shape.rank() - 1; i >= 0; --i) {
    strides[size_t(i)] = step;
    step *= std::max<i64>(shape[i], 1);
  }
  return strides;
}

[[noreturn]] void refuse(const std::string& what) { throw input_error("tensor: " + what); }

// Calls f with a null pointer of the element type.
template <class F>
decltype(auto) with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(static_cast<float*>(nullptr));
    case DType::f64:
      return f(static_cast<double*>(nullptr));
    case DType::i64:
      return f(static_cast<i64*>(nullptr));
    case DType::bf16:
      return f(static_cast<Bf16*>(nullptr));
    case DType::u8:
      break;
  }
  return f(static_cast<u8*>(nullptr));
}

// Floating point to integer saturates and truncates, NaN gives 0: never undefined, whatever the data.
template <class To, class From>
To convert(From v) {
  if constexpr (std::is_same_v<From, Bf16>) {
    return convert<To>(float(v));
  } else if constexpr (std::is_same_v<To, Bf16>) {
    return Bf16(float(v));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (std::isnan(v)) return 0;
    if (double(v) <= double(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (double(v) >= double(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return To(v);
  } else if constexpr (std::is_same_v<To, u8> && std::is_same_v<From, i64>) {
    return u8(std::clamp<i64>(v, 0, 255));
  } else {
    return To(v);
  }
}

template <class T>
void copy_runs(const detail::StridedPair& pair, T* to, const T* from) {
  const i64 n = pair.inner.extent, step_to = pair.inner.a, step_from = pair.inner.b;
  if (step_to == 1 && step_from == 1) {
    pair.for_each_run([&](i64 a, i64 b) { std::memcpy(to + a, from + b, size_t(n) * sizeof(T)); });
  } else {
    pair.for_each_run([&](i64 a, i64 b) {
      T* out = to + a;
      const T* in = from + b;
      for (i64 i = 0; i < n; ++i) out[i * step_to] = in[i * step_from];
    });
  }
}

template <class T>
void add_runs(const detail::StridedPair& pair, T* to, const T* from) {
  const i64 n = pair.inner.extent, step_to = pair.inner.a, step_from = pair.inner.b;
  pair.for_each_run([&](i64 a, i64 b) {
    T* out = to + a;
    const T* in = from + b;
    if (step_to == 1 && step_from == 1) {
      for (i64 i = 0; i < n; ++i) out[i] += in[i];
    } else {
      for (i64 i = 0; i < n; ++i) out[i * step_to] += in[i * step_from];
    }
  });
}

void require_addable(const Tensor& sum, const Tensor& term) {
  if (!sum.defined() || !term.defined()) refuse("add_ with an undefined tensor");
  const DType dtype = sum.dtype();
  if (sum.shape() != term.shape() || dtype != term.dtype() || dtype == DType::i64 || dtype == DType::u8 ||
      (dtype == DType::bf16 && sum.device() == Device::cpu))
    refuse("cannot add " + std::string(dtype_name(term.dtype())) + " " + term.shape().str() + " to " +
           std::string(dtype_name(dtype)) + " " + sum.shape().str());
  if (sum.device() != Device::meta && term.device() == Device::meta)
    refuse("cannot read a meta tensor " + term.shape().str());
}

// body(gpu) where this build has a card's kernels; without them no tensor lies there.
template <class Body>
void on_card(Body&& body) {
  if constexpr (cuda::kBuilt) body(cuda::Gpu::instance());
}

cuda::Strided card_walk(const Shape& shape, const Extents& to, const Extents& from) {
  const detail::StridedPair pair(shape.extents(), to, from);
  cuda::Strided walk;
  const auto add = [&](const detail::StridedPair::Axis& axis) {
    if (walk.axes == cuda::kMostAxes) refuse("too many axes for the card in a strided " + shape.str());
    walk.extent[walk.axes] = axis.extent, walk.to[walk.axes] = axis.a, walk.from[walk.axes] = axis.b;
    ++walk.axes;
  };
  for (const auto& axis : pair.outer) add(axis);
  add(pair.inner);
  if (pair.empty) walk.extent[0] = 0;
  return walk;
}

template <class Gpu>  // so that nothing of it is asked for where there is no card
void convert_on_card(Gpu& gpu, const cuda::Strided& walk, Tensor& to, const Tensor& from) {
  if (from.dtype() == DType::f32 && to.dtype() == DType::bf16)
    cuda::strided_copy(gpu, walk, to.data<Bf16>(), from.data<float>());
  else if (from.dtype() == DType::bf16 && to.dtype() == DType::f32)
    cuda::strided_copy(gpu, walk, to.data<float>(), from.data<Bf16>());
  else if (from.dtype() == DType::u8 && to.dtype() == DType::f32)
    cuda::strided_copy(gpu, walk, to.data<float>(), from.data<u8>());
  else
    refuse("cannot convert " + std::string(dtype_name(from.dtype())) + " to " +
           std::string(dtype_name(to.dtype())) + " on the card");
}

template <class Gpu>
void copy_with_card(Gpu& gpu, Tensor& to, const Tensor& from) {
  with_type(to.dtype(), [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* const out = to.data<T>();
    const T* const in = from.data<T>();
    const bool plain = to.is_contiguous() && from.is_contiguous();
    if (to.device() == from.device() && !plain)
      return cuda::strided_copy(gpu, card_walk(to.shape(), to.strides(), from.strides()), out, in);
    if (!plain) refuse("a copy between host and card wants contiguous tensors, got " + to.shape().str());
    gpu.join();
    cuda::copy(gpu.stream(), out, in, to.count() * i64(sizeof(T)));
    // The host's side may be written, or is to be read, at once.
    if (to.device() != from.device()) gpu.synchronize();
  });
}

}  // namespace

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  Tensor out;
  out.storage_ = Storage::allocate(shape.count() * dtype_size(dtype), device);
  out.strides_ = row_major(shape);
  out.shape_ = std::move(shape);
  out.dtype_ = dtype;
  return out;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor out = empty(std::move(shape), dtype, device);
  if (device == Device::cpu) std::memset(out.storage_->data(), 0, size_t(out.storage_->bytes()));
  if constexpr (cuda::kBuilt)
    if (device == Device::cuda)
      cuda::fill_bytes(cuda::Gpu::instance().stream(), out.storage_->data(), 0, out.storage_->bytes());
  return out;
}

Tensor Tensor::full(Shape shape, double value, DType dtype) {
  Tensor out = empty(std::move(shape), dtype);
  out.fill(value);
  return out;
}

template <class T>
Tensor Tensor::from(std::span<const T> values, Shape shape) {
  if (i64(values.size()) != shape.count())
    refuse("shape " + shape.str() + " wants " + std::to_string(shape.count()) + " values, got " +
           std::to_string(values.size()));
  Tensor out = empty(std::move(shape), dtype_of<T>());
  if (!values.empty()) std::memcpy(out.storage_->data(), values.data(), values.size_bytes());
  return out;
}

Device Tensor::device() const {
  if (!defined()) refuse("device asked of an undefined tensor");
  return storage_->device();
}

bool Tensor::is_contiguous() const {
  if (!defined()) return false;
  i64 step = 1;
  for (i64 i = rank() - 1; i >= 0; --i) {
    const i64 extent = shape_[i];
    if (extent == 0) return true;
    if (extent != 1 && strides_[size_t(i)] != step) return false;
    step *= extent;
  }
  return true;
}

template <class T>
const T* Tensor::data() const {
  if (!defined()) refuse("data asked of an undefined tensor");
  if (dtype_of<T>() != dtype_)
    refuse("wanted " + std::string(dtype_name(dtype_of<T>())) + ", got " + std::string(dtype_name(dtype_)) +
           " " + shape_.str());
  // Integer arithmetic: the address of a meta tensor points into no object.
  return reinterpret_cast<const T*>(reinterpret_cast<std::uintptr_t>(storage_->data()) +
                                    std::uintptr_t(offset_) * sizeof(T));
}

template <class T>
T* Tensor::data() {
  return const_cast<T*>(std::as_const(*this).data<T>());
}

template <class T>
std::span<const T> Tensor::values() const {
  const T* first = data<T>();
  if (!is_contiguous()) refuse("values() wants a contiguous tensor, got a strided view " + shape_.str());
  if (device() != Device::cpu)
    refuse("values() asked of a tensor whose memory is not the host's, " + shape_.str());
  return {first, size_t(count())};
}

template <class T>
std::span<T> Tensor::values() {
  const auto view = std::as_const(*this).values<T>();
  return {const_cast<T*>(view.data()), view.size()};
}

std::span<const std::byte> Tensor::bytes() const {
  if (!defined()) refuse("bytes asked of an undefined tensor");
  return with_type(
      dtype_, [&](auto* type) { return std::as_bytes(values<std::remove_pointer_t<decltype(type)>>()); });
}

std::span<std::byte> Tensor::bytes() {
  const auto view = std::as_const(*this).bytes();
  return {const_cast<std::byte*>(view.data()), view.size()};
}

double Tensor::item() const {
  if (!defined() || count() != 1 || device() == Device::meta)
    refuse("item() wants a tensor of one element in memory, got " +
           (defined() ? shape_.str() : "an undefined one"));
  if (device() == Device::cuda) return to(Device::cpu).item();
  return with_type(
      dtype_, [&](auto* type) { return convert<double>(*data<std::remove_pointer_t<decltype(type)>>()); });
}

Tensor Tensor::reshape(const Shape& shape) const {
  if (!is_contiguous()) refuse("reshape wants a contiguous tensor, got a strided view " + shape_.str());
  if (shape.count() != count()) refuse("cannot reshape " + shape_.str() + " to " + shape.str());
  Tensor out = *this;
  out.strides_ = row_major(shape);
  out.shape_ = shape;
  return out;
}

Tensor Tensor::reshape(std::initializer_list<i64> extents) const {
  std::vector<i64> wanted(extents);
  i64 known = 1, open = -1;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == -1 && open < 0)
      open = i64(i);
    else
      known *= wanted[i];
  }
  if (open >= 0) {
    if (known <= 0 || count() % known) refuse("cannot infer the -1 in a reshape of " + shape_.str());
    wanted[size_t(open)] = count() / known;
  }
  return reshape(Shape(wanted));
}

Tensor Tensor::slice(i64 axis, i64 begin, i64 length) const {
  if (!defined()) refuse("slice of an undefined tensor");
  const i64 extent = shape_[axis];
  if (axis < 0) axis += rank();
  if (begin < 0 || length < 0 || begin > extent - length)
    refuse("slice [" + std::to_string(begin) + ", +" + std::to_string(length) + ") of axis " +
           std::to_string(axis) + " does not fit " + shape_.str());
  Tensor out = *this;
  Extents extents = shape_.extents();
  extents[size_t(axis)] = length;
  out.shape_ = Shape(extents);
  out.offset_ += begin * strides_[size_t(axis)];
  return out;
}

Tensor Tensor::permute(std::vector<i64> axes) const {
  if (!defined()) refuse("permute of an undefined tensor");
  std::vector<bool> seen(size_t(rank()), false);
  bool fits = i64(axes.size()) == rank();
  for (i64& axis : axes) {
    if (axis < 0) axis += rank();
    fits = fits && axis >= 0 && axis < rank() && !seen[size_t(axis)];
    if (fits) seen[size_t(axis)] = true;
  }
  if (!fits) refuse("permute wants every axis of " + shape_.str() + " once");
  Tensor out = *this;
  Extents extents(axes.size());
  for (size_t i = 0; i < axes.size(); ++i) {
    extents[i] = shape_[axes[i]];
    out.strides_[i] = strides_[size_t(axes[i])];
  }
  out.shape_ = Shape(extents);
  return out;
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::clone() const {
  if (!defined()) refuse("clone of an undefined tensor");
  Tensor out = empty(shape_, dtype_, device());
  out.copy_from(*this);
  return out;
}

Tensor Tensor::rows(const Tensor& index) const {
  if (!is_contiguous() || rank() < 1)
    refuse("rows() wants a contiguous tensor with an axis, got " + shape_.str());
  if (!index.defined() || index.dtype() != DType::i64 || index.rank() != 1 || !index.is_contiguous() ||
      index.device() != device())
    refuse("rows() wants indices i64 [n] in the memory of the tensor " + shape_.str());
  Extents extents = shape_.extents();
  const i64 all = extents[0], taken = extents[0] = index.count();
  Tensor out = empty(Shape(extents), dtype_, device());
  if (device() == Device::meta || out.count() == 0) return out;
  const i64 length = out.count() / taken, *const at = index.data<i64>();
  if (device() == Device::cuda) {
    on_card([&](auto& gpu) {
      with_type(dtype_, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        cuda::take_rows(gpu, taken, length, data<T>(), at, out.data<T>());
      });
    });
    return out;
  }
  const i64 bytes = length * dtype_size(dtype_);
  std::byte* const to = out.bytes().data();
  const std::byte* const from = this->bytes().data();
  for (i64 i = 0; i < taken; ++i) {
    if (at[i] < 0 || at[i] >= all)
      refuse("row " + std::to_string(at[i]) + " of " + shape_.str() + " does not exist");
    std::memcpy(to + i * bytes, from + at[i] * bytes, size_t(bytes));
  }
  return out;
}

Tensor Tensor::to(DType dtype) const {
  if (!defined()) refuse("conversion of an undefined tensor");
  if (dtype == dtype_) return *this;
  Tensor out = empty(shape_, dtype, device());
  if (device() == Device::meta) return out;
  if (device() == Device::cuda) {
    on_card([&](auto& gpu) { convert_on_card(gpu, card_walk(shape_, out.strides_, strides_), out, *this); });
    return out;
  }
  const Tensor source = contiguous();
  with_type(dtype, [&](auto* to_type) {
    using To = std::remove_pointer_t<decltype(to_type)>;
    with_type(dtype_, [&](auto* from_type) {
      using From = std::remove_pointer_t<decltype(from_type)>;
      const From* from = source.data<From>();
      To* to = out.data<To>();
      for (i64 i = 0, n = count(); i < n; ++i) to[i] = convert<To>(from[i]);
    });
  });
  return out;
}

Tensor Tensor::to(Device device) const {
  if (!defined()) refuse("a copy of an undefined tensor");
  if (this->device() == device) return *this;
  Tensor out = empty(shape_, dtype_, device);
  out.copy_from(contiguous());
  return out;
}

void Tensor::copy_from(const Tensor& source) {
  if (!defined() || !source.defined()) refuse("copy with an undefined tensor");
  if (shape_ != source.shape_ || dtype_ != source.dtype_)
    refuse("cannot copy " + std::string(dtype_name(source.dtype_)) + " " + source.shape_.str() + " into " +
           std::string(dtype_name(dtype_)) + " " + shape_.str());
  if (device() == Device::meta) return;
  if (source.device() == Device::meta) refuse("cannot read a meta tensor " + source.shape_.str());
  if (device() == Device::cuda || source.device() == Device::cuda) {
    on_card([&](auto& gpu) { copy_with_card(gpu, *this, source); });
    return;
  }
  const detail::StridedPair pair(shape_.extents(), strides_, source.strides_);
  with_type(dtype_, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    copy_runs(pair, data<T>(), source.data<T>());
  });
}

void Tensor::fill(double value) {
  if (!defined()) refuse("fill of an undefined tensor");
  if (device() == Device::meta) return;
  if (device() == Device::cuda)
    return on_card([&](auto& gpu) {
      with_type(dtype_, [&](auto* type) {
        using T = std::remove_pointer_t<decltype(type)>;
        cuda::strided_fill(gpu, card_walk(shape_, strides_, strides_), data<T>(), convert<T>(value));
      });
    });
  const detail::StridedPair pair(shape_.extents(), strides_, strides_);
  with_type(dtype_, [&](auto* type) {
    using T = std::remove_pointer_t<decltype(type)>;
    T* to = data<T>();
    const T v = convert<T>(value);
    const i64 n = pair.inner.extent, step = pair.inner.a;
    pair.for_each_run([&](i64 a, i64) {
      T* out = to + a;
      if (step == 1)
        std::fill_n(out, n, v);
      else
        for (i64 i = 0; i < n; ++i) out[i * step] = v;
    });
  });
}

void Tensor::add_(const Tensor& source) {
  require_addable(*this, source);
  if (device() == Device::meta) return;
  if (device() == Device::cuda) {
    const cuda::Strided walk = card_walk(shape_, strides_, source.strides_);
    return on_card([&](auto& gpu) {
      if (dtype_ == DType::f32)
        cuda::strided_add(gpu, walk, data<float>(), source.data<float>());
      else if (dtype_ == DType::bf16)
        cuda::strided_add(gpu, walk, data<Bf16>(), source.data<Bf16>());
      else
        cuda::strided_add(gpu, walk, data<double>(), source.data<double>());
    });
  }
  const detail::StridedPair pair(shape_.extents(), strides_, source.strides_);
  if (dtype_ == DType::f32)
    add_runs(pair, data<float>(), source.data<float>());
  else
    add_runs(pair, data<double>(), source.data<double>());
}

void add_all(std::span<TensorSum> list) {
  std::vector<cuda::StridedSum> on_the_card;
  for (TensorSum& s : list) {
    if (s.sum.defined() && s.sum.dtype() == DType::f32 && s.sum.device() == Device::cuda) {
      require_addable(s.sum, s.term);
      on_the_card.push_back({card_walk(s.sum.shape(), s.sum.strides(), s.term.strides()), s.sum.data<float>(),
                             std::as_const(s.term).data<float>()});
    } else {
      s.sum.add_(s.term);
    }
  }
  if (!on_the_card.empty()) on_card([&](auto& gpu) { cuda::strided_add(gpu, on_the_card); });
}

#define OFFRAMP_TENSOR_OF(T)                                  \
  template Tensor Tensor::from<T>(std::span<const T>, Shape); \
  template T* Tensor::data<T>();                              \
  template const T* Tensor::data<T>() const;                  \
  template std::span<T> Tensor::values<T>();                  \
  template std::span<const T> Tensor::values<T>() const;
OFFRAMP_TENSOR_OF(float)
OFFRAMP_TENSOR_OF(double)
OFFRAMP_TENSOR_OF(i64)
OFFRAMP_TENSOR_OF(u8)
OFFRAMP_TENSOR_OF(Bf16)
#undef OFFRAMP_TENSOR_OF

}  // namespace offramp
