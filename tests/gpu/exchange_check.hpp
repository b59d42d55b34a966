#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "engine/comm/device_collectives.hpp"
#include "engine/device/executor_memory.hpp"

namespace twinscreen::test {

inline std::vector<float> numbers_of_rank(int rank)
{
    std::vector<float> values(100'003);
    std::iota(values.begin(), values.end(), 1000.0F * static_cast<float>(rank));
    return values;
}

/// Pinned memory on both ways, as the executor wants it.
class OnGpu {
public:
    OnGpu(Executor& executor, const Shape& shape)
        : executor_(executor),
          host_(executor, ElementType::f32, shape, ExecutorMemory::Place::pinned),
          device_(executor, ElementType::f32, shape)
    {
    }

    Batch view() const { return device_.view(); }

    void set(const std::vector<float>& values)
    {
        std::copy(values.begin(), values.end(), values_of<float>(host_.view()).begin());
        executor_.copy(device_.view(), host_.view());
    }

    std::vector<float> values()
    {
        executor_.copy(host_.view(), device_.view());
        executor_.synchronize();
        const auto here = values_of<float>(host_.view());
        return {here.begin(), here.end()};
    }

private:
    Executor& executor_;
    ExecutorMemory host_;
    ExecutorMemory device_;
};

/// Collective: all that DeviceCollectives do, against sums and orders made by hand.
inline void check_exchange(Communicator& communicator, DeviceCollectives& collectives,
                           Executor& executor)
{
    const std::vector<float> mine = numbers_of_rank(communicator.rank());
    const auto count = static_cast<std::int64_t>(mine.size());
    std::vector<float> sum(mine.size());
    std::vector<float> all;
    for (int rank = 0; rank < communicator.size(); ++rank) {
        const std::vector<float> part = numbers_of_rank(rank);
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
        all.insert(all.end(), part.begin(), part.end());
    }
    const int last = communicator.size() - 1;
    OnGpu values(executor, {count});
    OnGpu gathered(executor, {communicator.size(), count});

    values.set(mine);
    collectives.all_gather(values.view(), gathered.view(), executor);
    EXPECT_TRUE(gathered.values() == all);

    collectives.sum_in_place(values.view(), executor);
    EXPECT_TRUE(values.values() == sum) << "whole numbers below 2^24: exact";

    values.set(mine);
    collectives.broadcast(values.view(), last, executor);
    EXPECT_TRUE(values.values() == numbers_of_rank(last));
}

}  // namespace twinscreen::test
