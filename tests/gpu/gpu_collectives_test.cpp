#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/comm/collectives_backends.hpp"
#include "engine/device/executor_memory.hpp"
#include "engine/device/gpus.hpp"
#include "tests/gpu/exchange_check.hpp"
#include "tests/support/log_capture.hpp"
#include "tests/support/thread_communicator.hpp"

namespace twinscreen {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

/// Ranks are threads of this process.
class GpuCollectives : public ::testing::Test {
protected:
    void SetUp() override
    {
        const VisibleGpus gpus = visible_gpus();
        if (gpus.names.empty()) GTEST_SKIP() << gpus.why_none;
    }
};

TEST_F(GpuCollectives, ExchangeThroughNcclWithOneRank)
{
    const auto communicator = make_local_communicator();
    const auto executor = make_gpu_executor(0);

    const auto collectives = make_nccl_collectives(*communicator, *executor, 60s);

    EXPECT_EQ(collectives->backend(), "nccl");
    test::check_exchange(*communicator, *collectives, *executor);
}

TEST_F(GpuCollectives, TakeEveryElementTypeThroughNccl)
{
    const auto communicator = make_local_communicator();
    const auto executor = make_gpu_executor(0);
    const auto collectives = make_nccl_collectives(*communicator, *executor, 60s);

    for (const ElementType type :
         {ElementType::u8, ElementType::i32, ElementType::i64, ElementType::u64, ElementType::f16,
          ElementType::bf16, ElementType::f32, ElementType::f64}) {
        const ExecutorMemory values(*executor, type, {1000});
        EXPECT_NO_THROW(collectives->sum_in_place(values.view(), *executor)) << name_of(type);
    }
}

TEST_F(GpuCollectives, FallBackAloudWhereRanksShareAGpu)
{
    test::LogCapture log;

    test::run_as_ranks(2, [](Communicator& communicator) {
        const auto executor = make_gpu_executor(0);
        const auto collectives = make_device_collectives(communicator, *executor);
        EXPECT_EQ(collectives->backend(), "staged");
        test::check_exchange(communicator, *collectives, *executor);
    });

    EXPECT_THAT(log.take(), HasSubstr("ranks 0 and 1 on " + host_name() + " share GPU 0"));
}

}  // namespace
}  // namespace twinscreen
