#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "engine/run/forward_plan.hpp"
#include "engine/run/input_reader.hpp"

namespace twinscreen {

/// Responses to the stimuli of a shard, batch by batch, in item order. Where networks take whole
/// batches, the next one is computed while the caller works on this one. Independent; one thread.
class ResponseStream {
public:
    /// All must outlive the stream.
    ///
    /// folding  only where the executor takes whole batches
    ResponseStream(InputStream& inputs, ForwardPlan& forward, Executor& executor,
                   const Folding* folding = nullptr);
    ~ResponseStream();
    ResponseStream(const ResponseStream&) = delete;
    ResponseStream& operator=(const ResponseStream&) = delete;

    struct Answer {
        ItemRange items;
        std::vector<double> luminance;  ///< [items] of the pictures [0..255], NaN if not valid
        Batch units;                    ///< f32 [items, units], where wanted and sent
        Batch areas;                    ///< f32 [items, areas], where wanted and sent
    };
    /// The next one, or nullptr after the last; valid until the next call. Throws what the inputs
    /// and the forward plan throw.
    const Answer* next();

private:
    const Answer* compute_next();
    bool start_next();

    InputStream& inputs_;
    ForwardPlan& forward_;
    Executor& executor_;
    const Folding* folding_;
    bool has_begun_ = false;
    std::deque<Answer> started_;  // without their responses
    Answer answer_;
    OwnedBatch units_;  // where images run one by one
    OwnedBatch areas_;
};

}  // namespace twinscreen
