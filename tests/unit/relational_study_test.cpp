#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/relational_control/multivariate/similarity_views.hpp"
#include "experiments/relational_control/responses/missing_responses.hpp"
#include "experiments/relational_control/study/study.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using Places = std::vector<std::size_t>;

/// Units of one area of one subject, and their noise ceilings.
struct Recorded {
    std::string subject;
    std::string area;
    std::vector<double> ceilings{1.0, 1.0};
};

Table unit_table(const std::vector<Recorded>& recorded)
{
    std::vector<std::string> ids, subjects, areas;
    std::vector<double> ceilings;
    for (const Recorded& one : recorded)
        for (std::size_t unit = 0; unit < one.ceilings.size(); ++unit) {
            ids.push_back(fmt::format("{}/{}/{}", one.subject, one.area, unit));
            subjects.push_back(one.subject);
            areas.push_back(one.area);
            ceilings.push_back(one.ceilings[unit]);
        }
    return {{{"id", "", std::move(ids)},
             {"subject", "", std::move(subjects)},
             {"area", "", std::move(areas)},
             {"noise_ceiling", "", std::move(ceilings)}}};
}

/// The study of `[relational_control]` with these lines; throws Error with every mistake.
Study study_of(const std::vector<Recorded>& recorded, const std::string& lines,
               std::uint64_t seed = 1)
{
    auto document = ConfigDocument::parse("[relational_control]\n" + lines, "c.toml", ".");
    ConfigSection section = document.root().child("relational_control");
    const ControlSettings settings = read_control_settings(section);
    document.throw_if_invalid();
    Study study = make_study(settings, unit_table(recorded), seed, section);
    document.throw_if_invalid();
    return study;
}

std::vector<Recorded> three_subjects()
{
    std::vector<Recorded> recorded;
    for (const char* subject : {"a", "b", "c"})
        for (const char* area : {"V1", "V4", "FFA"}) recorded.push_back({subject, area});
    return recorded;
}

/// Areas V1 and V4 of two animals each, every animal of one with every animal of the other.
std::vector<Recorded> unpaired_animals()
{
    return {{"m1", "V1"}, {"m2", "V1"}, {"n1", "V4"}, {"n2", "V4"}};
}
constexpr const char* crossed = R"(
[[relational_control.subjects]]
members = ["m1", "n1"]
[[relational_control.subjects]]
members = ["m1", "n2"]
[[relational_control.subjects]]
members = ["m2", "n1"]
[[relational_control.subjects]]
members = ["m2", "n2"]
)";

std::vector<std::string> ids(const Study& study, const Population& population)
{
    std::vector<std::string> found;
    for (std::size_t at = 0; at < population.units.size(); ++at)
        found.push_back(study.units.text("id", population.first_column + at));
    return found;
}

TEST(RelationalStudy, ComparesEveryTwoAreasOfSubjectsThatHaveAll)
{
    const Study study = study_of(three_subjects(), "");

    EXPECT_THAT(study.areas, ElementsAre("V1", "V4", "FFA"));
    ASSERT_THAT(study.pairs, SizeIs(3));
    EXPECT_EQ(study.pair_name(0), "V1 - V4");
    EXPECT_EQ(study.pair_name(1), "V1 - FFA");
    EXPECT_EQ(study.pair_name(2), "V4 - FFA");
    ASSERT_THAT(study.subjects, SizeIs(3));
    EXPECT_EQ(study.columns(), 18U);
    for (std::size_t subject = 0; subject < 3; ++subject)
        for (std::size_t area = 0; area < 3; ++area) {
            const Population& population = study.populations[study.population(subject, area)];
            EXPECT_EQ(population.subject, study.subjects[subject].name);
            EXPECT_EQ(population.area, area);
        }
}

TEST(RelationalStudy, LeavesEachSubjectOutOnce)
{
    const Study study = study_of(three_subjects(), "");

    ASSERT_THAT(study.folds, SizeIs(4));
    EXPECT_EQ(study.folds[0].test, std::nullopt);
    EXPECT_THAT(study.folds[0].train, ElementsAre(0, 1, 2));
    EXPECT_EQ(study.folds[2].test, 1U);
    EXPECT_THAT(study.folds[2].train, ElementsAre(0, 2));
    EXPECT_EQ(study.folds[2].name, "test b");
    EXPECT_TRUE(study.has_independent_tests());
    EXPECT_THAT(study_of(three_subjects(), "folds = 'none'").folds, SizeIs(1));
}

TEST(RelationalStudy, TestsNobodyWhereThereIsOneSubject)
{
    const Study study = study_of({{"a", "V1"}, {"a", "V4"}}, "");

    EXPECT_EQ(study.test_folds(), 0U);
    EXPECT_FALSE(study.has_independent_tests());
}

TEST(RelationalStudy, HasTooFewIndependentTestsWithTwoSubjects)
{
    const Study study = study_of({{"a", "V1"}, {"a", "V4"}, {"b", "V1"}, {"b", "V4"}}, "");

    EXPECT_EQ(study.test_folds(), 2U);
    EXPECT_FALSE(study.has_independent_tests());
}

TEST(RelationalStudy, KeepsUnitsStrictlyAboveTheThreshold)
{
    const Study study = study_of(
        {{"a", "V1", {0.5, 0.51, std::numeric_limits<double>::quiet_NaN(), 0.9}}, {"a", "V4"}}, "");

    EXPECT_THAT(ids(study, study.populations[0]), ElementsAre("a/V1/1", "a/V1/3"));
    EXPECT_THAT(study.populations[0].units, ElementsAre(1, 3));
    EXPECT_EQ(study.populations[1].first_column, 2U);
}

TEST(RelationalStudy, JoinsThePartsOfAnArea)
{
    const Study study =
        study_of({{"a", "FFA-1"}, {"a", "V1"}, {"a", "FFA-2"}, {"b", "FFA-2"}, {"b", "V1"}},
                 R"([[relational_control.areas]]
name = "FFA"
units = "area in ['FFA-1', 'FFA-2']"
[[relational_control.areas]]
name = "V1"
units = "area == 'V1'"
)");

    EXPECT_THAT(study.areas, ElementsAre("FFA", "V1"));
    EXPECT_THAT(ids(study, study.populations[0]),
                ElementsAre("a/FFA-1/0", "a/FFA-1/1", "a/FFA-2/0", "a/FFA-2/1"));
    EXPECT_THAT(ids(study, study.populations[1]), ElementsAre("b/FFA-2/0", "b/FFA-2/1"));
}

TEST(RelationalStudy, PartsTheUnitsIntoHalvesThatDependOnTheSeed)
{
    const std::vector<Recorded> recorded{{"a", "V1", std::vector<double>(100, 1.0)}};
    const std::string halves = R"([[relational_control.areas]]
name = "one"
units = "half == 1"
[[relational_control.areas]]
name = "two"
units = "half == 2"
)";
    const Study study = study_of(recorded, halves), again = study_of(recorded, halves),
                other = study_of(recorded, halves, 2);

    Places all = study.populations[0].units;
    all.insert(all.end(), study.populations[1].units.begin(), study.populations[1].units.end());
    std::ranges::sort(all);
    Places expected(100);
    std::iota(expected.begin(), expected.end(), std::size_t{0});
    EXPECT_EQ(all, expected);
    EXPECT_NEAR(static_cast<double>(study.populations[0].units.size()), 50.0, 20.0);
    EXPECT_EQ(study.digest(), again.digest());
    EXPECT_NE(study.digest(), other.digest());
}

TEST(RelationalStudy, NamedPairsKeepTheirOrderAndDirection)
{
    const Study study = study_of(three_subjects(), "pairs = ['FFA - V1', 'V4 - FFA']");

    ASSERT_THAT(study.pairs, SizeIs(2));
    EXPECT_EQ(study.pair_name(0), "FFA - V1");
    EXPECT_EQ(study.pair_name(1), "V4 - FFA");
}

TEST(RelationalStudy, FoldsOfUnpairedAnimalsTrainOnNoneOfTheTested)
{
    const Study study = study_of(unpaired_animals(), crossed);

    ASSERT_THAT(study.folds, SizeIs(5));
    for (std::size_t fold = 1; fold < 5; ++fold)
        EXPECT_THAT(study.folds[fold].train, ElementsAre(3 - *study.folds[fold].test));
    EXPECT_EQ(study.subjects[0].name, "m1 x n1");
    EXPECT_FALSE(study.has_independent_tests());
}

TEST(RelationalStudy, SubjectsThatAreNotNamedNeedNoUnits)
{
    std::vector<Recorded> recorded = three_subjects();
    recorded.push_back({"d", "V1", {0.1, 0.2}});
    const std::string named = R"([[relational_control.subjects]]
members = ["a"]
[[relational_control.subjects]]
members = ["b"]
)";

    const Study study = study_of(recorded, named);

    EXPECT_THAT(study.populations, SizeIs(6));
    EXPECT_EQ(study.columns(), 12U);
    EXPECT_THAT(error_text([&] { study_of(recorded, ""); }),
                HasSubstr("keeps none of the 2 units of area 'V1' of subject 'd'"));
}

TEST(RelationalStudy, ADigestTellsStudiesApart)
{
    const std::string digest = study_of(three_subjects(), "").digest();

    for (const char* lines :
         {"pairs = ['V1 - V4']", "pairs = ['V4 - V1', 'V1 - FFA', 'V4 - FFA']", "folds = 'none'",
          "units = 'noise_ceiling > 0.5 and subject != \"c\"'\n"
          "[[relational_control.subjects]]\nmembers = ['a']\n"
          "[[relational_control.subjects]]\nmembers = ['b']"})
        EXPECT_NE(study_of(three_subjects(), lines).digest(), digest) << lines;
    EXPECT_EQ(study_of(three_subjects(), "compat = 'reference'").digest(), digest);
}

TEST(RelationalStudy, MissingResponsesNameThePopulationAndItsUnits)
{
    const Study study = study_of(three_subjects(), "");
    const Population& most = study.populations[4];
    const std::string who = fmt::format("area '{}' of subject '{}' lacks 9 images",
                                        study.areas[most.area], most.subject);
    const auto& ids = std::get<std::vector<std::string>>(study.units.find("id")->values);
    MissingResponses missing{{0, 1, 2, 3, 9, 4, 0, 0, 0},
                             std::vector<std::int32_t>(study.columns())};

    EXPECT_EQ(missing.worst(study), who + ": its pattern is constant");
    missing.units[most.first_column] = 4;
    missing.units[most.first_column + 1] = 6;
    missing.units[study.populations[5].first_column] = 7;
    EXPECT_EQ(missing.worst(study),
              fmt::format("{}: unit '{}' is NaN or infinite for 6, 1 other unit for as many or "
                          "fewer; [relational_control] units leaves units out",
                          who, ids[most.first_column + 1]));
    EXPECT_EQ(missing_units(std::vector<std::int32_t>(5), study.units), "");
}

struct Mistake {
    const char* lines;
    const char* sentence;
    const char* hint = "";
};

TEST(RelationalStudy, MistakesHaveTheirSentenceAndTheirPlace)
{
    const std::vector<Mistake> mistakes{
        {"pairs = ['V1 - V4', 'V4 - V1']",
         "c.toml:2:21: error: the pair \"V4 - V1\" is named twice"},
        {"pairs = ['V4 - V4']", "c.toml:2:10: error: \"V4 - V4\" compares an area with itself"},
        {"pairs = ['V1 - FFAA']", "unknown area 'FFAA' (known: V1, V4, FFA)",
         "did you mean 'FFA'?"},
        {"pairs = ['V1-V4']", "\"V1-V4\" is no pair of areas", "write it as"},
        {"units = 'noise_ceiling > 1'",
         "c.toml:2:9: error: \"noise_ceiling > 1\" keeps none of the "
         "18 units"},
        {"units = 'noise_ceilin > 1'", "unknown column \"noise_ceilin\"",
         "did you mean 'noise_ceiling'?"},
        {"subject_column = 'animal'", "no column of texts named 'animal'"},
        {"[[relational_control.areas]]\nname = 'x'\nunits = \"area == 'V9'\"",
         "c.toml:4:9: error: \"area == 'V9'\" holds for none of the 18 units"},
        {"[[relational_control.areas]]\nname = 'x'\nunits = ''", "there is one area, 'x'"},
        {"[[relational_control.areas]]\nname = 'x'\nunits = ''\n"
         "[[relational_control.areas]]\nname = 'x'\nunits = ''",
         "two areas are called 'x'"},
        {"[[relational_control.subjects]]\nmembers = ['a', 'cc']",
         "c.toml:3:11: error: no kept unit is of a subject 'cc'", "did you mean 'c'?"},
        {"[[relational_control.subjects]]\nmembers = []",
         "c.toml:3:11: error: relational_control.subjects[0].members = []", "at least one subject"},
        {"[[relational_control.subjects]]\nmembers = ['a', 'b']",
         "subject 'a x b' has 2 populations of area 'V1' (of a, b), not one"},
        {"[[relational_control.subjects]]\nmembers = ['a']\n"
         "[[relational_control.subjects]]\nmembers = ['a']",
         "two subjects are called 'a'"},
    };
    for (const Mistake& mistake : mistakes)
        EXPECT_THAT(error_text([&] { study_of(three_subjects(), mistake.lines); }),
                    AllOf(HasSubstr(mistake.sentence), HasSubstr(mistake.hint)))
            << mistake.lines;
}

TEST(RelationalStudy, ASubjectThatLacksAnAreaIsNamed)
{
    std::vector<Recorded> recorded = three_subjects();
    recorded.pop_back();

    EXPECT_THAT(error_text([&] { study_of(recorded, ""); }),
                AllOf(HasSubstr("subject 'c' has no units of area 'FFA'"),
                      HasSubstr("[[relational_control.subjects]]")));
}

/// Weights of the populations in one area: {subject, weight}.
std::vector<std::pair<std::string, double>> weights(const Study& study, const SimilarityView& view,
                                                    std::size_t area)
{
    std::vector<std::pair<std::string, double>> found;
    for (const PopulationShare& share : view.areas[area])
        found.emplace_back(study.populations[share.population].subject, share.weight);
    return found;
}

TEST(SimilarityViews, TrainOnTheOthersAndTestOnOne)
{
    const Study study = study_of(three_subjects(), "");
    const SimilarityViews all = similarity_views(study);

    ASSERT_THAT(all.views, SizeIs(7));
    EXPECT_THAT(all.train, ElementsAre(0, 1, 2, 3));
    EXPECT_THAT(all.test, ElementsAre(0, 4, 5, 6));  // nobody is tested in the first fold
    for (std::size_t area = 0; area < 3; ++area) {
        EXPECT_THAT(weights(study, all.views[2], area),
                    ElementsAre(std::pair("a", 0.5), std::pair("c", 0.5)));
        EXPECT_THAT(weights(study, all.views[5], area), ElementsAre(std::pair("b", 1.0)));
    }
}

TEST(SimilarityViews, TwoSubjectsAreTestedThroughTheViewOfTheOthersTraining)
{
    const Study study = study_of({{"a", "V1"}, {"a", "V4"}, {"b", "V1"}, {"b", "V4"}}, "");
    const SimilarityViews all = similarity_views(study);

    EXPECT_THAT(all.views, SizeIs(3));
    EXPECT_THAT(all.train, ElementsAre(0, 1, 2));
    EXPECT_THAT(all.test, ElementsAre(0, 2, 1));
}

TEST(SimilarityViews, AnAnimalOfSeveralSubjectsHasTheSumOfItsShares)
{
    const Study study = study_of(unpaired_animals(), crossed);
    const SimilarityViews all = similarity_views(study);

    EXPECT_THAT(all.views, SizeIs(5));
    for (std::size_t area = 0; area < 2; ++area) {
        const auto shares = weights(study, all.views[0], area);
        ASSERT_THAT(shares, SizeIs(2));
        for (const auto& share : shares) EXPECT_DOUBLE_EQ(share.second, 0.5);
    }
    EXPECT_THAT(all.test, ElementsAre(0, 4, 3, 2, 1));
    const Table table = all.table(study);
    EXPECT_EQ(table.text("populations", 0), "V1: 0.5 m1 0.5 m2; V4: 0.5 n1 0.5 n2");
}

}  // namespace
}  // namespace twinscreen
