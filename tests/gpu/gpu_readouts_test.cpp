#include <gtest/gtest.h>

#include "engine/device/gpus.hpp"
#include "tests/support/kernel_cases.hpp"

namespace twinscreen {
namespace {

using test::same_bits;

class GpuReadouts : public testing::Test {
protected:
    void SetUp() override
    {
        const VisibleGpus gpus = visible_gpus();
        if (gpus.names.empty()) GTEST_SKIP() << gpus.why_none;
        gpu_ = make_gpu_executor(0);
    }

    std::unique_ptr<Executor> host_ = make_emulated_executor();
    std::unique_ptr<Executor> gpu_;
};

TEST_F(GpuReadouts, GaborCellsHaveEveryBitOfTheHost)
{
    const test::GaborCase c;
    EXPECT_TRUE(same_bits(c.responses<float>(*gpu_), c.responses<float>(*host_)));
    EXPECT_TRUE(same_bits(c.responses<double>(*gpu_), c.responses<double>(*host_)));
}

TEST_F(GpuReadouts, SampledUnitsDifferFromTheHostOnlyInTheExponential)
{
    const test::SampleCase c;
    for (const bool shifted : {false, true}) {
        const auto wanted = c.responses(*host_, shifted);
        const auto found = c.responses(*gpu_, shifted);
        ASSERT_EQ(found.size(), wanted.size());
        for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-6);
    }
}

TEST_F(GpuReadouts, ProjectionsHaveEveryBitOfTheHost)
{
    const test::ProjectionCase c;
    EXPECT_TRUE(same_bits(c.projected<float>(*gpu_), c.projected<float>(*host_)));
    EXPECT_TRUE(same_bits(c.projected<double>(*gpu_), c.projected<double>(*host_)));
}

TEST_F(GpuReadouts, RowsOfUnitsAndAreasHaveEveryBitOfTheHost)
{
    const test::RowsCase c;
    const auto wanted = c.made(*host_);
    const auto found = c.made(*gpu_);
    EXPECT_TRUE(same_bits(found.units, wanted.units));
    EXPECT_TRUE(same_bits(found.areas, wanted.areas));
}

TEST_F(GpuReadouts, MomentsBestItemsAndHistogramsHaveEveryBitOfTheHost)
{
    const test::FoldsCase c;
    EXPECT_EQ(c.where_it_works(*gpu_), c.by_the_accumulators());
}

TEST_F(GpuReadouts, RowsThatAreNotValidBecomeNan)
{
    EXPECT_TRUE(same_bits(test::blanked(*gpu_), test::blanked(*host_)));
}

TEST_F(GpuReadouts, SharesOfAreasHaveEveryBitOfTheHost)
{
    EXPECT_TRUE(same_bits(test::shared_sums(*gpu_), test::shared_sums(*host_)));
}

}  // namespace
}  // namespace twinscreen
