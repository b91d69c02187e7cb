// The sampler that a configuration asks for.
#pragma once
#include <memory>

#include "nas/search/config.h"
#include "nas/search/sampler.h"
#include "nas/space/space.h"
#include "nas/study/records.h"

namespace offramp {
class Exec;
}

namespace offramp::nas {

std::vector<std::string> sampler_names();  // values of search.sampler

// `exec` and `space` must outlive the sampler. The smallest and the largest network come first.
std::unique_ptr<Sampler> make_sampler(Exec& exec, const Space& space, const Task& task,
                                      const SearchConfig& config);

// What the sampler is told of an evaluated candidate, with what it teaches this search's surrogates.
Outcome outcome_of(const Space& space, const SearchConfig& config, const CandidateRecord& record);

// Why surrogates had no part in the generation last asked for; empty for other samplers and where they had.
std::string surrogate_failure_in_words(const Sampler& sampler);

// One line on how well surrogates ordered the last generation; empty for other samplers and before there is a
// prediction.
std::string surrogate_in_words(const Sampler& sampler);

}  // namespace offramp::nas
