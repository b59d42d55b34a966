#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/comm/collectives_backends.hpp"
#include "engine/device/gpus.hpp"
#include "tests/gpu/exchange_check.hpp"
#include "tests/support/support.hpp"
#include "tests/support/thread_communicator.hpp"

namespace twinscreen {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

/// Ranks are threads of this process.
class SeveralGpus : public ::testing::Test {
protected:
    void SetUp() override
    {
        const VisibleGpus gpus = visible_gpus();
        count_ = static_cast<int>(gpus.names.size());
        if (count_ == 0) GTEST_SKIP() << gpus.why_none;
        if (count_ == 1) GTEST_SKIP() << "one GPU is visible, this needs two";
    }

    int gpu_count() const { return count_; }

private:
    int count_ = 0;
};

TEST_F(SeveralGpus, ExchangeThroughNcclWhereEveryRankHasItsGpu)
{
    test::run_as_ranks(gpu_count(), [](Communicator& communicator) {
        const auto executor = make_gpu_executor(communicator.rank());
        const auto collectives = make_device_collectives(communicator, *executor);
        EXPECT_EQ(collectives->backend(), "nccl");
        test::check_exchange(communicator, *collectives, *executor);
    });
}

/// The second rank never comes: nothing would wake the first.
TEST_F(SeveralGpus, EndWithASentenceWhereARankIsMissing)
{
    test::run_as_ranks(2, [](Communicator& communicator) {
        const auto executor = make_gpu_executor(communicator.rank());
        if (communicator.rank() == 1) {
            std::array<std::byte, 128> id{};  // what NCCL's name of the group takes
            communicator.broadcast(id, 0);
            return;
        }
        EXPECT_THAT(test::error_text([&] { make_nccl_collectives(communicator, *executor, 3s); }),
                    HasSubstr("NCCL stood still for 3 s while connecting"));
    });
}

}  // namespace
}  // namespace twinscreen
