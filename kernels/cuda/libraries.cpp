#include "kernels/cuda/libraries.h"

#if defined(OFFRAMP_HAS_CUBLAS)
#include <cublas_v2.h>
#endif
#if defined(OFFRAMP_HAS_CUDNN)
#include <cudnn.h>
#endif

namespace offramp::cuda {
namespace {

// Both libraries answer without a card. `get` is theirs, of a part of the version.
template <class Get>
[[maybe_unused]] std::string version_of(Get&& get) {
  std::string text;
  for (const auto part : {0, 1, 2}) {
    int value = 0;
    get(part, &value);
    text += (part ? "." : "") + std::to_string(value);
  }
  return text;
}

}  // namespace

#if defined(OFFRAMP_HAS_CUBLAS)
std::string cublas_version() {
  return version_of([](int part, int* value) { cublasGetProperty(libraryPropertyType(part), value); });
}
#else
std::string cublas_version() { return ""; }
#endif
#if defined(OFFRAMP_HAS_CUDNN)
std::string cudnn_version() {
  return version_of([](int part, int* value) { cudnnGetProperty(libraryPropertyType(part), value); });
}
#else
std::string cudnn_version() { return ""; }
#endif

}  // namespace offramp::cuda
