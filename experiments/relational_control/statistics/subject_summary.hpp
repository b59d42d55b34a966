#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/relational_control/study/compat.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// A quantity over test subjects: its mean with the 95 % bootstrap interval.
struct SubjectMean {
    double mean = 0.0;
    double low = 0.0;
    double high = 0.0;
};
SubjectMean mean_over_subjects(std::span<const double> values);

/// 1 for a significant result, 0 for another, NaN where there was no test.
double mark_of(bool is_significant, double p) noexcept;

/// A line for each hypothesis of one family of which the other setting of compat would have found
/// otherwise; none where that has no test.
///
/// where   what the family is about: "V1 in sub-01"
/// names   [hypotheses]
/// marks   [hypotheses]  as `mark_of` gives them
/// others  [hypotheses]  p with the other setting
/// compat  the setting of the marks
std::vector<std::string> changed_verdicts(const std::string& where,
                                          const std::vector<std::string>& names,
                                          std::span<const double> marks,
                                          std::span<const double> others, Compat compat);

/// Test subjects with a significant result, and the chance of so many without an effect: NaN where
/// the subjects are not independent, or fewer than three were tested.
///
/// marks  [subjects]  1 where significant; NaN: not tested, not counted
struct SubjectCount {
    double significant = 0.0;
    double binomial_p = 0.0;
};
SubjectCount count_subjects(std::span<const double> marks, bool are_independent);
SubjectCount count_subjects(std::span<const double> marks, const Study& study);

}  // namespace twinscreen
