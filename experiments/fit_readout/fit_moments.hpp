#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/fit/linear_sums.hpp"
#include "engine/run/experiment.hpp"
#include "experiments/fit_readout/feature_sets.hpp"
#include "experiments/fit_readout/image_split.hpp"

namespace twinscreen {

/// Rows of a table of features, as the stage that computed them has stored it.
class FeatureRows {
public:
    FeatureRows(const StageHistory& history, std::string stage, ColumnId column,
                std::size_t features)
        : history_(history), stage_(std::move(stage)), column_(column), features_(features)
    {
    }
    std::size_t features() const noexcept { return features_; }
    /// The rows of some items (ascending) [items, features].
    std::vector<float> read(std::span<const std::uint64_t> items) const;

private:
    const StageHistory& history_;
    std::string stage_;
    ColumnId column_;
    std::size_t features_;
};

/// What sums over images are taken of, the same on every rank.
struct MomentInputs {
    const FeatureRows& features;
    const std::vector<FeatureSet>& sets;
    const ImageSplit& split;
    /// [fitted images, 2 * units] means over repeats; behind those of each image, the responses to
    /// another one: what is left when images are shuffled
    std::span<const double> responses;
    std::span<const std::uint64_t> fitted;  ///< items, ascending
    std::span<const double> x0;             ///< [all features] references
    std::span<const double> y0;             ///< [2 * units] references
};

/// The stage that sums over the images of each group: one shard per group and block of its images,
/// one column of products per set.
class MomentStage {
public:
    explicit MomentStage(const MomentInputs& inputs);

    Plan plan(const std::string& stage, std::uint32_t threads) const;
    std::vector<ColumnSpec> columns() const;
    /// Sums of the images of one shard. Independent.
    void run(const Shard& shard, const ShardTools& tools) const;
    /// The sums of one group for one set and some of the units (with their shuffled responses
    /// behind them), combined in the order of the blocks. Independent.
    LinearSums load(const StageHistory& history, const std::string& stage, std::size_t set,
                    std::size_t group, std::size_t first_unit, std::size_t units) const;
    /// Memory that a shard needs [bytes].
    double memory_bytes() const;

private:
    std::size_t responses() const { return inputs_.y0.size(); }
    std::span<const std::uint64_t> block_of(std::uint64_t shard) const;
    std::vector<double> references_of(const FeatureSet& set) const;
    void add_images(std::span<const std::uint64_t> items, std::vector<LinearSums>& sums) const;

    MomentInputs inputs_;
    std::uint64_t block_images_ = 1;
    std::uint64_t blocks_ = 1;  // of each group
};

}  // namespace twinscreen
