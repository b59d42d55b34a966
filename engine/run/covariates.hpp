#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/config/section.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// Where the values of one covariate of one twin come from.
struct CovariateBinding {
    std::string name;                  ///< "behavior", "pupil"
    std::vector<double> constants;     ///< [extent], when the campaign gives numbers
    std::vector<std::string> columns;  ///< [extent], when it names item columns

    friend bool operator==(const CovariateBinding&, const CovariateBinding&) = default;
    std::size_t extent() const noexcept
    {
        return columns.empty() ? constants.size() : columns.size();
    }
    /// Equal texts mean equal values for equal stimuli.
    std::string text() const;
};

/// The covariates of one twin, in the order that its backbones declare.
using TwinCovariates = std::vector<CovariateBinding>;

/// Reads `behavior = [0.1, 0.2, 0.3]` or `behavior = ["b1", "b2", "b3"]` for every covariate that
/// the twin's backbones declare; complains in the section where one is missing or has another
/// length.
TwinCovariates read_covariates(ConfigSection& section, const Twin& twin);

/// Values of one binding for described items: f32 [rows, extent]. Rows beyond the table are 0.
/// Throws Error(data) for an unknown column or a missing value, naming the item.
OwnedBatch covariate_values(const CovariateBinding& binding, const Table& items,
                            std::uint64_t first_item, std::int64_t rows);

}  // namespace twinscreen
