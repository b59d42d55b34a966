#pragma once

#include <string>
#include <vector>

#include "engine/run/experiment.hpp"
#include "experiments/relational_control/accuracy/area_accuracy.hpp"

namespace twinscreen {

/// Columns of the accuracy stage: of subjects (items), then over subjects.
std::vector<ColumnSpec> accuracy_columns(std::size_t areas);

/// The rows of one subject, one batch for each column of subjects.
///
/// compat  which of the two tests is judged (Benjamini and Hochberg over the two comparisons)
std::vector<OwnedBatch> accuracy_rows(const std::vector<AreaAccuracy>& areas, Compat compat);

/// Means and bootstrap intervals over subjects, and tests over subjects: the binomial chance of so
/// many significant subjects, and random signs of their effects (stream flipped_signs, items from
/// 2^31 on). NaN below three subjects.
SummaryRows accuracy_summary(const StageResults& results, std::size_t areas, std::uint64_t seed);

/// Lines for people: accuracy, noise analysis, what was left out, and verdicts that depend on
/// compat.
std::vector<std::string> accuracy_report(const StageResults& results,
                                         const std::vector<std::string>& subjects,
                                         const std::vector<std::string>& areas, Compat compat);

}  // namespace twinscreen
