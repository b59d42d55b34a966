#include "engine/comm/device_collectives.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/device/executor_memory.hpp"
#include "tests/support/far_executor.hpp"
#include "tests/support/log_capture.hpp"
#include "tests/support/support.hpp"
#include "tests/support/thread_communicator.hpp"

namespace twinscreen {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Check = std::function<void(Communicator&, DeviceCollectives&, Executor&)>;

void check_on(Communicator& communicator, const Check& check)
{
    const auto host = make_host_executor();
    const auto emulated = make_emulated_executor();
    test::FarExecutor far(communicator.rank());
    for (Executor* executor : {host.get(), emulated.get(), static_cast<Executor*>(&far)}) {
        SCOPED_TRACE(executor->name());
        const auto collectives = make_device_collectives(communicator, *executor);
        check(communicator, *collectives, *executor);
    }
}

/// Every promise is tried on real processes and, on rank 0, on in-process ranks; with memory of the
/// host, and with memory that the host reaches by copies only.
void on_all_kinds(const Check& check)
{
    const auto mpi = make_mpi_communicator();
    check_on(*mpi, check);
    if (mpi->rank() == 0)
        test::run_as_ranks(3, [&](Communicator& threads) { check_on(threads, check); });
    mpi->barrier();
}

template <class T>
ExecutorMemory to_executor(const std::vector<T>& values, Executor& executor, ElementType type)
{
    const Shape shape{static_cast<std::int64_t>(values.size())};
    ExecutorMemory memory(executor, type, shape);
    executor.copy(memory.view(), ConstBatch(values.data(), type, shape));
    executor.synchronize();
    return memory;
}

template <class T>
ExecutorMemory to_executor(const std::vector<T>& values, Executor& executor)
{
    return to_executor(values, executor, element_type_of<T>());
}

template <class T>
std::vector<T> to_host(const ExecutorMemory& memory, Executor& executor)
{
    std::vector<T> values(static_cast<std::size_t>(memory.shape().count()));
    executor.copy({values.data(), memory.view().type, memory.shape(), MemorySpace::host},
                  memory.view());
    executor.synchronize();
    return values;
}

/// More than a piece of what passes through the host, and no whole number of them.
std::vector<float> many_values(int rank)
{
    std::vector<float> values(1'100'003);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(i % 1021) + 2000.0F * static_cast<float>(rank);
    return values;
}

template <class T>
std::vector<T> sum_of_ranks(DeviceCollectives& collectives, Executor& executor,
                            const std::vector<T>& mine, ElementType type)
{
    const ExecutorMemory memory = to_executor(mine, executor, type);
    collectives.sum_in_place(memory.view(), executor);
    return to_host<T>(memory, executor);
}

TEST(DeviceCollectives, GoThroughTheHostUnlessTheRankIsAlone)
{
    on_all_kinds([](Communicator& communicator, DeviceCollectives& collectives, Executor&) {
        EXPECT_EQ(collectives.backend(), communicator.size() == 1 ? "local" : "staged");
    });
}

TEST(DeviceCollectives, BroadcastFromAnyRoot)
{
    on_all_kinds(
        [](Communicator& communicator, DeviceCollectives& collectives, Executor& executor) {
            for (int root = 0; root < communicator.size(); ++root) {
                const auto memory = to_executor(many_values(communicator.rank()), executor);

                collectives.broadcast(memory.view(), root, executor);

                EXPECT_TRUE(to_host<float>(memory, executor) == many_values(root)) << root;
            }
        });
}

TEST(DeviceCollectives, AddManyValuesEachByItself)
{
    on_all_kinds([](Communicator& communicator, DeviceCollectives& collectives,
                    Executor& executor) {
        std::vector<float> expected = many_values(0);
        for (int rank = 1; rank < communicator.size(); ++rank) {
            const std::vector<float> part = many_values(rank);
            for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += part[i];
        }

        const auto sum =
            sum_of_ranks(collectives, executor, many_values(communicator.rank()), ElementType::f32);

        EXPECT_TRUE(sum == expected) << "whole numbers below 2^24: exact";
    });
}

TEST(DeviceCollectives, AddIntegersExactlyAndWrap)
{
    on_all_kinds([](Communicator& communicator, DeviceCollectives& collectives,
                    Executor& executor) {
        const auto size = static_cast<std::uint64_t>(communicator.size());
        const std::uint64_t odd = 0x8000'0001'ffff'fffbU;  // more bits than a double has
        const std::int64_t negative = -0x1234'5678'9abc'def1;
        const std::int32_t lowest = std::numeric_limits<std::int32_t>::min();

        const auto u8 =
            sum_of_ranks<std::uint8_t>(collectives, executor, {200, 7}, ElementType::u8);
        const auto i32 =
            sum_of_ranks<std::int32_t>(collectives, executor, {-3, lowest}, ElementType::i32);
        const auto i64 =
            sum_of_ranks<std::int64_t>(collectives, executor, {negative, 5}, ElementType::i64);
        const auto u64 =
            sum_of_ranks<std::uint64_t>(collectives, executor, {odd, 5}, ElementType::u64);

        EXPECT_EQ(u8[0], static_cast<std::uint8_t>(200 * size));
        EXPECT_EQ(u8[1], 7 * size);
        EXPECT_EQ(i32[0], -3 * communicator.size());
        EXPECT_EQ(i32[1], size % 2 == 0 ? 0 : lowest);
        EXPECT_EQ(static_cast<std::uint64_t>(i64[0]), size * static_cast<std::uint64_t>(negative));
        EXPECT_EQ(i64[1], 5 * communicator.size());
        EXPECT_EQ(u64[0], size * odd);
        EXPECT_EQ(u64[1], 5 * size);
    });
}

TEST(DeviceCollectives, AddFloatingNumbersOfEveryWidth)
{
    on_all_kinds(
        [](Communicator& communicator, DeviceCollectives& collectives, Executor& executor) {
            const auto last = static_cast<std::size_t>(communicator.size()) - 1;
            const std::vector<std::uint16_t> half_counts = {0x3c00, 0x4000, 0x4200, 0x4400};
            const std::vector<std::uint16_t> bfloat_counts = {0x3f80, 0x4000, 0x4040, 0x4080};
            const std::uint16_t half_infinity = 0x7c00;
            const std::uint16_t bfloat_nan = 0x7fc1;

            const auto f16 = sum_of_ranks<std::uint16_t>(
                collectives, executor, {half_counts[0], half_infinity}, ElementType::f16);
            const auto bf16 = sum_of_ranks<std::uint16_t>(
                collectives, executor, {bfloat_counts[0], bfloat_nan}, ElementType::bf16);
            const auto f64 =
                sum_of_ranks<double>(collectives, executor, {0.25, -1.0}, ElementType::f64);

            EXPECT_EQ(f16, (std::vector<std::uint16_t>{half_counts[last], half_infinity}));
            EXPECT_EQ(bf16[0], bfloat_counts[last]);
            EXPECT_EQ(bf16[1] & 0x7fc0, 0x7fc0) << "not a number stays none";
            EXPECT_EQ(
                f64, (std::vector<double>{0.25 * communicator.size(), -1.0 * communicator.size()}));
        });
}

TEST(DeviceCollectives, GatherTheElementsOfAllRanksInTheirOrder)
{
    on_all_kinds(
        [](Communicator& communicator, DeviceCollectives& collectives, Executor& executor) {
            const auto mine = to_executor(many_values(communicator.rank()), executor);
            const ExecutorMemory all(executor, ElementType::f32,
                                     mine.shape().with_rows(communicator.size()));

            collectives.all_gather(mine.view(), all.view(), executor);

            std::vector<float> expected;
            for (int rank = 0; rank < communicator.size(); ++rank) {
                const std::vector<float> part = many_values(rank);
                expected.insert(expected.end(), part.begin(), part.end());
            }
            EXPECT_TRUE(to_host<float>(all, executor) == expected);
        });
}

TEST(DeviceCollectives, LeaveNothingAsItIs)
{
    on_all_kinds([](Communicator&, DeviceCollectives& collectives, Executor& executor) {
        const ExecutorMemory nothing(executor, ElementType::f32, {0, 7});

        collectives.broadcast(nothing.view(), 0, executor);
        collectives.sum_in_place(nothing.view(), executor);
        collectives.all_gather(nothing.view(), nothing.view(), executor);
    });
}

TEST(DeviceCollectives, RefuseABatchThatDoesNotHoldAllRanks)
{
    on_all_kinds([](Communicator& communicator, DeviceCollectives& collectives,
                    Executor& executor) {
        const ExecutorMemory mine(executor, ElementType::f32, {4});
        const ExecutorMemory all(executor, ElementType::f32, {4 * communicator.size() + 1});

        EXPECT_THAT(
            test::error_text([&] { collectives.all_gather(mine.view(), all.view(), executor); }),
            HasSubstr("do not fill"));
    });
}

TEST(DeviceCollectives, SayOnceOnRankZeroWhyGpusGoThroughTheHost)
{
    const auto mpi = make_mpi_communicator();
    test::LogCapture log;
    test::FarExecutor gpu(mpi->rank());

    make_device_collectives(*mpi, gpu);

    const std::string said = log.take();
    if (mpi->rank() == 0 && mpi->size() > 1)
        EXPECT_THAT(said, HasSubstr("goes through host memory"));
    else
        EXPECT_THAT(said, IsEmpty());
}

TEST(DeviceCollectives, SayNothingOnProcessors)
{
    const auto mpi = make_mpi_communicator();
    test::LogCapture log;

    make_device_collectives(*mpi, *make_emulated_executor());

    EXPECT_THAT(log.take(), IsEmpty());
}

}  // namespace
}  // namespace twinscreen
