// offramp version
#include <nlohmann/json.hpp>
#include <thread>

#include "kernels/blas.h"
#include "kernels/cuda/built.h"
#include "kernels/cuda/libraries.h"
#include "kernels/cuda/runtime.h"
#include "kernels/target.h"
#include "nas/cli/build_info.h"
#include "nas/cli/verb.h"

namespace offramp::cli {

std::string build_name() {
  return std::string(build_info.version) + " (" + build_info.git_hash + (build_info.dirty ? ", dirty)" : ")");
}

namespace {

[[maybe_unused]] nlohmann::ordered_json or_null(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
}

// What a build has of CUDA, and the card it would use; null for a build without.
nlohmann::ordered_json cuda_info() {
  if constexpr (cuda::kBuilt) {
    nlohmann::ordered_json devices = nlohmann::ordered_json::array();
    if (cuda::device_count() > 0) {
      const cuda::Properties p = cuda::properties();
      devices.push_back({{"name", p.name},
                         {"compute_capability", std::to_string(p.major) + "." + std::to_string(p.minor)},
                         {"multiprocessors", p.multiprocessors},
                         {"memory_bytes", p.memory}});
    }
    return {{"runtime", cuda::runtime_version()},
            {"architectures", build_info.cuda_architectures},
            {"cublas", or_null(cuda::cublas_version())},
            {"cudnn", or_null(cuda::cudnn_version())},
            {"devices", devices}};
  }
  return nullptr;
}
std::string cuda_text(const nlohmann::ordered_json& info) {
  if (info.is_null()) return "none";
  std::string text = info["runtime"].get<std::string>() + ", architectures " +
                     info["architectures"].get<std::string>() + ", ";
  for (const char* library : {"cublas", "cudnn"})
    if (!info[library].is_null())
      text += std::string(library) + " " + info[library].get<std::string>() + ", ";
  if (info["devices"].empty()) return text + "no card here";
  const auto& card = info["devices"][0];
  return text + card["name"].get<std::string>() + " (" + card["compute_capability"].get<std::string>() + ")";
}

}  // namespace

void run_version(Console& console, const Words& words) {
  Args args(console, "version", "what this build is and what it runs on",
            {"offramp version", "offramp version --json"});
  if (!args.parse(words)) return;

  const Target in_use = default_target();
  nlohmann::ordered_json built = nlohmann::ordered_json::array();
  std::string built_text;
  for (Target t : built_targets()) {
    built.push_back(target_name(t));
    built_text += std::string(target_name(t)) + (cpu_supports(t) ? " " : " (not on this CPU) ");
  }
  const unsigned cores = std::thread::hardware_concurrency();
  if (console.options.json) {
    nlohmann::ordered_json blas;  // null without one
    if (!blas_core().empty()) blas = {{"name", blas_name()}, {"core", blas_core()}};
    console.print_json({{"version", build_info.version},
                        {"git_hash", build_info.git_hash},
                        {"dirty", build_info.dirty},
                        {"compiler", build_info.compiler},
                        {"flags", build_info.flags},
                        {"targets", built},
                        {"target", target_name(in_use)},
                        {"target_runs_here", cpu_supports(in_use)},
                        {"threads_backend", build_info.threads_backend},
                        {"cores", cores},
                        {"blas", blas},
                        {"cuda", cuda_info()},
                        {"modules", nlohmann::ordered_json::array()}});
    return;
  }
  std::string text = "offramp " + std::string(build_info.version) + " (" + build_info.git_hash +
                     (build_info.dirty ? ", dirty" : "") + ")\n";
  text += "compiler  " + std::string(build_info.compiler) + "; " + build_info.flags + "\n";
  text += "targets   " + built_text + "\n";
  text += "in use    " + std::string(target_name(in_use)) +
          (cpu_supports(in_use) ? "" : " (not on this CPU: plans only)") + "\n";
  text += "threads   " + std::string(build_info.threads_backend) + ", " + std::to_string(cores) + " cores\n";
  text += "blas      " + (blas_core().empty() ? "none" : blas_name() + ", core " + blas_core()) + "\n";
  text += "cuda      " + cuda_text(cuda_info()) + "\nmodules   none\n";
  console.print(text);
}

}  // namespace offramp::cli
