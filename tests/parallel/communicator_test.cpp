#include "engine/comm/communicator.hpp"

#include <array>
#include <cstdlib>
#include <functional>
#include <map>
#include <numeric>
#include <thread>

#include <gtest/gtest.h>
#include <mpi.h>

#include "tests/support/support.hpp"
#include "tests/support/thread_communicator.hpp"

namespace twinscreen {
namespace {

using namespace std::chrono_literals;

/// Every promise is tried on real processes and, on rank 0, on the in-process ranks of the tests.
void on_both_kinds(const std::function<void(Communicator&)>& check)
{
    const auto mpi = make_mpi_communicator();
    check(*mpi);
    if (mpi->rank() == 0) test::run_as_ranks(3, check);
    mpi->barrier();
}

TEST(Communicator, KnowsRankAndSizeAsMpiDoes)
{
    int rank = -1;
    int size = -1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);

    const auto communicator = make_mpi_communicator();

    EXPECT_EQ(communicator->rank(), rank);
    EXPECT_EQ(communicator->size(), size);
    EXPECT_EQ(communicator->node_rank(), rank) << "these tests run on one node";
    EXPECT_TRUE(communicator->threads_may_message());
    int relation = MPI_UNEQUAL;
    MPI_Comm_compare(*static_cast<const MPI_Comm*>(communicator->native()), MPI_COMM_WORLD,
                     &relation);
    EXPECT_EQ(relation, MPI_CONGRUENT) << "a duplicate: the same ranks, messages of its own";
}

TEST(Communicator, BroadcastsFromAnyRoot)
{
    on_both_kinds([](Communicator& communicator) {
        for (int root = 0; root < communicator.size(); ++root) {
            std::vector<std::uint32_t> values(1000);
            if (communicator.rank() == root) std::iota(values.begin(), values.end(), 7U);

            communicator.broadcast(std::as_writable_bytes(std::span(values)), root);

            for (std::uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(values[i], 7U + i);
        }
    });
}

TEST(Communicator, BroadcastsTextsOfAnyLength)
{
    on_both_kinds([](Communicator& communicator) {
        for (const std::size_t length : {0, 1, 1'000'000}) {
            const std::string text(length, 'x');
            EXPECT_EQ(broadcast_text(communicator, communicator.rank() == 0 ? text : "other"),
                      text);
        }
    });
}

TEST(Communicator, ReducesEachNumberByItself)
{
    on_both_kinds([](Communicator& communicator) {
        const double rank = communicator.rank();
        const double size = communicator.size();
        std::vector<double> sum = {rank, 1.0, -rank};
        std::vector<double> min = {rank, 1.0, -rank};
        std::vector<double> max = {rank, 1.0, -rank};

        communicator.all_reduce(sum, Reduction::sum);
        communicator.all_reduce(min, Reduction::min);
        communicator.all_reduce(max, Reduction::max);

        const double total = size * (size - 1) / 2;
        EXPECT_EQ(sum, (std::vector<double>{total, size, -total}));
        EXPECT_EQ(min, (std::vector<double>{0, 1, 1 - size}));
        EXPECT_EQ(max, (std::vector<double>{size - 1, 1, 0}));
    });
}

TEST(Communicator, GathersTheBytesOfAllRanksInTheirOrder)
{
    on_both_kinds([](Communicator& communicator) {
        const std::vector<int> mine = {communicator.rank(), 10 * communicator.rank()};
        std::vector<int> all(2 * static_cast<std::size_t>(communicator.size()), -1);

        communicator.all_gather(std::as_bytes(std::span(mine)),
                                std::as_writable_bytes(std::span(all)));

        for (int rank = 0; rank < communicator.size(); ++rank) {
            EXPECT_EQ(all[2 * static_cast<std::size_t>(rank)], rank);
            EXPECT_EQ(all[2 * static_cast<std::size_t>(rank) + 1], 10 * rank);
        }
    });
}

TEST(Mailbox, LettersBetweenTwoRanksKeepTheirOrderAndContent)
{
    on_both_kinds([](Communicator& communicator) {
        const auto mailbox = communicator.open_mailbox();
        constexpr int letters = 200;
        // Sizes on both sides of MPI's eager limit; every rank sends before anyone receives.
        const auto letter = [](int from, int number) {
            const std::size_t size = number % 10 == 9 ? 300'000 : static_cast<std::size_t>(number);
            std::vector<std::byte> bytes(size, std::byte(from * 31 + number));
            return bytes;
        };
        for (int number = 0; number < letters; ++number)
            for (int to = 0; to < communicator.size(); ++to)
                mailbox->send(to, letter(communicator.rank(), number));

        std::map<int, int> received;
        for (int left = letters * communicator.size(); left > 0; --left) {
            auto got = mailbox->receive(10s);
            ASSERT_TRUE(got.has_value());
            const int number = received[got->from]++;
            EXPECT_EQ(got->message, letter(got->from, number)) << got->from << ' ' << number;
        }

        EXPECT_FALSE(mailbox->receive(0us).has_value());
    });
}

TEST(Mailbox, LettersOfTwoMailboxesDoNotMix)
{
    on_both_kinds([](Communicator& communicator) {
        const auto first = communicator.open_mailbox();
        const auto second = communicator.open_mailbox();
        const int next = (communicator.rank() + 1) % communicator.size();
        second->send(next, std::vector<std::byte>(2));
        first->send(next, std::vector<std::byte>(1));

        EXPECT_EQ(first->receive(10s).value().message.size(), 1U);
        EXPECT_EQ(second->receive(10s).value().message.size(), 2U);
        communicator.barrier();
    });
}

TEST(Mailbox, ReceiveGivesUpWhenItsPatienceHasPassed)
{
    on_both_kinds([](Communicator& communicator) {
        const auto mailbox = communicator.open_mailbox();
        const auto start = std::chrono::steady_clock::now();

        EXPECT_FALSE(mailbox->receive(20ms).has_value());

        EXPECT_GE(std::chrono::steady_clock::now() - start, 20ms);
        communicator.barrier();
    });
}

TEST(Mailbox, WorksInAThreadWhileTheMainThreadIsInACollectiveCall)
{
    const auto communicator = make_mpi_communicator();
    const auto mailbox = communicator->open_mailbox();
    const int last = communicator->size() - 1;

    // The last rank comes to the barrier only after a letter went round all ranks, whose main
    // threads are in the barrier already.
    std::thread messenger([&] {
        if (communicator->rank() == last) mailbox->send(0, std::vector<std::byte>(3));
        const auto letter = mailbox->receive(30s);
        ASSERT_TRUE(letter.has_value());
        if (communicator->rank() != last) mailbox->send(communicator->rank() + 1, letter->message);
    });
    if (communicator->rank() == last) messenger.join();
    communicator->barrier();
    if (messenger.joinable()) messenger.join();
}

TEST(Mailbox, NamesTheCallAndMpisTextWhenARankDoesNotExist)
{
    const auto communicator = make_mpi_communicator();
    const auto mailbox = communicator->open_mailbox();

    const std::string text =
        test::error_text([&] { mailbox->send(communicator->size(), std::vector<std::byte>(4)); });

    EXPECT_NE(text.find("MPI_Isend failed while sending 4 bytes to rank"), std::string::npos)
        << text;
    // Open MPI's words, and MPICH's.
    EXPECT_TRUE(text.find("MPI_ERR_RANK") != std::string::npos ||
                text.find("Invalid rank") != std::string::npos)
        << text;
}

TEST(LocalCommunicator, IsARankAloneAndReachesItself)
{
    const auto communicator = make_local_communicator();
    const auto mailbox = communicator->open_mailbox();
    std::vector<double> values = {3.0};

    communicator->all_reduce(values, Reduction::sum);
    mailbox->send(0, std::vector<std::byte>(7));

    EXPECT_EQ(communicator->size(), 1);
    EXPECT_EQ(communicator->native(), nullptr);
    EXPECT_EQ(values, std::vector<double>{3.0});
    EXPECT_EQ(broadcast_text(*communicator, "text"), "text");
    EXPECT_EQ(mailbox->receive(0us).value().message.size(), 7U);
    EXPECT_FALSE(mailbox->receive(1us).has_value());
    EXPECT_EQ(test::error_text([&] { mailbox->send(1, {}); }),
              "a letter to rank 1 cannot be sent (this job has one rank)");
}

/// The variables of launchers, taken away and given back at the end.
class LauncherTest : public testing::Test {
protected:
    LauncherTest()
    {
        for (const char* name : names) {
            if (const char* value = std::getenv(name)) before_[name] = value;
            unsetenv(name);
        }
    }
    ~LauncherTest() override
    {
        for (const char* name : names) unsetenv(name);
        for (const auto& [name, value] : before_) setenv(name.c_str(), value.c_str(), 1);
    }
    static bool launched_with(const std::map<std::string, std::string>& variables)
    {
        for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
        const bool launched = started_by_mpi_launcher();
        for (const auto& [name, value] : variables) unsetenv(name.c_str());
        return launched;
    }

    static constexpr std::array names = {
        "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK", "PMIX_NAMESPACE",
        "SLURM_STEP_NUM_TASKS"};

private:
    std::map<std::string, std::string> before_;
};

TEST_F(LauncherTest, IsRecognisedByTheVariablesItSets)
{
    EXPECT_FALSE(launched_with({}));
    EXPECT_TRUE(launched_with({{"OMPI_COMM_WORLD_SIZE", "1"}}));
    EXPECT_TRUE(launched_with({{"PMI_SIZE", "4"}, {"PMI_RANK", "2"}}));
    EXPECT_TRUE(launched_with({{"PMI_SIZE", "1"}}));
    EXPECT_TRUE(launched_with({{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "8"}}));
    // srun --pty bash, then the program by hand
    EXPECT_FALSE(launched_with({{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}}));
    EXPECT_FALSE(launched_with({{"SLURM_STEP_NUM_TASKS", "8"}}));
    // MPICH's mpiexec in a job of one node: its own proxies are the SLURM step
    EXPECT_TRUE(launched_with({{"PMI_SIZE", "8"}, {"SLURM_STEP_NUM_TASKS", "1"}}));
}

}  // namespace
}  // namespace twinscreen
