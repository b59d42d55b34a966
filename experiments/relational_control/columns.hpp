#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/run/experiment.hpp"

namespace twinscreen {

inline std::int64_t extent(std::size_t count) { return static_cast<std::int64_t>(count); }

inline Axis axis_of(std::string name, std::size_t count)
{
    return {std::move(name), extent(count), ""};
}

/// Numbers as rows of a column.
template <class Values>
OwnedBatch batch_of(const Values& values, const Shape& shape)
{
    OwnedBatch batch(ElementType::f64, shape);
    std::ranges::copy(values, batch.values<double>().begin());
    return batch;
}

/// A stored column of numbers.
inline std::vector<double> numbers_of(const OwnedBatch& stored)
{
    const auto values = stored.values<double>();
    return {values.begin(), values.end()};
}

}  // namespace twinscreen
