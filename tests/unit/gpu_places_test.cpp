#include "engine/comm/gpu_places.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace twinscreen {
namespace {

using Places = std::vector<GpuPlace>;

TEST(GpuPlaces, FindsNothingAgainstRanksWithGpusOfTheirOwn)
{
    EXPECT_EQ(why_not_between_gpus(Places{{"a", "x", 0}, {"a", "y", 1}, {"b", "z", 0}}), "");
}

TEST(GpuPlaces, KnowsGpusApartThatTheirProcessesBothNumberZero)
{
    EXPECT_EQ(why_not_between_gpus(Places{{"a", "x", 0}, {"a", "y", 0}}), "");
}

TEST(GpuPlaces, NamesTheRanksThatShareAGpu)
{
    EXPECT_EQ(why_not_between_gpus(Places{{"a", "x", 0}, {"b", "y", 1}, {"b", "y", 1}}),
              "ranks 1 and 2 on b share GPU 1");
}

TEST(GpuPlaces, NamesARankOnAProcessor)
{
    EXPECT_EQ(why_not_between_gpus(Places{{"a", "x", 0}, {"b", "", -1}}),
              "rank 1 on b computes on the processor");
}

}  // namespace
}  // namespace twinscreen
