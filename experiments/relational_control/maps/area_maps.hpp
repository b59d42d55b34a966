#pragma once

#include <span>

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/multivariate/agreement.hpp"
#include "experiments/relational_control/responses/response_table.hpp"

namespace twinscreen {

/// How areas lie to each other: distances between their mean responses, and between their
/// similarities, over all images and over each chosen set, with a map in the plane (Gifford et al.
/// 2024). All subjects together.
///
/// /columns/distance  f64 [map, area, other area]
/// /columns/point     f64 [map, area, axis]
class AreaMaps final : public ControlStage {
public:
    static constexpr const char* stage_name = "area_maps";

    /// agreement  null without multivariate control
    AreaMaps(const ControlSettings& settings, const Study& study, Agreement* agreement)
        : settings_(settings), study_(study), agreement_(agreement)
    {
    }

    std::string name() const override { return stage_name; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    void run(const Shard&, ShardTools&) override;
    std::string outlook() const override;

private:
    /// What the areas are compared on.
    struct Comparison {
        std::string features;  ///< "mean response" or "similarity"
        std::string images;    ///< "all images", "V1 - hV4, both_high"
        bool is_univariate = true;
        bool is_set = false;
        std::vector<std::uint32_t> set;
    };
    void add_univariate(const StageHistory& history);
    void add_multivariate(const StageHistory& history);
    std::vector<double> distances(const Comparison& one) const;
    std::vector<double> response_distances(std::span<const std::uint32_t> images) const;

    const ControlSettings& settings_;
    const Study& study_;
    Agreement* agreement_;
    MeanResponses responses_;
    std::vector<std::vector<float>> means_;  ///< [areas][images] mean over all subjects
    std::vector<double> products_;           ///< of similarities
    std::vector<Comparison> comparisons_;
};

}  // namespace twinscreen
