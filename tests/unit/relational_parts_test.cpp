#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "engine/fit/gram.hpp"
#include "experiments/relational_control/multivariate/multivariate_statistics.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"
#include "experiments/relational_control/statistics/subject_summary.hpp"
#include "kernels/pattern.hpp"
#include "tests/unit/pattern_support.hpp"
#include "tests/unit/rnc_null_support.hpp"

namespace twinscreen {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

TEST(Pattern, HasMeanZeroAndNormOneAndItsProductsAreCorrelations)
{
    constexpr std::size_t units = 37;
    const std::vector<float> values = normal_table(2, 2 * units, 3);
    std::vector<std::uint32_t> chosen;  // every other unit, backwards
    for (std::uint32_t unit = 2 * units; unit > 1; unit -= 2) chosen.push_back(unit - 1);
    std::array<std::vector<float>, 2> patterns;
    std::array<std::vector<double>, 2> raw;
    for (std::size_t image = 0; image < 2; ++image) {
        const float* row = values.data() + image * 2 * units;
        patterns[image].resize(units);
        const PatternSummary summary =
            normalise_pattern(row, chosen.data(), units, patterns[image].data());
        for (const std::uint32_t unit : chosen)
            raw[image].push_back(static_cast<double>(row[unit]));
        EXPECT_TRUE(summary.is_usable);
        EXPECT_FLOAT_EQ(summary.mean, static_cast<float>(mean_of(raw[image])));
        double sum = 0.0, squares = 0.0;
        for (const float value : patterns[image]) {
            sum += static_cast<double>(value);
            squares += static_cast<double>(value) * static_cast<double>(value);
        }
        EXPECT_NEAR(sum, 0.0, 1e-6);
        EXPECT_NEAR(squares, 1.0, 1e-6);
    }
    double product = 0.0;
    for (std::size_t unit = 0; unit < units; ++unit)
        product += static_cast<double>(patterns[0][unit]) * static_cast<double>(patterns[1][unit]);
    EXPECT_NEAR(product, patterns::naive_pearson(raw[0], raw[1]), 1e-6);
}

TEST(Pattern, LeavesNanOutOfTheMeanButHasNoPatternThen)
{
    const std::array<float, 4> values{1.0F, nan, 3.0F, 8.0F};
    const std::array<std::uint32_t, 4> units{0, 1, 2, 3};
    std::array<float, 4> pattern{};

    const PatternSummary summary =
        normalise_pattern(values.data(), units.data(), 4, pattern.data());

    EXPECT_FLOAT_EQ(summary.mean, 4.0F);
    EXPECT_FALSE(summary.is_usable);
    for (const float value : pattern) EXPECT_TRUE(std::isnan(value));
}

TEST(Pattern, OfUnitsThatAreAllNanOrInfiniteHasNoMean)
{
    const std::array<std::uint32_t, 2> units{0, 1};
    for (const std::array<float, 2>& values :
         {std::array{nan, nan}, std::array{std::numeric_limits<float>::infinity(), 1.0F}}) {
        const PatternSummary summary = normalise_pattern(values.data(), units.data(), 2, nullptr);
        EXPECT_FALSE(std::isfinite(summary.mean));
        EXPECT_FALSE(summary.is_usable);
    }
}

TEST(Pattern, ThatIsConstantIsNotUsableHoweverItsMeanIsRounded)
{
    for (const float level : {0.0F, 0.1F, -1.0F / 3.0F, 1e30F, 1e-30F})
        for (const std::uint32_t count : {1U, 3U, 7U, 1000U}) {
            const std::vector<float> values(count, level);
            std::vector<std::uint32_t> units(count, 0);
            std::vector<float> pattern(count);
            const PatternSummary summary =
                normalise_pattern(values.data(), units.data(), count, pattern.data());
            EXPECT_FLOAT_EQ(summary.mean, level);
            EXPECT_FALSE(summary.is_usable) << level << " x " << count;
            EXPECT_TRUE(std::isnan(pattern.front()));
        }
}

TEST(Pattern, ThatVariesInTheLastDigitIsUsable)
{
    const std::array<float, 3> values{1000.0F, std::nextafter(1000.0F, 2000.0F), 1000.0F};
    const std::array<std::uint32_t, 3> units{0, 1, 2};

    EXPECT_TRUE(normalise_pattern(values.data(), units.data(), 3, nullptr).is_usable);
}

TEST(RowProducts, AreSumsOverColumnsOfRowsThatLieApart)
{
    constexpr std::size_t width = 29, stride = 40, rows = 17, others = 23;
    const std::vector<float> a = normal_table(rows, stride, 1), b = normal_table(others, width, 2);
    std::vector<float> products(rows * others, nan);

    row_products({a.data() + 5, rows, width, stride}, {b.data(), others, width, width},
                 products.data());

    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < others; ++j) {
            double sum = 0.0;
            for (std::size_t column = 0; column < width; ++column)
                sum += static_cast<double>(a[i * stride + 5 + column]) *
                       static_cast<double>(b[j * width + column]);
            EXPECT_NEAR(static_cast<double>(products[i * others + j]), sum, 1e-5);
        }
}

TEST(RowProducts, OfRowsWithNanAreNanWithoutTouchingOthers)
{
    std::vector<float> a = normal_table(3, 4, 1);
    a[5] = nan;
    std::vector<float> products(9);

    row_products({a.data(), 3, 4, 4}, {a.data(), 3, 4, 4}, products.data());

    for (std::size_t at = 0; at < 9; ++at)
        EXPECT_EQ(std::isnan(products[at]), at / 3 == 1 || at % 3 == 1) << at;
}

TEST(SubjectSummary, CountsTestedSubjectsOnly)
{
    Study study;
    for (std::size_t subject = 0; subject < 5; ++subject)
        study.subjects.push_back({std::to_string(subject), {std::to_string(subject)}, {}});
    study.folds.push_back({"all", {}, std::nullopt});
    for (std::size_t subject = 0; subject < 5; ++subject)
        study.folds.push_back({"test", {}, subject});
    constexpr double none = std::numeric_limits<double>::quiet_NaN();

    const SubjectCount four = count_subjects(std::array{1.0, none, 0.0, 1.0, 0.0}, study);
    EXPECT_EQ(four.significant, 2.0);
    EXPECT_DOUBLE_EQ(four.binomial_p, binomial_survival(2, 4));
    const SubjectCount two = count_subjects(std::array{1.0, none, none, 1.0, none}, study);
    EXPECT_EQ(two.significant, 2.0);
    EXPECT_TRUE(std::isnan(two.binomial_p));  // as for a study of two subjects
}

/// p of many studies without any effect: a found set that is one more random set.
std::vector<double> p_under_the_null(Objective objective, Compat compat)
{
    constexpr std::uint32_t items = 30, size = 6, permutations = 99, studies = 400;
    std::vector<double> p;
    for (std::uint32_t study = 0; study < studies; ++study) {
        const auto similarities =
            patterns::stored_values({patterns::made_area(items, 9, 2, 1.0, 100 + study, 0),
                                     patterns::made_area(items, 9, 2, 1.0, 100 + study, 1)});
        const auto scorer = from_stored({similarities.data(), items, 2, 0, 1});
        std::mt19937_64 engine(study);
        std::vector<std::uint32_t> sets;
        for (std::uint32_t set = 0; set < 4 * permutations + 2; ++set) {
            std::vector<std::uint32_t> ids = random_ids(size, items, engine);
            std::sort(ids.begin(), ids.end());
            sets.insert(sets.end(), ids.begin(), ids.end());
        }
        std::vector<double> scores(4 * permutations + 2);
        scorer->score_sets(sets, size, scores);
        const std::vector<float> drawn(scores.begin(), scores.end() - 2);
        const double effect = scores.back() - scores[scores.size() - 2];
        p.push_back(
            test_against_draws({drawn.data(), 1}, permutations, objective, effect, compat).p());
    }
    return p;
}

TEST(AgreementTest, HasUniformPWhereTheFoundSetIsARandomOne)
{
    for (const Objective objective : {Objective::align, Objective::disentangle})
        for (const Compat compat : {Compat::corrected, Compat::reference}) {
            const std::vector<double> p = p_under_the_null(objective, compat);
            // Exceeded once in a thousand times.
            EXPECT_LT(distance_from_uniform(p, 100),
                      1.95 / std::sqrt(static_cast<double>(p.size())));
        }
}

TEST(AgreementTest, TakesThePartsOfTheDrawsThatItsSettingNames)
{
    // Parts of two draws, values 10 x part + place.
    const std::array<float, 8> drawn{0.0F,    1.0F,    100.0F,   101.0F,
                                     2000.0F, 2001.0F, 30000.0F, 30003.0F};
    const auto mean_null = [&](Objective objective, Compat compat) {
        return test_against_draws({drawn.data(), 1}, 2, objective, 0.0, compat).mean();
    };
    EXPECT_EQ(mean_null(Objective::align, Compat::reference), 100.0);
    EXPECT_EQ(mean_null(Objective::disentangle, Compat::reference), 2000.0);
    EXPECT_EQ(mean_null(Objective::align, Compat::corrected), 100.0);
    EXPECT_EQ(mean_null(Objective::disentangle, Compat::corrected), 28001.0);
}

}  // namespace
}  // namespace twinscreen
