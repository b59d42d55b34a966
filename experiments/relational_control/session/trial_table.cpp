#include "experiments/relational_control/session/trial_table.hpp"

#include <algorithm>
#include <numeric>

#include "kernels/partial_shuffle.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

/// Images 1 .. images, once for each repetition, each time in another order.
std::vector<std::int64_t> image_order(const TrialPlan& plan, std::uint64_t seed, std::uint32_t item)
{
    std::vector<std::int64_t> order;
    PartialShuffle shuffle(plan.images);
    std::vector<std::uint32_t> once(plan.images);
    for (std::uint32_t repetition = 0; repetition < plan.repetitions; ++repetition) {
        shuffle.draw({seed, DrawStream::trial_order, std::uint64_t{item} << 32U | repetition, 0},
                     once);
        for (const std::uint32_t image : once) order.push_back(std::int64_t{image} + 1);
    }
    return order;
}

/// Which of the places of a run are catch trials.
std::vector<std::uint32_t> catch_places(const TrialPlan& plan, std::uint32_t places,
                                        std::uint64_t seed, std::uint32_t item, std::uint32_t run)
{
    std::vector<std::uint32_t> chosen(plan.catch_trials),
        scratch(2 * std::size_t{plan.catch_trials});
    if (chosen.empty()) return chosen;
    DrawWords words(
        {seed, DrawStream::trial_order, std::uint64_t{item} << 32U | (plan.repetitions + run), 0});
    draw_set(words, places, plan.catch_trials, chosen.data(), scratch.data());
    return chosen;
}

}  // namespace

Table trial_table(const TrialPlan& plan, std::uint64_t seed, std::uint32_t item)
{
    const std::vector<std::int64_t> order = image_order(plan, seed, item);
    std::vector<std::int64_t> runs, trials, images;
    std::vector<double> onsets;
    for (std::uint32_t run = 0; run < plan.runs; ++run) {
        const std::size_t first = order.size() * run / plan.runs;
        const std::size_t last = order.size() * (run + 1) / plan.runs;
        const auto places = static_cast<std::uint32_t>(last - first + plan.catch_trials);
        const std::vector<std::uint32_t> caught = catch_places(plan, places, seed, item, run);
        std::size_t next = first;
        for (std::uint32_t place = 0; place < places; ++place) {
            const bool is_catch = std::ranges::binary_search(caught, place);
            runs.push_back(std::int64_t{run} + 1);
            trials.push_back(std::int64_t{place} + 1);
            onsets.push_back(place * plan.trial_s);
            images.push_back(is_catch ? 0 : order[next++]);
        }
    }
    return {{{"run", "", std::move(runs)},
             {"trial", "", std::move(trials)},
             {"onset", "s", std::move(onsets)},
             {"image", "", std::move(images)}}};
}

}  // namespace twinscreen
