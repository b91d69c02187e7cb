// Everything that decides the result of a run, by dotted key: what --config files, --set and flags write
// into, and what run.toml holds.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "kernels/types.h"

namespace offramp::nas {

class Space;

struct SearchConfig {
  std::string data = "fashion-mnist", space = "small", recipe = "offramp";
  std::string objective = "macs";  // costs minimised beside the error (nas/search/objectives.h)
  i64 target_macs = 0;             // average per sample; 0: none
  double target_latency_us = 0;    // likewise, expected; excludes the other
  u64 seed = 1;

  // Hard limits, 0: none.
  struct Limits {
    double latency_us = 0;  // of an image that runs past every exit to the end
    i64 macs = 0, params = 0;
    i64 memory = 0;             // bytes: weights and arena at batch 1
    double avg_latency_us = 0;  // expected, at the thresholds chosen
    i64 avg_macs = 0;
  } limits;
  struct Supernet {
    i64 epochs = 3;
    double lr = 0.1;
    i64 random_subnets = 4;  // beside the largest and the smallest, in every step
    double distill = 0.1;    // weight of the largest network's answer as a teacher of all others
  } supernet;
  struct Search {
    i64 evals = 60, population = 16;
    std::string sampler = "surrogate";  // nsga2, nsga3, evolution, random, surrogate
    std::string surrogate = "as";       // kind; "as": the one of rbf, gp, carts that orders best
    // What it sees: "normal"; "raw": indices of genes, errors in percent, costs in millions, as published.
    std::string surrogate_scale = "normal";
    std::string learn = "shares";      // what surrogates predict: error and exit shares, or the "objectives"
    std::string inner = "objectives";  // what their search minimises; "deviation": from the target, as AEBNAS
    std::string subset = "hypervolume";  // how a generation is picked from what it found; or "gaps"
    // The first networks are the smallest, the largest, and its backbone with the smallest exits.
    bool extremes = true;
    i64 initial = 24, batch = 8;  // networks of the surrogate's initial design; of a later generation
    i64 inner_population = 40, inner_generations = 20;
    double tolerance = 0.002;  // accuracy given up for less cost
    // Forward MACs x images of all training of the run: the final networks get as many whole epochs as it
    // leaves, in place of final.epochs. 0: none.
    i64 training_macs = 0;
  } search;
  struct Candidate {
    // inherit: the supernet's weights; scratch: fresh ones, drawn from the run's seed and the genotype.
    std::string init = "inherit";
    i64 epochs = 0;           // of training from there
    i64 backbone_epochs = 0;  // before those, of the backbone and the final exit alone
    // Successive halving (nas/search/halving.h): the best 1/halving of a rung go on to halving times as many
    // epochs; 0: all candidates get all epochs. rungs 0: as many as epochs can be divided for.
    i64 halving = 0, rungs = 0;
    double lr = 0.02;
    std::optional<double> warmup, weight_decay, clip;  // none ("train" in a file): as train.* has it
    i64 recalibrate = 512;                             // training images behind its normalisation statistics
    double seconds = 0;                                // time limit, 0: none
    i64 rss = 0;                                       // bytes of tensors that it may take, 0: no limit
  } candidate;
  struct Final {
    std::string init =
        "candidate";  // where the networks trained to the end start; candidate: as candidates do
    i64 epochs = 4, count = 4;
    i64 backbone_epochs = 0;  // before those, as for candidates
    double lr = 0.05;
    std::optional<double> warmup, weight_decay, clip;  // as for candidates
    i64 recalibrate = 4096;                            // training images behind its normalisation statistics
  } final;
  struct Train {
    i64 samples = 0;  // 0: all; else so many, stratified
    i64 batch = 128, epochs = 10, backbone_epochs = 0;
    std::string optimizer = "sgd";  // with Nesterov's momentum; adamw: momentum is its beta1
    double lr = 0.1, momentum = 0.9, weight_decay = 5e-4, warmup = 0.1, label_smoothing = 0.05, clip = 5;
    double distill = 0.5;  // weight of a teacher's answer beside the labels
    // final: the network's own last exit, of the early ones; supernet: the largest network of the supernet,
    // of all.
    std::string teacher = "final";
    bool freeze_backbone = false;     // epochs train early exits alone, on the backbone as it is
    std::string schedule = "cosine";  // constant: the learning rate stays where exits are trained
    // sum: of the exits' losses. expected: of exits that learn how sure they are (Confidence); the supernet's
    // is always a sum. weighted: train.exit_weights at evenly spaced places from the first exit to
    // the final one, linear between.
    std::string loss = "sum";
    std::vector<double> exit_weights{0.3, 1};
    bool equilibrium = false;  // gradients of exits meet in the trunk as a mean (nn/network.h)
    double ema = 0;            // decay of the averaged weights, 0: none
    bool augment = true;
  } train;
  // The expected loss (autograd/ops/expected_loss.h): weights of its terms, and NACHOS's support set.
  struct Confidence {
    double classes = 1, truth = 1;
    double cost = 1;            // towards target_macs, where there is a target
    bool cost_gradient = true;  // false: as published, the cost moves nothing
    double peak = 1;            // confidences follow the accuracy of a class on the support set
    double support = 0.1;       // the part of the training images that is this set
    i64 warmup = 0;             // epochs without peaks
  } confidence;
  struct Tune {
    i64 samples = 0;  // 0: the data's own default
    std::string confidence = "margin";
    bool calibrate = false;      // a temperature per exit, fitted on the tune split
    bool cascade = false;        // exits answer together with those before them
    std::string kind = "exact";  // how thresholds are found: exact, coordinate, shares, grid, shared, genes
    double min_accuracy = 0;     // shared: nothing below it is taken for the sake of the target
    std::string penalty = "two-sided";  // grid: of costs off the target; "one-sided": of those above it
  } tune;
};

// Whether any network of a run starts from the supernet's weights; otherwise there is none.
bool wants_supernet(const SearchConfig& config);
// Fresh weights, or those of the supernet?
bool candidates_from_scratch(const SearchConfig& config);
bool finals_from_scratch(const SearchConfig& config);

// Throws Error(usage) where keys that are fine on their own make no sense together.
void require_consistent(const SearchConfig& config);
// The same, and where they ask for what the exits of the space do not have.
void require_consistent(const SearchConfig& config, const Space& space);

// Throws Error(usage) for an unknown key (with the nearest spelling) or a value that does not fit. Counts may
// carry k, M or G.
void set_key(SearchConfig& config, const std::string& key, const std::string& value);

// "a.b=c" as --set takes it.
void set_assignment(SearchConfig& config, const std::string& assignment);

// A TOML file over `config`. Throws Error(input) with path, line and key.
void read_config(SearchConfig& config, const std::string& path);
void read_config_text(SearchConfig& config, const std::string& text, const std::string& path);

// Every key, sections in order; read_config_text gives the same configuration back.
std::string to_toml(const SearchConfig& config);

std::vector<std::string> config_keys();

}  // namespace offramp::nas
