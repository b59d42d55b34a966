#include "engine/device/gpus.hpp"
#include "tests/support/device_search.hpp"

namespace twinscreen {
namespace {

class GpuSearch : public testing::Test {
protected:
    void SetUp() override
    {
        const VisibleGpus gpus = visible_gpus();
        if (gpus.names.empty()) GTEST_SKIP() << "no GPU to compare with: " << gpus.why_none;
        executor = make_gpu_executor(0);
    }

    std::unique_ptr<Executor> executor;
};

TEST_F(GpuSearch, ScoresSetsAsTheHostDoesToTheLastBit) { searches::expect_same_scores(*executor); }

TEST_F(GpuSearch, LooksAtTheTwoAreasThatAreCompared)
{
    searches::expect_same_scores_of_some_areas(*executor);
}

TEST_F(GpuSearch, DrawsTheSetsOfTheHost) { searches::expect_same_draws(*executor); }

TEST_F(GpuSearch, GoesThroughTheStatesOfTheHost) { searches::expect_same_searches(*executor); }

TEST_F(GpuSearch, KeepsTheFirstOfEqualSetsAsTheHostDoes)
{
    searches::expect_same_survivors_among_equals(*executor);
}

TEST_F(GpuSearch, WaitsOnceForManyGenerations)
{
    searches::expect_one_wait_for_many_generations(*executor);
}

TEST_F(GpuSearch, ComplainsAboutMissingScoresAsTheHostDoes)
{
    searches::expect_complaint_about_missing_scores(*executor);
}

}  // namespace
}  // namespace twinscreen
