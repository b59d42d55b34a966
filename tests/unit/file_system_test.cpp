#include "engine/store/file_system.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double gib = 1024.0 * 1024.0 * 1024.0;
constexpr std::uint64_t ext = 0xEF53, nfs = 0x6969, lustre = 0x0BD00BD0, tmpfs = 0x01021994,
                        gpfs = 0x47504653;

std::vector<std::string> advice(std::uint64_t kind, double bytes, int ranks = 64)
{
    return advice_for(file_system_of_kind(kind, 100.0 * gib), "/scratch/out", bytes, ranks);
}

TEST(FileSystem, KnowsWhichOnesOtherNodesSee)
{
    EXPECT_TRUE(file_system_of_kind(lustre, 0.0).is_shared);
    EXPECT_TRUE(file_system_of_kind(nfs, 0.0).is_shared);
    EXPECT_FALSE(file_system_of_kind(ext, 0.0).is_shared);
    EXPECT_FALSE(file_system_of_kind(tmpfs, 0.0).is_shared);
    EXPECT_EQ(file_system_of_kind(0x1234, 0.0).name, "unknown (0x1234)");
}

TEST(FileSystem, AsksTheNearestFolderThatExists)
{
    const test::TemporaryFolder folder;

    const FileSystem system = file_system_of(folder / "not/made/yet");

    EXPECT_EQ(system.name, file_system_of(folder.path()).name);
    EXPECT_GT(system.free_bytes, 0.0);
    EXPECT_EQ(file_system_of("/proc/self").free_bytes, 0.0);
}

TEST(FileSystem, WarnsOfOneThatIsTooSmall)
{
    EXPECT_THAT(advice(gpfs, 101.0 * gib),
                ElementsAre("warning: 100.0 GiB are free in /scratch/out, and this stage takes "
                            "101.0 GiB"));
    EXPECT_THAT(advice(gpfs, 99.0 * gib), IsEmpty());
}

TEST(FileSystem, SaysWhatIsOfOneMachineOnly)
{
    EXPECT_THAT(advice(ext, gib), ElementsAre(HasSubstr("other nodes do not see it")));
    EXPECT_THAT(advice(tmpfs, gib), ElementsAre(HasSubstr("it lies in memory")));
}

TEST(FileSystem, SuggestsStripesBySizeAndRanks)
{
    EXPECT_THAT(advice(lustre, gib, 4),
                ElementsAre("before the first run: lfs setstripe -c 1 -S 4M /scratch/out"));
    EXPECT_THAT(advice(lustre, 40.0 * gib, 4), ElementsAre(HasSubstr("setstripe -c 10 ")));
    EXPECT_THAT(advice(lustre, gib, 256), ElementsAre(HasSubstr("setstripe -c 16 ")));
    EXPECT_THAT(advice(lustre, 90.0 * gib, 100'000), ElementsAre(HasSubstr("setstripe -c 64 ")));
    EXPECT_THAT(advice(nfs, gib), ElementsAre(HasSubstr("one server")));
}

}  // namespace
}  // namespace twinscreen
