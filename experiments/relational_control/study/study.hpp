#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/table.hpp"
#include "experiments/relational_control/study/area_pair.hpp"
#include "experiments/relational_control/study/control_settings.hpp"

namespace twinscreen {

/// The kept units of one area of one subject: consecutive columns of the response table.
struct Population {
    std::string subject;
    std::size_t area = 0;
    std::size_t first_column = 0;
    std::vector<std::size_t> units;  ///< rows of the unit table that it was chosen from
};

/// One subject of the study: a population for each area.
struct StudySubject {
    std::string name;
    std::vector<std::string> members;
    std::vector<std::size_t> populations;  ///< [areas]
};

/// Whether one animal or person is in both.
bool share_a_member(const StudySubject& a, const StudySubject& b);

/// Sets are chosen for the mean over the training subjects and tested on a subject that shares no
/// member with any of them.
struct Fold {
    std::string name;
    std::vector<std::size_t> train;
    std::optional<std::size_t> test;
};

/// Who is compared with whom. Fold 0 chooses on all subjects and tests on none; the others leave
/// one subject out.
struct Study {
    std::vector<std::string> areas;
    std::vector<Population> populations;
    std::vector<StudySubject> subjects;
    std::vector<AreaPair> pairs;
    std::vector<Fold> folds;
    Table units;  ///< kept units in the order of columns

    std::size_t population(std::size_t subject, std::size_t area) const
    {
        return subjects[subject].populations[area];
    }
    std::string pair_name(std::size_t pair) const;
    /// The pair "V1 - hV4", its areas in either order; pairs.size() where there is none.
    std::size_t pair_named(const std::string& name) const;
    std::size_t columns() const noexcept { return units.rows(); }
    /// Folds with a test subject: 1 ... test_folds().
    std::size_t test_folds() const noexcept { return folds.size() - 1; }

    /// What a binomial test over subjects needs.
    static constexpr std::size_t fewest_tests = 3;
    /// As many test subjects or more, of which no two share a member.
    bool has_independent_tests() const;
    /// As many subjects or more, of which no two share a member.
    bool has_independent_subjects() const;

    Table population_table() const;
    Table area_table() const;
    Table subject_table() const;
    Table pair_table() const;
    Table fold_table() const;
    /// Units, populations and areas as one digest: what responses depend on.
    std::string population_digest() const;
    /// These, subjects, pairs and folds as one digest.
    std::string digest() const;
};

/// A unit table with the columns that only filters see: `row` (0, 1, ...) and `half` (1 or 2:
/// random halves of the units, drawn with seed).
Table with_filter_columns(Table units, std::uint64_t seed);

/// Chooses units, areas, subjects, pairs and folds.
///
/// units  at least the columns id, subject, area (texts), noise_ceiling (numbers). Filters see
///        two more, as `with_filter_columns` adds them
/// Mistakes are complained of in the section; then the result is incomplete.
Study make_study(const ControlSettings& settings, const Table& units, std::uint64_t seed,
                 ConfigSection& section);

}  // namespace twinscreen
