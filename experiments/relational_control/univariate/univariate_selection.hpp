#pragma once

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/session/session_export.hpp"
#include "experiments/relational_control/set_sheet.hpp"
#include "experiments/relational_control/univariate/conditions.hpp"
#include "experiments/relational_control/univariate/univariate_baseline.hpp"
#include "kernels/select.hpp"

namespace twinscreen {

/// The images that align or disentangle the mean responses of two areas, for every pair, fold and
/// condition in one pass over the response table (Gifford et al. 2024): ranked by the sum or the
/// difference of the training responses, of the images that lie `margin` beyond the baseline in
/// both areas.
///
/// /summary/controlling_image  i64 [pair, fold, condition, rank]  best first; -1 where fewer passed
/// /summary/passed             i64 [pair, fold, condition]        images that lie beyond the
/// margins /summary/response           f32 [pair, fold, condition, side, rank, subject]
class UnivariateSelection final : public ControlStage {
public:
    static constexpr const char* stage_name = "univariate_selection";

    UnivariateSelection(const ControlSettings& settings, const Study& study)
        : settings_(*settings.univariate), session_(settings.session), study_(study)
    {
    }

    std::string name() const override { return stage_name; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    void run(const Shard&, ShardTools&) override;
    SummaryRows combine(const StageResults&) override;
    std::vector<std::string> report(const StageResults&, const CampaignInputs&,
                                    const std::filesystem::path& folder) override;
    std::string outlook() const override;

private:
    std::size_t cells() const
    {
        return study_.pairs.size() * study_.folds.size() * control_conditions;
    }
    std::vector<std::string> short_sets(const StageResults& results) const;
    std::vector<ShownSet> shown_sets(const StageResults& results) const;
    Shape ranked_shape() const;
    void rank_image(std::size_t image, std::vector<float>& keys) const;
    OwnedBatch controlling_images(const Selection& best) const;
    OwnedBatch responses_to(std::span<const std::int64_t> images, std::size_t side) const;

    /// The sets of the session's pair, in the published order, with both areas' baselines.
    std::vector<SessionSet> session_sets(const StageResults& results) const;

    const UnivariateSettings& settings_;
    const std::optional<SessionSettings>& session_;
    const Study& study_;
    MeanResponses responses_;
    std::vector<std::vector<float>> train_;  ///< [folds * areas][images]
    std::vector<double> scale_;              ///< [folds * areas] per unit of response
    UnivariateBaselineSets baseline_;
};

/// Sets of one pair and fold by condition, each ranked best first.
using ControllingSets = std::array<std::vector<std::uint32_t>, control_conditions>;
ControllingSets read_controlling_sets(const StageHistory& history, const Study& study,
                                      std::size_t pair, std::size_t fold);

}  // namespace twinscreen
