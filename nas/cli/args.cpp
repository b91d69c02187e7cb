#include "nas/cli/args.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <thread>

#include "kernels/cuda/built.h"
#include "kernels/error.h"
#include "kernels/nearest.h"

namespace offramp::cli {
namespace {

// "--count" of "-n,--count N": the name used in messages and look-ups.
std::string flag_of(const std::string& names) {
  const std::string bare = names.substr(0, names.find(' '));
  const size_t at = bare.find("--");
  return at == std::string::npos ? bare : bare.substr(at);
}

void require_choice(const std::string& text, const std::string& flag,
                    const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end())
    throw usage_error(flag + ": unknown value '" + text + "'" + did_you_mean(text, allowed));
}

}  // namespace

struct Args::Impl {
  struct Entry {
    std::string shown;  // "-n,--count N"
    std::string help;
    bool positional = false, required = false;
    std::string name;  // without the placeholder
    CLI::Option* option = nullptr;
    std::function<void(const std::vector<std::string>&)> take;  // called with what was given, in order
  };

  Console& console;
  std::string program = "offramp ", path, summary, notes;
  std::vector<std::string> examples;
  CLI::App app;
  std::vector<std::unique_ptr<Entry>> entries;
  bool help = false, json = false, quiet = false;
  int verbose = 0;
  std::string color = "auto";

  explicit Impl(Console& c) : console(c) {}

  Entry& add(const std::string& shown, const std::string& help_text, bool repeats,
             std::function<void(const std::vector<std::string>&)> take) {
    auto entry = std::make_unique<Entry>();
    entry->shown = shown;
    entry->help = help_text;
    entry->name = shown.substr(0, shown.find(' '));
    entry->positional = shown[0] != '-';
    entry->take = std::move(take);
    entry->option = app.add_option(entry->name, [](const CLI::results_t&) { return true; });
    entry->option->expected(1)->allow_extra_args(false);
    entry->option->multi_option_policy(repeats ? CLI::MultiOptionPolicy::TakeAll
                                               : CLI::MultiOptionPolicy::TakeLast);
    entries.push_back(std::move(entry));
    return *entries.back();
  }
  // A converter of the last value given.
  template <class F>
  Entry& add_single(const std::string& shown, const std::string& help_text, F convert) {
    return add(shown, help_text, false,
               [convert](const std::vector<std::string>& given) { convert(given.back()); });
  }

  std::vector<std::string> long_names() const {
    std::vector<std::string> names{"--json", "--quiet", "--verbose", "--color", "--help"};
    for (const auto& e : entries)
      if (!e->positional) names.push_back(flag_of(e->name));
    return names;
  }

  [[noreturn]] void refuse(const std::vector<std::string>& extras) const {
    for (const std::string& word : extras)
      if (word.size() > 1 && word[0] == '-') {
        const std::string flag = word.substr(0, word.find('='));
        const std::string close = flag.rfind("--", 0) == 0 ? nearest(flag, long_names()) : "";
        throw usage_error("unknown flag '" + flag + "'" +
                          (close.empty() ? "; '" + program + path + " --help' lists them"
                                         : "; did you mean '" + close + "'?"));
      }
    throw usage_error("unexpected argument '" + extras.front() + "'; '" + program + path +
                      " --help' shows the usage");
  }

  std::string help_text() const {
    std::string out = program + path + " - " + summary + "\n\nexamples:\n";
    for (const std::string& e : examples) out += "  " + e + "\n";
    out += "\nusage: " + program + path;
    for (const auto& e : entries)
      if (e->positional) out += e->required ? " " + e->shown : " [" + e->shown + "]";
    out += " [flags]\n";
    size_t width = 0;
    for (const auto& e : entries) width = std::max(width, e->shown.size());
    for (const auto& e : entries)
      out += "  " + e->shown + std::string(width - e->shown.size() + 2, ' ') + e->help +
             (e->required && !e->positional ? " (required)" : "") + "\n";
    return out + "common: --json  -q,--quiet  -v,--verbose  --color auto|always|never  --help\n" + notes;
  }
};

Args::Args(Console& console, std::string path, std::string summary, std::vector<std::string> examples)
    : impl_(std::make_unique<Impl>(console)) {
  impl_->path = std::move(path);
  impl_->summary = std::move(summary);
  impl_->examples = std::move(examples);
  CLI::App& app = impl_->app;
  app.set_help_flag();
  app.allow_extras();
  app.add_flag("-h,--help", impl_->help);
  app.add_flag("--json", impl_->json);
  app.add_flag("-q,--quiet", impl_->quiet);
  app.add_flag("-v,--verbose", impl_->verbose);
  app.add_option("--color", impl_->color)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}
Args::~Args() = default;

Args& Args::program(const std::string& name) {
  impl_->program = name;
  return *this;
}

Args& Args::word(const std::string& name, std::string& value, const std::string& help, bool required) {
  impl_->add_single(name, help, [&value](const std::string& text) { value = text; }).required = required;
  return *this;
}
Args& Args::words(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  auto& entry =
      impl_->add(name, help, true, [&values](const std::vector<std::string>& given) { values = given; });
  entry.required = true;
  entry.shown += "...";
  entry.option->expected(1, 1 << 20)->allow_extra_args(true);
  return *this;
}

Args& Args::flag(const std::string& name, bool& value, const std::string& help) {
  auto entry = std::make_unique<Impl::Entry>();
  entry->shown = entry->name = name;
  entry->help = help;
  entry->option = impl_->app.add_flag(name, value);
  impl_->entries.push_back(std::move(entry));
  return *this;
}
Args& Args::option(const std::string& names, std::string& value, const std::string& help) {
  impl_->add_single(names, help, [&value](const std::string& text) { value = text; });
  return *this;
}
Args& Args::option(const std::string& names, double& value, const std::string& help) {
  impl_->add_single(names, help, [&value, flag = flag_of(names)](const std::string& text) {
    value = parse_number(text, flag);
  });
  return *this;
}
Args& Args::option(const std::string& names, u64& value, const std::string& help) {
  impl_->add_single(names, help, [&value, flag = flag_of(names)](const std::string& text) {
    value = parse_seed(text, flag);
  });
  return *this;
}
Args& Args::option(const std::string& names, i64& value, const std::string& help, i64 low, i64 high) {
  impl_->add_single(names, help, [&value, flag = flag_of(names), low, high](const std::string& text) {
    value = parse_count(text, flag, low, high);
  });
  return *this;
}
Args& Args::option(const std::string& names, std::optional<i64>& value, const std::string& help, i64 low,
                   i64 high) {
  impl_->add_single(names, help, [&value, flag = flag_of(names), low, high](const std::string& text) {
    value = parse_count(text, flag, low, high);
  });
  return *this;
}
Args& Args::choice(const std::string& names, std::string& value, std::vector<std::string> allowed,
                   const std::string& help) {
  impl_->add_single(names, help,
                    [&value, flag = flag_of(names), allowed = std::move(allowed)](const std::string& text) {
                      require_choice(text, flag, allowed);
                      value = text;
                    });
  return *this;
}
Args& Args::repeated(const std::string& names, std::vector<std::string>& values, const std::string& help) {
  impl_->add(names, help, true, [&values](const std::vector<std::string>& given) { values = given; });
  return *this;
}

Args& Args::threads(int& value) {
  value = std::max(1, int(std::thread::hardware_concurrency()));
  impl_->add_single(
      "--threads N", "worker threads; the result does not depend on it (default: all cores)",
      [&value](const std::string& text) { value = int(parse_count(text, "--threads", 1, 1024)); });
  return *this;
}
Args& Args::seed(u64& value) { return option("--seed S", value, "seed of everything random"); }
Args& Args::device(std::string& value, std::string& precision, const std::string& initial) {
  value = "cpu";
  impl_->add_single("--device D", "cpu (default) or cuda", [&value](const std::string& text) {
    if (text == "cuda" || text == "cuda:0") {
      if (!cuda::kBuilt) throw usage_error("--device " + text + ": this build has no CUDA; use --device cpu");
      value = "cuda";
      return;
    }
    if (text.starts_with("cuda:"))
      throw usage_error("--device " + text +
                        ": one card is used, the first; choose it with CUDA_VISIBLE_DEVICES");
    require_choice(text, "--device", {"cpu", "cuda"});
    value = text;
  });
  precision = initial;
  impl_->add_single("--precision P", "with --device cuda: bf16, tf32 or f32 (default " + initial + ")",
                    [&precision](const std::string& text) {
                      require_choice(text, "--precision", {"bf16", "tf32", "f32"});
                      precision = text;
                    });
  return *this;
}
Args& Args::data_dir(std::string& value) {
  return option("--data-dir DIR", value, "look for data here first, then in the usual places");
}
Args& Args::required(const std::string& flag) {
  for (auto& e : impl_->entries)
    if (flag_of(e->name) == flag) e->required = true;
  return *this;
}

Args& Args::notes(const std::string& text) {
  impl_->notes = text;
  return *this;
}

bool Args::given(const std::string& flag) const {
  for (const auto& e : impl_->entries)
    if (flag_of(e->name) == flag) return e->option->count() > 0;
  return false;
}

bool Args::parse(const Words& words) {
  Impl& impl = *impl_;
  Words reversed(words.rbegin(), words.rend());  // what CLI11 asks for
  try {
    impl.app.parse(reversed);
  } catch (const CLI::ArgumentMismatch& e) {
    const std::string text = e.what();
    throw usage_error(text.substr(0, text.find(':')) + " needs a value");
  } catch (const CLI::ParseError& e) {
    throw usage_error(e.what());
  }
  if (impl.help) {
    impl.console.print(impl.help_text());
    return false;
  }
  if (const auto extras = impl.app.remaining(); !extras.empty()) impl.refuse(extras);
  require_choice(impl.color, "--color", {"auto", "always", "never"});
  impl.console.options = {impl.json, impl.quiet, impl.verbose, impl.color};
  for (const auto& e : impl.entries) {
    if (e->option->count() == 0) {
      if (e->required) throw usage_error("missing " + e->shown + ": " + e->help);
    } else if (e->take) {
      e->take(e->option->results());
    }
  }
  return true;
}

}  // namespace offramp::cli
