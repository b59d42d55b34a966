#include <algorithm>

#include <fmt/ranges.h>

#include "engine/base/digest.hpp"
#include "engine/config/csv.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

bool share_a_member(const StudySubject& a, const StudySubject& b)
{
    return std::ranges::any_of(a.members, [&](const std::string& member) {
        return std::ranges::find(b.members, member) != b.members.end();
    });
}

bool Study::has_independent_tests() const
{
    for (std::size_t fold = 1; fold < folds.size(); ++fold)
        for (std::size_t other = fold + 1; other < folds.size(); ++other)
            if (share_a_member(subjects[*folds[fold].test], subjects[*folds[other].test]))
                return false;
    return test_folds() >= fewest_tests;
}

bool Study::has_independent_subjects() const
{
    for (std::size_t subject = 0; subject < subjects.size(); ++subject)
        for (std::size_t other = subject + 1; other < subjects.size(); ++other)
            if (share_a_member(subjects[subject], subjects[other])) return false;
    return subjects.size() >= fewest_tests;
}

std::size_t Study::pair_named(const std::string& name) const
{
    for (std::size_t pair = 0; pair < pairs.size(); ++pair) {
        const std::string& first = areas[pairs[pair].first];
        const std::string& second = areas[pairs[pair].second];
        if (name == first + " - " + second || name == second + " - " + first) return pair;
    }
    return pairs.size();
}

std::string Study::pair_name(std::size_t pair) const
{
    return fmt::format("{} - {}", areas[pairs[pair].first], areas[pairs[pair].second]);
}

Table Study::population_table() const
{
    std::vector<std::string> subject, area;
    std::vector<std::int64_t> first, count;
    for (const Population& population : populations) {
        subject.push_back(population.subject);
        area.push_back(areas[population.area]);
        first.push_back(static_cast<std::int64_t>(population.first_column));
        count.push_back(static_cast<std::int64_t>(population.units.size()));
    }
    return {{{"subject", "", std::move(subject)},
             {"area", "", std::move(area)},
             {"first_unit", "", std::move(first)},
             {"unit_count", "", std::move(count)}}};
}

Table Study::area_table() const { return {{{"name", "", areas}}}; }

Table Study::subject_table() const
{
    std::vector<std::string> names, members;
    for (const StudySubject& subject : subjects) {
        names.push_back(subject.name);
        members.push_back(fmt::format("{}", fmt::join(subject.members, ", ")));
    }
    return {{{"name", "", std::move(names)}, {"members", "", std::move(members)}}};
}

Table Study::pair_table() const
{
    std::vector<std::string> names, first, second;
    for (std::size_t pair = 0; pair < pairs.size(); ++pair) {
        names.push_back(pair_name(pair));
        first.push_back(areas[pairs[pair].first]);
        second.push_back(areas[pairs[pair].second]);
    }
    return {{{"name", "", std::move(names)},
             {"area_1", "", std::move(first)},
             {"area_2", "", std::move(second)}}};
}

Table Study::fold_table() const
{
    std::vector<std::string> names, train, test;
    for (const Fold& fold : folds) {
        names.push_back(fold.name);
        std::vector<std::string> trained;
        for (const std::size_t subject : fold.train) trained.push_back(subjects[subject].name);
        train.push_back(fmt::format("{}", fmt::join(trained, ", ")));
        test.push_back(fold.test ? subjects[*fold.test].name : "");
    }
    return {{{"name", "", std::move(names)},
             {"train", "", std::move(train)},
             {"test", "", std::move(test)}}};
}

std::string Study::population_digest() const
{
    Digest all;
    for (const Table& table : {units, population_table(), area_table()}) all.add(csv_text(table));
    return all.hex();
}

std::string Study::digest() const
{
    Digest all;
    all.add(population_digest());
    for (const Table& table : {subject_table(), pair_table(), fold_table()})
        all.add(csv_text(table));
    return all.hex();
}

}  // namespace twinscreen
