#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "experiments/relational_control/generative/code_search.hpp"
#include "experiments/relational_control/generative/complexity.hpp"
#include "experiments/relational_control/generative/control_goal.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// What one chain evolves towards.
struct ChainGoal {
    ControlGoal train;  ///< for the mean over the training subjects
    ControlGoal test;   ///< for the test subject, where there is one
    Fold fold;
    Compat compat = Compat::corrected;
    ComplexityMeasure complexity = ComplexityMeasure::entropy;
};

/// Mean responses to pictures: [pictures, 2 areas, subjects].
using Responder =
    std::function<void(std::span<const std::uint8_t> pictures, std::span<float> means)>;

/// What a chain looks at pictures with; everything outlives it.
struct ChainParts {
    CodeSearch& search;
    ImageGenerator& generator;
    Executor& executor;
    const Responder& respond;
    std::size_t subjects = 0;
    std::size_t pictures_at_once = 1;
};

/// The best picture so far, generation by generation. Test values are NaN (1 for missed) without a
/// test subject.
struct Trajectory {
    std::vector<double> total, test_total;
    std::vector<double> control, test_control;
    std::vector<std::uint8_t> missed, test_missed;
    std::vector<double> complexity;
    std::vector<float> responses;  ///< [generations, 2 areas, subjects]

    std::size_t generations() const noexcept { return total.size(); }
    /// The number of generations before the thresholds were passed for good: all, if never.
    std::uint32_t threshold_generation() const;
};

/// One evolution of a generator's codes towards pictures that control two areas and then become
/// simple (Gifford et al. 2024).
class EvolutionChain {
public:
    EvolutionChain(const ChainGoal& goal, const ChainParts& parts);

    /// One generation.
    void step();

    const Trajectory& trajectory() const noexcept { return trajectory_; }
    const std::vector<float>& best_code() const noexcept { return best_code_; }
    /// [height, width, channels]
    const std::vector<std::uint8_t>& best_picture() const noexcept { return best_picture_; }

    std::vector<std::byte> save() const;
    void load(std::span<const std::byte> bytes);

private:
    struct Best {
        double total = 0.0;
        double control = 0.0;
        double complexity = 0.0;
        bool missed = true;
    };
    void look_at(std::span<const float> codes, std::span<double> totals);
    std::array<double, 2> trained(std::span<const float> means) const;
    void record();

    ChainGoal goal_;
    ChainParts parts_;
    Best best_;
    std::vector<float> best_code_;
    std::vector<float> best_responses_;
    std::vector<std::uint8_t> best_picture_;
    Trajectory trajectory_;
    std::vector<std::uint8_t> pictures_;  // reused
    std::vector<float> means_;            // reused
};

}  // namespace twinscreen
