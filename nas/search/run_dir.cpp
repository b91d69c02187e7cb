#include "nas/search/run_dir.h"

#include <filesystem>
#include <optional>
#include <sstream>

#include "data/catalog.h"
#include "kernels/error.h"
#include "nas/search/engine.h"
#include "nas/search/objectives.h"
#include "nas/search/run_latency.h"
#include "nas/space/space.h"
#include "nas/study/store.h"
#include "nas/study/writer_lock.h"
#include "tensor/file.h"

namespace offramp::nas {

namespace fs = std::filesystem;

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw Error("cannot create folder " + path + ": " + error.message());
}

void create_run(const SearchRequest& request, bool force) {
  const RunPaths paths{request.out};
  std::error_code error;
  if (fs::exists(paths.out, error) &&
      !(fs::is_directory(paths.out, error) && fs::is_empty(paths.out, error))) {
    if (!force)
      throw usage_error(paths.out + " exists already: choose another --out, or --force to replace it");
    if (!fs::is_directory(paths.out, error)) throw usage_error(paths.out + " is not a folder");
  }
  // Before anything is written or removed.
  const Space space = Space::load(request.config.space);
  require_consistent(request.config, space);
  std::optional<LatencyTable> latency;
  if (!request.latency_table.empty() || needs_latency(request.config))
    latency = starting_table(request.latency_table);
  data::require(request.config.data, request.data_dirs);
  std::optional<WriterLock> lock;  // refuses to pull a run from under another process
  if (fs::exists(paths.archive(), error)) lock.emplace(paths.archive());
  for (const std::string& file :
       {paths.config(), paths.space(), paths.archive(), paths.archive() + "-wal", paths.archive() + "-shm",
        paths.archive() + "-journal", paths.archive() + "-lock", paths.supernet(), paths.front(), paths.curves(),
        paths.chosen(), paths.latency(), paths.missing(), paths.report(), paths.sample(), paths.models(),
        paths.work(), paths.out + "/env.json"})
    fs::remove_all(file, error);
  lock.reset();
  make_folder(paths.out);
  write_file_atomically(paths.space(), space.text());
  if (latency) latency->save(paths.latency());
  Store::create(paths.archive()).set_meta(kMetaConfig, to_toml(request.config));
  write_file_atomically(paths.config(), to_toml(request.config));  // last: a folder with it is a whole run
}

void require_same_config(const Store& store, const RunPaths& paths, const SearchConfig& config) {
  const auto text = store.meta(kMetaConfig);
  if (!text) throw input_error(paths.archive() + ": does not say what configuration it belongs to");
  SearchConfig created;
  read_config_text(created, *text, paths.archive());
  created.search.evals = config.search.evals;
  std::istringstream before(to_toml(created)), now(to_toml(config));
  std::string was, is;
  while (std::getline(before, was) && std::getline(now, is))
    if (was != is)
      throw input_error(paths.archive() + " belongs to another configuration than " + paths.config() + ": " +
                        was + " there, " + is + " here; restore run.toml as it was, or start a new run");
}

void set_evals(const std::string& out, i64 evals) {
  const RunPaths paths{out};
  SearchConfig config = load_run(out);
  if (config.search.evals == evals) return;
  set_key(config, "search.evals", std::to_string(evals));
  const auto require_enough = [&](const Store& store) {
    if (const i64 begun = store.begun(); evals < begun)
      throw usage_error(out + " has evaluated " + std::to_string(begun) +
                        " candidates; --evals is their number in all, so it cannot be " +
                        std::to_string(evals));
  };
  require_enough(Store::open(paths.archive(), Store::Access::read));  // what is refused changes nothing
  Store store = Store::open(paths.archive(), Store::Access::write);
  require_enough(store);  // nor can another process have gone on meanwhile
  // Whatever of this is cut short, the run is a whole one: of the old number until the last step.
  store.reopen();
  std::vector<std::string> made{paths.front(), paths.chosen(), paths.report(), paths.sample(),
                                paths.models()};
  // Once there are models, what is in work is theirs; before, it is the supernet's or the candidates'.
  if (fs::exists(paths.models())) made.insert(made.begin(), paths.work());
  for (const std::string& file : made) {
    std::error_code error;
    fs::remove_all(file, error);
    if (error) throw Error("cannot remove " + file + ": " + error.message());
  }
  write_file_atomically(paths.config(), to_toml(config));
}

SearchConfig load_run(const std::string& out) {
  const RunPaths paths{out};
  if (!fs::exists(paths.config()))
    throw input_error(out + " is not a run directory: there is no " + paths.config());
  SearchConfig config;
  read_config(config, paths.config());
  return config;
}

bool run_finished(const std::string& out) {
  const Store store = Store::open(RunPaths{out}.archive(), Store::Access::read);
  if (const auto why = store.meta(kMetaInfeasible)) throw Error(*why, Error::Kind::infeasible);
  return store.meta(kMetaFinished).has_value();
}

void add_latency(const std::string& out, const std::string& path) {
  const RunPaths paths{out};
  const WriterLock lock(paths.archive());
  if (!fs::exists(paths.latency()))
    throw usage_error(out + " has no latency table; only a new run can start with one");
  LatencyTable table = LatencyTable::load(paths.latency());
  merge_missing(table, starting_table(path), path);
  table.save(paths.latency());
  std::error_code ignored;
  fs::remove(paths.missing(), ignored);
}

}  // namespace offramp::nas
