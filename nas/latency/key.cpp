#include "nas/latency/key.h"

namespace offramp::nas {

std::string latency_key(const nn::PlanCall& call, i64 batch) {
  const nn::Step& s = *call.step;
  std::string key(call.kernel);
  key += " " + nn::dims_text(nn::at_batch(s.dims, batch));
  if (s.w >= 0) key += " act=" + std::to_string(int(s.act)) + " residual=" + std::to_string(int(s.z >= 0));
  return key;
}

}  // namespace offramp::nas
