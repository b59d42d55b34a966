#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/device/executor.hpp"
#include "experiments/relational_control/search/pair_similarity.hpp"
#include "kernels/set_columns.hpp"

namespace twinscreen {

/// Similarities of pairs of items in two areas, in an executor's memory: many sets are scored there
/// at once, each with the bits that the PairSimilarity of the same areas gives it. The executor
/// must outlive it.
class DevicePairs {
public:
    virtual ~DevicePairs() = default;

    virtual Executor& executor() const noexcept = 0;
    /// Stream-ordered.
    ///
    /// costs  [sets]  for a search that aligns the areas, or disentangles them
    virtual void score_sets(const SetColumns& sets, bool aligns, const SetCosts& costs) = 0;
};

/// Copies of what similarities are made of; nothing of the host is looked at later.
std::unique_ptr<DevicePairs> stored_on(const StoredSimilarities& stored, Executor& executor);
std::unique_ptr<DevicePairs> factors_on(const std::vector<WeightedPatterns>& first,
                                        const std::vector<WeightedPatterns>& second,
                                        Executor& executor);

/// Bytes that they take of an executor's memory, with room to work in.
std::uint64_t bytes_on_device(const StoredSimilarities& stored) noexcept;
std::uint64_t bytes_on_device(const std::vector<WeightedPatterns>& first,
                              const std::vector<WeightedPatterns>& second) noexcept;

}  // namespace twinscreen
