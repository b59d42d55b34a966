#pragma once

#include <functional>
#include <vector>

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/multivariate/similarity_views.hpp"
#include "experiments/relational_control/responses/patterns.hpp"

namespace twinscreen {

/// Representational similarity of every two images in every area, through every view (Kriegeskorte,
/// Mur & Bandettini 2008): means over populations of the Pearson correlation of patterns.
///
/// /columns/similarity_<view>  f32 [image, other image, area]  other image < image; else NaN
class SimilarityStage final : public ControlStage {
public:
    static constexpr const char* stage_name = "similarity";

    SimilarityStage(const ControlSettings& settings, const Study& study,
                    const SimilarityViews& views)
        : search_(settings.multivariate->search), study_(study), views_(views)
    {
    }

    std::string name() const override { return stage_name; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    void begin(Communicator&, Executor&) override;
    void run(const Shard&, ShardTools&) override;
    std::string outlook() const override;

private:
    void compute_here(ItemRange range, const std::function<void()>& check_stop,
                      std::vector<OwnedBatch>& views) const;

    const SearchSettings& search_;
    const Study& study_;
    const SimilarityViews& views_;
    Patterns patterns_;
    std::uint64_t shard_items_ = 0;
};

}  // namespace twinscreen
