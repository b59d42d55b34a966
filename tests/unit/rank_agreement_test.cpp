#include "engine/run/rank_agreement.hpp"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/run/agreement.hpp"
#include "engine/stimulus/stimuli.hpp"
#include "tests/support/support.hpp"
#include "tests/support/thread_communicator.hpp"

namespace twinscreen {
namespace {

using ::testing::HasSubstr;

RankFacts facts_on(const std::string& host)
{
    return {host, "1a2b", "cpu AVX512", "v4 77aa", "kodak 24 files", "", 1.8e9};
}

/// What is said where one fact is other than on rank 0.
template <class T>
std::string said_of(T RankFacts::*fact, const T& value, bool may_differ = false)
{
    RankFacts mine = facts_on("node-7");
    mine.*fact = value;
    try {
        require_same(mine, facts_on("node-0"), may_differ);
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

TEST(RankAgreement, EqualFactsPass)
{
    EXPECT_NO_THROW(require_same(facts_on("node-7"), facts_on("node-0"), false));
    EXPECT_EQ(said_of(&RankFacts::clock_s, 1.8e9 + 500.0), "");
}

TEST(RankAgreement, NamesBothHostsAndWhatDiffers)
{
    const std::string other = "other";
    EXPECT_THAT(said_of(&RankFacts::build, other),
                HasSubstr("node-7 runs another build of twinscreen than node-0 (other and 1a2b)"));
    EXPECT_THAT(said_of(&RankFacts::numerics, other),
                HasSubstr("node-7 computes with 'other', node-0 with 'cpu AVX512'"));
    EXPECT_THAT(said_of(&RankFacts::twins, other),
                HasSubstr("node-7 has other twin files than node-0: other; there v4 77aa"));
    EXPECT_THAT(said_of(&RankFacts::stimuli, other),
                HasSubstr("node-7 has other stimuli than node-0: other; there kodak 24 files"));
    EXPECT_THAT(said_of(&RankFacts::thread_limit, std::string("2")),
                HasSubstr("node-7 has OMP_THREAD_LIMIT=2, node-0 has no OMP_THREAD_LIMIT"));
    EXPECT_THAT(said_of(&RankFacts::clock_s, 1.8e9 - 7200.0),
                HasSubstr("the clock of node-7 is 120 minutes behind that of node-0"));
}

TEST(RankAgreement, MixedNumericsAllowOtherBuildsButNoOtherFiles)
{
    const std::string other = "other";
    EXPECT_EQ(said_of(&RankFacts::build, other, true), "");
    EXPECT_EQ(said_of(&RankFacts::numerics, other, true), "");
    EXPECT_NE(said_of(&RankFacts::twins, other, true), "");
}

TEST(RankAgreement, OneRankThatDiffersEndsTheJobAndSaysWhereItIs)
{
    test::run_as_ranks(3, [](Communicator& communicator) {
        Campaign campaign;
        RankFacts mine = facts_on(fmt::format("node-{}", communicator.rank()));
        if (communicator.rank() == 2) mine.build = "9z";
        try {
            compare_ranks(communicator, campaign, mine);
            ADD_FAILURE() << "rank " << communicator.rank() << " went on";
        } catch (const AgreedFailure& failure) {
            EXPECT_EQ(failure.exit_code, 5);
            const bool speaks = communicator.rank() == 2;
            EXPECT_EQ(failure.message.empty(), !speaks);
            EXPECT_THAT(failure.message, HasSubstr(speaks ? "node-2 runs another build" : ""));
            EXPECT_THAT(failure.message, HasSubstr(speaks ? "on rank 2, " : ""));
        }
    });
}

TEST(RankAgreement, TheSharedFolderIsMadeAndNothingStaysInIt)
{
    const test::TemporaryFolder folder;
    test::run_as_ranks(
        3, [&](Communicator& communicator) { make_shared_folder(communicator, folder / "made"); });
    EXPECT_TRUE(std::filesystem::is_empty(folder / "made"));
}

TEST(RankAgreement, AFolderThatCannotBeMadeIsAnErrorOfTheStore)
{
    const test::TemporaryFolder folder;
    std::ofstream(folder / "file") << "not a folder";
    test::run_as_ranks(2, [&](Communicator& communicator) {
        try {
            make_shared_folder(communicator, folder / "file");
            ADD_FAILURE() << "a file is no folder";
        } catch (const AgreedFailure& failure) {
            EXPECT_EQ(failure.exit_code, 4);
        }
    });
}

TEST(RankAgreement, KnowsTheBuildOfThisProgram)
{
    Campaign campaign;
    campaign.stimuli = no_stimuli();

    EXPECT_THAT(facts_of_this_rank(campaign).build, ::testing::MatchesRegex("[0-9a-f]{12}"));
}

}  // namespace
}  // namespace twinscreen
