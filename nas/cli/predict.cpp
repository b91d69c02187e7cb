// offramp predict: classes of image files
#include <nlohmann/json.hpp>

#include "nas/cli/context.h"
#include "nas/cli/model_data.h"
#include "nas/cli/verb.h"

namespace offramp::cli {

void run_predict(Console& console, const Words& words) {
  std::string path, device, precision;
  std::vector<std::string> files;
  std::optional<i64> target;
  int threads = 1;
  Args args(console, "predict", "class, confidence, exit taken and MACs spent for images",
            {"offramp predict --model run/chosen.safetensors photo.png",
             "offramp predict --model m.safetensors --target-macs 500k --json a.jpg stack.npy"});
  args.option("--model M", path, "model file")
      .words("IMAGE", files, "PNG, JPEG, BMP, or .npy uint8 [h,w], [h,w,c], [n,h,w,c]")
      .option("--target-macs X", target, "thresholds from the stored curve for X average MACs")
      .threads(threads)
      .device(device, precision, "f32")
      .required("--model");
  if (!args.parse(words)) return;

  const nn::Model model = nn::load_model(path);
  const nn::Thresholds thresholds = thresholds_for(model, target);
  Exec exec = make_exec(device, precision, threads);
  nn::EarlyExitRunner runner(model.plan, exec.target(), 64, exec.threads());
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"file", "class", "label", "confidence", "exit", "MACs"}};
  for (const std::string& file : files) {
    const Tensor input = load_input(model, file);
    std::vector<nn::Outcome> outcomes(std::size_t(input.extent(0)));
    runner.run(exec, input.data<float>(), input.extent(0), thresholds, model.rule, outcomes);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      const nn::Outcome& o = outcomes[i];
      const std::string& label = model.class_names[std::size_t(o.predicted)];
      const std::string name = outcomes.size() > 1 ? file + "[" + std::to_string(i) + "]" : file;
      const std::string& exit = runner.exits()[std::size_t(o.exit)].name;
      results.push_back({{"file", name},
                         {"class", o.predicted},
                         {"label", label},
                         {"confidence", o.confidence},
                         {"exit", o.exit},
                         {"exit_name", exit},
                         {"macs", o.macs}});
      rows.push_back({name, std::to_string(o.predicted), label, std::to_string(o.confidence), exit,
                      format_count(o.macs)});
    }
  }
  if (console.options.json)
    console.print_json({{"results", results}});
  else
    console.print(table(rows));
}

}  // namespace offramp::cli
