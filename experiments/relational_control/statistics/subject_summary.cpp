#include "experiments/relational_control/statistics/subject_summary.hpp"

#include <cmath>
#include <limits>

#include "experiments/relational_control/statistics/group_statistics.hpp"

namespace twinscreen {

SubjectMean mean_over_subjects(std::span<const double> values)
{
    const Interval interval = bootstrap_mean(values);
    return {mean(values), interval.low, interval.high};
}

double mark_of(bool is_significant, double p) noexcept
{
    if (std::isnan(p)) return p;
    return is_significant ? 1.0 : 0.0;
}

std::vector<std::string> changed_verdicts(const std::string& where,
                                          const std::vector<std::string>& names,
                                          std::span<const double> marks,
                                          std::span<const double> others, Compat compat)
{
    const std::vector<bool> rejected = rejected_at_fdr(others);
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < names.size(); ++at)
        if (!std::isnan(others[at]) && rejected[at] != (marks[at] == 1.0))
            lines.push_back(fmt::format("  {}, {}: {} significant with compat = \"{}\"", where,
                                        names[at], rejected[at] ? "would be" : "would not be",
                                        compat == Compat::reference ? "corrected" : "reference"));
    return lines;
}

SubjectCount count_subjects(std::span<const double> marks, bool are_independent)
{
    std::uint32_t tested = 0, significant = 0;
    for (const double mark : marks) {
        if (std::isnan(mark)) continue;
        ++tested;
        if (mark == 1.0) ++significant;
    }
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    return {static_cast<double>(significant), are_independent && tested >= Study::fewest_tests
                                                  ? binomial_survival(significant, tested)
                                                  : nan};
}

SubjectCount count_subjects(std::span<const double> marks, const Study& study)
{
    return count_subjects(marks, study.has_independent_tests());
}

}  // namespace twinscreen
