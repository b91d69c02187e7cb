#include "nn/parameters.h"

#include <cmath>

#include "kernels/error.h"

namespace offramp::nn {
namespace {

// Two normal numbers from two uniform ones. Source: Box & Muller 1958.
struct NormalStream {
  Rng rng;
  double spare = 0;
  bool has_spare = false;

  double next() {
    if (has_spare) {
      has_spare = false;
      return spare;
    }
    const double u = (double(rng.next_u32()) + 1) * 0x1p-32, v = double(rng.next_u32()) * 0x1p-32;
    const double radius = std::sqrt(-2 * std::log(u)), angle = 2 * 3.14159265358979323846 * v;
    spare = radius * std::sin(angle);
    has_spare = true;
    return radius * std::cos(angle);
  }
};

template <class T>
void draw(std::span<T> values, const Init& init, Rng rng) {
  switch (init.kind) {
    case Init::Kind::he_normal: {
      NormalStream normal{rng};
      const double deviation = std::sqrt(2.0 / double(init.fan));
      for (T& v : values) v = T(deviation * normal.next());
      return;
    }
    case Init::Kind::uniform: {
      const double bound = 1 / std::sqrt(double(init.fan));
      for (T& v : values) v = T(bound * (2 * double(rng.uniform()) - 1));
      return;
    }
    case Init::Kind::ones:
      for (T& v : values) v = T(1);
      return;
    case Init::Kind::zeros:
      for (T& v : values) v = T(0);
      return;
  }
}

}  // namespace

Rng rng_for(const Rng& rng, const std::string& name) {
  u64 hash = 14695981039346656037u;  // FNV-1a
  for (const char c : name) hash = (hash ^ u64(static_cast<unsigned char>(c))) * 1099511628211u;
  return rng.derive(hash, name.size());
}

void initialise(Tensor& values, const Init& init, Rng rng) {
  if (values.dtype() == DType::f64)
    draw(values.values<double>(), init, rng);
  else
    draw(values.values<float>(), init, rng);
}

Variable FreshParameters::parameter(const std::string& name, const Shape& shape, const Init& init) {
  Tensor t = Tensor::empty(shape, dtype_);
  initialise(t, init, rng_for(rng_, name));
  return Variable(t, true);
}

Tensor FreshParameters::buffer(const std::string&, const Shape& shape, double fill) {
  return Tensor::full(shape, fill, dtype_);
}

Variable MetaParameters::parameter(const std::string&, const Shape& shape, const Init&) {
  return Variable(Tensor::empty(shape, dtype_, Device::meta), true);
}

Tensor MetaParameters::buffer(const std::string&, const Shape& shape, double) {
  return Tensor::empty(shape, dtype_, Device::meta);
}

Tensor LoadedParameters::find(const std::string& name, const Shape& shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw input_error("weights: tensor '" + name + "' " + shape.str() + " wanted, not there");
  if (found->second.shape() != shape)
    throw input_error("weights: tensor '" + name + "' " + shape.str() + " wanted, got " +
                      found->second.shape().str());
  return found->second;
}

Variable LoadedParameters::parameter(const std::string& name, const Shape& shape, const Init&) {
  return Variable(find(name, shape), true);
}

Tensor LoadedParameters::buffer(const std::string& name, const Shape& shape, double) {
  return find(name, shape);
}

}  // namespace offramp::nn
