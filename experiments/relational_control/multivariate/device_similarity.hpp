#pragma once

#include <vector>

#include "experiments/relational_control/multivariate/similarity_views.hpp"
#include "experiments/relational_control/responses/patterns.hpp"

namespace twinscreen {

/// Similarities of the items of `range` with all items before the last of them, as products of
/// patterns where the executor works; the patterns stay there from shard to shard. False where the
/// executor does not take whole batches, or the patterns take more than 16 GiB: then nothing was
/// done. Throws Error(device). Independent; one thread.
///
/// views  for each view f32 [range, items, areas] on the host
bool similarities_on(Executor& executor, const Study& study, const Patterns& patterns,
                     const SimilarityViews& wanted, ItemRange range,
                     std::vector<OwnedBatch>& views);

}  // namespace twinscreen
