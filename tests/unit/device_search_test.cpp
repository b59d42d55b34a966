#include "tests/support/device_search.hpp"

namespace twinscreen {
namespace {

/// The way of a GPU on the processor.
class EmulatedSearch : public testing::Test {
protected:
    std::unique_ptr<Executor> executor = make_emulated_executor();
};

TEST_F(EmulatedSearch, ScoresSetsAsTheHostDoesToTheLastBit)
{
    searches::expect_same_scores(*executor);
}

TEST_F(EmulatedSearch, LooksAtTheTwoAreasThatAreCompared)
{
    searches::expect_same_scores_of_some_areas(*executor);
}

TEST_F(EmulatedSearch, DrawsTheSetsOfTheHost) { searches::expect_same_draws(*executor); }

TEST_F(EmulatedSearch, GoesThroughTheStatesOfTheHost) { searches::expect_same_searches(*executor); }

TEST_F(EmulatedSearch, KeepsTheFirstOfEqualSetsAsTheHostDoes)
{
    searches::expect_same_survivors_among_equals(*executor);
}

TEST_F(EmulatedSearch, ComplainsAboutMissingScoresAsTheHostDoes)
{
    searches::expect_complaint_about_missing_scores(*executor);
}

TEST(DeviceMemory, TakesTablesThatAreLongerThanABlock)
{
    const auto executor = make_emulated_executor();
    constexpr std::int64_t rows = 5, columns = std::int64_t{1} << 23U;  // two rows a block

    const ExecutorMemory table = uploaded_rows(
        rows, columns,
        [](std::int64_t first, std::int64_t count, float* to) {
            for (std::int64_t row = 0; row < count; ++row)
                to[row * columns] = static_cast<float>(first + row);
        },
        *executor);

    for (std::int64_t row = 0; row < rows; ++row)
        EXPECT_EQ(values_of<float>(table.view())[static_cast<std::size_t>(row * columns)],
                  static_cast<float>(row));
}

TEST(DeviceMemory, KeepsWhatIsWantedAgainAndLetsItGoBeforeTheExecutor)
{
    struct Table final : Kept {
        explicit Table(Executor& executor) : values(executor, 10) {}
        DeviceValues<double> values;
    };
    const auto executor = make_emulated_executor();
    EXPECT_EQ(executor->kept(), nullptr);

    executor->kept() = std::make_unique<Table>(*executor);

    EXPECT_NE(dynamic_cast<Table*>(executor->kept().get()), nullptr);
}

}  // namespace
}  // namespace twinscreen
