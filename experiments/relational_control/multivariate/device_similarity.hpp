#pragma once

#include <vector>

#include "experiments/relational_control/multivariate/similarity_views.hpp"
#include "experiments/relational_control/responses/patterns.hpp"

namespace twinscreen {

/// Takes the patterns to where the executor works, for all shards of a stage: each rank reads a
/// part of them on the host, and has the others from the other ranks. Does nothing where
/// similarities_on would do nothing. Collective; throws Error(device, communication).
///
/// most_rows  items of a shard
void bring_patterns(Communicator& communicator, Executor& executor, const Study& study,
                    const Patterns& patterns, const SimilarityViews& wanted,
                    std::uint64_t most_rows);

/// Similarities of the items of `range` with all items before the last of them, as products of
/// patterns where the executor works; patterns that nobody has brought
/// there are taken over, and stay from shard to shard. False where the
/// executor does not take whole batches, or the patterns take more than 16 GiB or half of its
/// memory: then nothing was done. Throws Error(device). Independent; one thread.
///
/// views  for each view f32 [range, items, areas] on the host
bool similarities_on(Executor& executor, const Study& study, const Patterns& patterns,
                     const SimilarityViews& wanted, ItemRange range,
                     std::vector<OwnedBatch>& views);

}  // namespace twinscreen
