#include "experiments/relational_control/generative/evolution_chain.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace twinscreen {

std::uint32_t Trajectory::threshold_generation() const
{
    const auto last = std::find(missed.rbegin(), missed.rend(), std::uint8_t{1});
    return static_cast<std::uint32_t>(missed.rend() - last);
}

EvolutionChain::EvolutionChain(const ChainGoal& goal, const ChainParts& parts)
    : goal_(goal),
      parts_(parts),
      best_code_(parts.generator.code_length()),
      best_responses_(2 * parts.subjects),
      best_picture_(parts.generator.size().bytes())
{
    best_.total = -std::numeric_limits<double>::infinity();
}

void EvolutionChain::step()
{
    const std::size_t length = best_code_.size();
    const std::span<const double> asked = parts_.search.ask();
    std::vector<float> codes(asked.size());
    std::ranges::transform(asked, codes.begin(),
                           [](double gene) { return static_cast<float>(gene); });
    std::vector<double> totals(asked.size() / length);
    for (std::size_t first = 0; first < totals.size(); first += parts_.pictures_at_once) {
        const std::size_t count = std::min(parts_.pictures_at_once, totals.size() - first);
        look_at(std::span(codes).subspan(first * length, count * length),
                std::span(totals).subspan(first, count));
    }
    parts_.search.tell(totals);
    record();
}

/// Mean over the training subjects of both areas' responses [2 areas, subjects].
std::array<double, 2> EvolutionChain::trained(std::span<const float> means) const
{
    std::array<double, 2> result{};
    for (std::size_t side = 0; side < 2; ++side) {
        for (const std::size_t subject : goal_.fold.train)
            result[side] += static_cast<double>(means[side * parts_.subjects + subject]);
        result[side] /= static_cast<double>(goal_.fold.train.size());
    }
    return result;
}

void EvolutionChain::look_at(std::span<const float> codes, std::span<double> totals)
{
    const PictureSize size = parts_.generator.size();
    const std::size_t length = best_code_.size(), width = best_responses_.size();
    pictures_.resize(totals.size() * size.bytes());
    means_.resize(totals.size() * width);
    parts_.generator.generate(codes, pictures_, parts_.executor);
    parts_.respond(pictures_, means_);
    for (std::size_t at = 0; at < totals.size(); ++at) {
        const auto means = std::span(means_).subspan(at * width, width);
        const auto picture = std::span(pictures_).subspan(at * size.bytes(), size.bytes());
        const std::array<double, 2> response = trained(means);
        Best seen{0.0, goal_.train.control(response), 0.0, goal_.train.is_missed(response)};
        if (!seen.missed) seen.complexity = complexity_of(goal_.complexity, size, picture);
        seen.total = goal_.train.total(seen.control, seen.missed, seen.complexity);
        totals[at] = seen.total;
        if (!(seen.total > best_.total)) continue;
        best_ = seen;
        std::ranges::copy(codes.subspan(at * length, length), best_code_.begin());
        std::ranges::copy(means, best_responses_.begin());
        std::ranges::copy(picture, best_picture_.begin());
    }
}

void EvolutionChain::record()
{
    if (best_.missed)  // it counts for test subjects whose thresholds are passed
        best_.complexity = complexity_of(goal_.complexity, parts_.generator.size(), best_picture_);
    trajectory_.total.push_back(best_.total);
    trajectory_.control.push_back(best_.control);
    trajectory_.missed.push_back(best_.missed ? 1 : 0);
    trajectory_.complexity.push_back(best_.complexity);
    trajectory_.responses.insert(trajectory_.responses.end(), best_responses_.begin(),
                                 best_responses_.end());
    double control = std::numeric_limits<double>::quiet_NaN(), total = control;
    bool missed = true;
    if (goal_.fold.test) {
        const std::array<double, 2> response{
            static_cast<double>(best_responses_[*goal_.fold.test]),
            static_cast<double>(best_responses_[parts_.subjects + *goal_.fold.test])};
        control = goal_.test.control(response);
        missed = goal_.test.is_missed(response);
        total =
            goal_.test.test_total(control, missed, best_.missed, best_.complexity, goal_.compat);
    }
    trajectory_.test_control.push_back(control);
    trajectory_.test_missed.push_back(missed ? 1 : 0);
    trajectory_.test_total.push_back(total);
}

std::vector<std::byte> EvolutionChain::save() const
{
    StateWriter state;
    const Trajectory& t = trajectory_;
    state.add(t.generations());
    for (const auto* values : {&t.total, &t.test_total, &t.control, &t.test_control, &t.complexity})
        state.add(*values);
    state.add(t.missed);
    state.add(t.test_missed);
    state.add(t.responses);
    state.add(best_.total);
    state.add(best_.control);
    state.add(best_.complexity);
    state.add(static_cast<std::uint8_t>(best_.missed ? 1 : 0));
    state.add(best_code_);
    state.add(best_responses_);
    state.add(best_picture_);
    parts_.search.save(state);
    return state.bytes();
}

void EvolutionChain::load(std::span<const std::byte> bytes)
{
    StateReader state(bytes);
    std::size_t generations = 0;
    state.take(generations);
    TWINSCREEN_REQUIRE(generations <= bytes.size(), store,
                       "the saved evolution has {} generations in {} bytes", generations,
                       bytes.size());
    Trajectory& t = trajectory_;
    for (auto* values : {&t.total, &t.test_total, &t.control, &t.test_control, &t.complexity}) {
        values->resize(generations);
        state.take(*values);
    }
    for (auto* values : {&t.missed, &t.test_missed}) {
        values->resize(generations);
        state.take(*values);
    }
    t.responses.resize(generations * best_responses_.size());
    state.take(t.responses);
    state.take(best_.total);
    state.take(best_.control);
    state.take(best_.complexity);
    std::uint8_t missed = 0;
    state.take(missed);
    best_.missed = missed != 0;
    state.take(best_code_);
    state.take(best_responses_);
    state.take(best_picture_);
    parts_.search.load(state);
}

}  // namespace twinscreen
