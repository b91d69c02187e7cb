#include "nas/cli/model_data.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/catalog.h"
#include "data/decode.h"
#include "kernels/error.h"
#include "nas/thresholds/curve.h"
#include "tensor/npy.h"

namespace offramp::cli {
namespace {

// u8 [n,h,w,c] of any file predict takes, with the model's channels.
Tensor load_bytes(const std::string& path, i64 channels) {
  const bool is_npy = path.size() > 4 && path.compare(path.size() - 4, 4, ".npy") == 0;
  if (!is_npy) {
    const Tensor image = data::decode_image(path, channels);
    return image.reshape({1, image.extent(0), image.extent(1), image.extent(2)});
  }
  Tensor t = read_npy(path);
  const std::string wanted = path + ": wanted uint8 [h,w], [h,w,c] or [n,h,w,c] with 1 or 3 channels, got " +
                             std::string(dtype_name(t.dtype())) + " " + t.shape().str();
  if (t.dtype() != DType::u8 || t.rank() < 2 || t.rank() > 4 || t.count() == 0) throw input_error(wanted);
  if (t.rank() == 2) t = t.reshape({1, t.extent(0), t.extent(1), 1});
  if (t.rank() == 3) t = t.reshape({1, t.extent(0), t.extent(1), t.extent(2)});
  if (t.extent(3) != 1 && t.extent(3) != 3) throw input_error(wanted);
  if (t.extent(3) == channels) return t;
  // A stack of images is one tall image as far as channels are concerned.
  const Tensor tall = t.reshape({t.extent(0) * t.extent(1), t.extent(2), t.extent(3)});
  return data::to_channels(tall, channels).reshape({t.extent(0), t.extent(1), t.extent(2), channels});
}

}  // namespace

data::Normalisation normalisation_of(const nn::Model& model) { return {model.mean, model.std}; }

data::Dataset load_split(const nn::Model& model, const std::string& data, const std::string& split,
                         const std::vector<std::string>& dirs) {
  if (split != "train" && split != "tune" && split != "test")
    throw usage_error("unknown split '" + split + "': expected train, tune or test");
  const std::string name = data.empty() ? model.data : data;
  data::LoadOptions options{.dirs = dirs, .want_train = split != "test", .want_test = split == "test"};
  if (name == model.data) {
    options.seed = model.split_seed;
    options.train_samples = model.train_samples;
    options.tune_samples = model.tune_samples;
  }
  data::Splits splits = data::load(name, options);
  data::Dataset set = std::move(split == "train"  ? splits.train
                                : split == "tune" ? splits.tune
                                                  : splits.test);
  if (set.channels() != model.plan->channels)
    throw input_error(name + " has images of " + std::to_string(set.channels()) +
                      " channels, the model takes " + std::to_string(model.plan->channels));
  if (i64(set.classes.size()) > model.plan->classes)
    throw input_error(name + " has " + std::to_string(set.classes.size()) + " classes, the model knows " +
                      std::to_string(model.plan->classes));
  return set;
}

nn::Thresholds thresholds_for(const nn::Model& model, std::optional<i64> target_macs) {
  if (!target_macs) return model.thresholds;
  if (model.curve.empty())
    throw input_error("the model holds no accuracy-cost curve; 'offramp tune --curve' adds one");
  const nn::CurvePoint* best = nullptr;
  for (const nn::CurvePoint& p : model.curve)
    if (nas::average_up(p.total_macs, model.curve_samples) <= *target_macs &&
        (!best || p.accuracy > best->accuracy))
      best = &p;
  if (best) return best->thresholds;
  const auto cheapest =
      std::min_element(model.curve.begin(), model.curve.end(),
                       [](const auto& a, const auto& b) { return a.total_macs < b.total_macs; });
  throw Error("no thresholds cost at most " + std::to_string(*target_macs) +
                  " MACs on average; the cheapest cost " +
                  std::to_string(nas::average_up(cheapest->total_macs, model.curve_samples)),
              Error::Kind::infeasible);
}

Tensor load_input(const nn::Model& model, const std::string& path) {
  const nn::Plan& plan = *model.plan;
  const Tensor bytes = load_bytes(path, plan.channels);
  const i64 n = bytes.extent(0);
  Tensor input = Tensor::empty({n, plan.height, plan.width, plan.channels});
  for (i64 i = 0; i < n; ++i) {
    const Tensor image = bytes.slice(0, i, 1).reshape({bytes.extent(1), bytes.extent(2), plan.channels});
    input.slice(0, i, 1).copy_from(
        data::network_input(image, normalisation_of(model), plan.height, plan.width));
  }
  return input;
}

nlohmann::ordered_json to_json(const nn::Thresholds& thresholds) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& t : thresholds)
    list.push_back(t ? nlohmann::ordered_json(*t) : nlohmann::ordered_json(nullptr));
  return list;
}

}  // namespace offramp::cli
