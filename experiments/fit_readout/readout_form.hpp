#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/fit/linear_fit.hpp"
#include "engine/run/experiment.hpp"
#include "engine/twin/fitted_bundle.hpp"
#include "experiments/fit_readout/feature_sets.hpp"
#include "experiments/fit_readout/fit_images.hpp"
#include "experiments/fit_readout/fit_moments.hpp"
#include "experiments/fit_readout/fit_settings.hpp"

namespace twinscreen {

/// What forms of readouts are fitted to; outlives them.
struct FitData {
    const FitSettings& settings;
    const FitImages& images;
    const std::vector<FeatureSet>& sets;
    const FeatureRows& rows;
    const StageHistory& history;
    std::uint64_t seed = 0;

    /// Features in the widest set.
    std::size_t widest_set() const;
};

/// Units first ... first + count - 1 of the recording, with a set of features.
struct FitTask {
    std::size_t set = 0;
    std::size_t first_unit = 0;
    std::size_t units = 0;
    std::size_t block_units = 0;  ///< of a row of the store; at least `units`
};

struct FittedUnits {
    std::vector<double> predicted;      ///< [test images, 2 * units], with the shuffled ones behind
    std::vector<double> intercept;      ///< [units]
    std::vector<double> validation_r2;  ///< [units]
    std::vector<double> lambda;         ///< [units] penalty that was chosen
    std::vector<double> choice;         ///< [units] what else was chosen
    std::vector<OwnedBatch> weights;    ///< one row of each of the form's columns
};

/// One form of readout: what its weights are, and how they are fitted.
class ReadoutForm {
public:
    virtual ~ReadoutForm() = default;
    /// Item columns of the weights, of one fit each; the last axis is `block_unit`.
    virtual std::vector<ColumnSpec> columns(std::size_t block_units) const = 0;
    /// Independent; a function of the task, the data and the seed.
    virtual FittedUnits fit(const FitTask& task, const ShardTools& tools) const = 0;
    /// The readout of one set, for a bundle, out of the stored rows of its weights.
    ///
    /// rows  one vector of values per column, joined over blocks: [..., units]
    virtual void fill(std::size_t set, const std::vector<std::vector<double>>& rows,
                      const std::vector<double>& intercepts, FittedReadout& readout) const = 0;
    /// Everything that a fit depends on, for the identity of the store.
    virtual std::string settings_text() const = 0;
    /// Memory of one fit [bytes].
    virtual double memory_bytes() const = 0;
    /// Relative time of a fit to a set.
    virtual float cost(std::size_t set) const = 0;
};

/// Ridge regression from the sums of `moments`, which outlive it.
std::unique_ptr<ReadoutForm> ridge_form(const FitData& data, const MomentStage& moments,
                                        std::string moments_stage);

/// Space x feature by L-BFGS, straight from the features; every set is a map. The first group of
/// images chooses penalties where the split has no validation images.
std::unique_ptr<ReadoutForm> factorised_form(const FitData& data);

/// Predictions of a linear map for the test images [test images, responses].
std::vector<double> predict_test_images(const FitData& data, std::size_t set, const LinearFit& map,
                                        const ShardTools& tools);

}  // namespace twinscreen
