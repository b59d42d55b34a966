#pragma once

#include <memory>
#include <string>
#include <vector>

#include "experiments/fit_readout/fit_report.hpp"
#include "experiments/fit_readout/readout_form.hpp"

namespace twinscreen {

/// The stage that fits: one item per set of features and block of units. Scores every fit on the
/// test images and keeps its weights; the summary has one row per set of a trained network.
class FitStage {
public:
    /// Both outlive the stage.
    FitStage(const FitData& data, const ReadoutForm& form);

    /// Adds plan, columns and tables.
    void declare(const std::string& name, std::uint32_t threads, StagePlan& stage) const;
    /// Independent.
    void run(const Shard& shard, const ShardTools& tools);
    SummaryRows summarise(const StageResults& results) const;
    /// The summary, for people.
    FitReport report(const StageResults& results) const;
    /// Form, weights and units of the fit to one set; accuracies are those on the test images.
    ///
    /// set  number among the sets of trained networks
    FittedReadout readout(const StageResults& results, std::size_t set) const;
    /// Number among all sets of the n-th one of a trained network.
    std::size_t trained_set(std::size_t number) const { return trained_.at(number); }

private:
    std::size_t units() const { return data_.images.neurons.size(); }
    std::size_t blocks() const { return (units() + block_units_ - 1) / block_units_; }
    FitTask task_of(const Shard& shard) const;
    ScoreInputs score_inputs() const;
    void find_noise(const ShardTools& tools);
    std::vector<std::vector<double>> values_of(const FitTask& task, const FittedUnits& fitted,
                                               const ShardTools& tools) const;
    std::vector<double> unit_values(const StageResults& results, std::size_t value,
                                    std::size_t set) const;
    std::vector<std::vector<double>> summary_of(const StageResults& results,
                                                std::size_t value) const;
    std::vector<double> joined_weights(const StageResults& results, std::size_t column,
                                       std::size_t set) const;
    Table set_table() const;
    Table describe(ItemRange items) const;

    const FitData& data_;
    const ReadoutForm& form_;
    std::size_t block_units_;
    std::vector<std::size_t> trained_;  // numbers of sets
    std::vector<ScoreColumn> scores_;
    std::vector<ColumnSpec> weights_;
    std::vector<Reliability> noise_;  // found once per rank
};

}  // namespace twinscreen
