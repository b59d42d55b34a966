#pragma once

#include <span>
#include <vector>

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
