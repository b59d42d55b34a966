#pragma once

#include <memory>

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/responses/imported_responses.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// Mean response and normalised pattern of every population to every image, in one pass over the
/// stimuli (or over the imported files).
///
/// /columns/mean_response  f32 [image, population]
/// /summary/missing        i32 [unit]  images to which the unit is NaN or infinite
/// /columns/pattern        f32 [image, unit]  units of a population are consecutive; the product of
///                         two rows of a population is the Pearson correlation of its patterns
/// /columns/usable         u8 [image, population]  1 where the pattern is not NaN
class ResponseStage final : public ControlStage {
public:
    static constexpr const char* stage_name = "responses";
    static constexpr ColumnId mean_column{0};
    static constexpr ColumnId partial_missing_column{1};
    static constexpr ColumnId missing_column{2};
    static constexpr ColumnId pattern_column{3};
    static constexpr ColumnId usable_column{4};

    /// imported  null: the campaign's twins answer
    ResponseStage(const ControlSettings& settings, const Study& study,
                  const ImportedResponses* imported);

    std::string name() const override { return stage_name; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    ItemRange reads(const Shard& shard) const override
    {
        return imported_ == nullptr ? shard.items : ItemRange{};
    }
    void run(const Shard&, ShardTools&) override;
    SummaryRows combine(const StageResults&) override;
    std::vector<std::string> report(const StageResults&, const CampaignInputs&,
                                    const std::filesystem::path& folder) override;
    std::string outlook() const override { return {}; }

private:
    /// What one shard writes.
    struct Rows {
        OwnedBatch means;
        OwnedBatch missing;
        OwnedBatch patterns;
        OwnedBatch usable;
    };
    void add_pattern_columns(StagePlan& stage) const;
    void answer(ShardTools& tools, Rows& out) const;
    void reduce(const float* responses, std::size_t width, std::size_t rows, std::size_t first_row,
                Rows& out) const;

    const ControlSettings& settings_;
    const Study& study_;
    const ImportedResponses* imported_;
    std::vector<std::vector<std::uint32_t>> units_;  ///< [populations] columns of the raw responses
};

}  // namespace twinscreen
