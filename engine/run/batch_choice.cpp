#include "engine/run/batch_choice.hpp"

#include <array>

#include "engine/base/log.hpp"
#include "engine/run/agreement.hpp"
#include "engine/run/fitting_batch.hpp"
#include "engine/store/stage_layout.hpp"

namespace twinscreen {
namespace {

/// 0 where there is no store yet. Collective.
std::uint32_t recorded_batch(const std::filesystem::path& store, Communicator& communicator)
{
    std::array<double, 1> recorded{0.0};
    on_rank_0(communicator, [&] {
        if (!std::filesystem::exists(store)) return;
        if (const auto layout = read_stage_layout(store)) recorded[0] = layout->batch_items;
    });
    communicator.all_reduce(recorded, Reduction::max);
    return static_cast<std::uint32_t>(recorded[0]);
}

}  // namespace

std::uint32_t choose_batch(const std::filesystem::path& store, StagePlan& stage, Executor& executor,
                           Communicator& communicator)
{
    if (const std::uint32_t recorded = recorded_batch(store, communicator); recorded > 0)
        return recorded;
    if (!executor.wants_whole_batches()) return stage.plan.batch_items;
    const std::uint32_t most = stage.plan.batch_items;
    std::array<double, 1> fitting{0.0};
    agree(communicator, [&] {
        fitting[0] = largest_fitting_batch(*stage.forward, most, stage.device_bytes, executor);
    });
    communicator.all_reduce(fitting, Reduction::min);
    const auto chosen = static_cast<std::uint32_t>(fitting[0]);
    if (communicator.rank() == 0)
        spdlog::info("{}: batches of {} ({})", stage.plan.stage, chosen,
                     chosen == most ? "as large as is useful"
                                    : fmt::format("{} did not fit on every rank", 2 * chosen));
    return chosen;
}

}  // namespace twinscreen
