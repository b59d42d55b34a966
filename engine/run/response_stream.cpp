#include "engine/run/response_stream.hpp"

namespace twinscreen {

ResponseStream::ResponseStream(InputStream& inputs, ForwardPlan& forward, Executor& executor,
                               const Folding* folding)
    : inputs_(inputs), forward_(forward), executor_(executor), folding_(folding)
{
}

ResponseStream::~ResponseStream()
{
    try {
        forward_.forget_started();
    } catch (const std::exception&) {
        // Only reached while another error is on its way: that one is told.
    }
}

const ResponseStream::Answer* ResponseStream::next()
{
    if (!executor_.wants_whole_batches()) return compute_next();
    if (!has_begun_) start_next();
    has_begun_ = true;
    if (started_.empty()) return nullptr;
    start_next();
    answer_ = std::move(started_.front());
    started_.pop_front();
    const ForwardPlan::Responses found = forward_.finish();
    answer_.units = found.units;
    answer_.areas = found.areas;
    return &answer_;
}

/// False after the last batch. The reader may fill the batch before it once that has been sent.
bool ResponseStream::start_next()
{
    forward_.wait_for_inputs();
    const InputBatch* batch = inputs_.next();
    if (batch == nullptr) return false;
    forward_.start(*batch, executor_, folding_);
    started_.push_back({batch->items, batch->luminance, {}, {}});
    return true;
}

const ResponseStream::Answer* ResponseStream::compute_next()
{
    const InputBatch* batch = inputs_.next();
    if (batch == nullptr) return nullptr;
    const auto rows = static_cast<std::int64_t>(batch->items.count);
    const auto room = [rows](OwnedBatch& held, std::size_t columns) {
        const Shape wanted{rows, static_cast<std::int64_t>(columns)};
        if (!(held.shape() == wanted)) held = OwnedBatch(ElementType::f32, wanted);
        return held.view();
    };
    answer_ = {batch->items, batch->luminance, room(units_, forward_.unit_columns()),
               room(areas_, forward_.area_columns())};
    forward_.run(*batch, answer_.units, answer_.areas, executor_);
    return &answer_;
}

}  // namespace twinscreen
