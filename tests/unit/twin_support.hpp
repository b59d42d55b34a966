#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/device/executor.hpp"
#include "engine/twin/bundle.hpp"
#include "tests/support/support.hpp"

namespace twinscreen::test {

/// The Python of the offline converters, or nothing.
inline std::optional<std::filesystem::path> converter_python()
{
    if (const char* named = std::getenv("TWINSCREEN_PYTHON");
        named != nullptr && std::filesystem::exists(named))
        return named;
    const char* home = std::getenv("HOME");
    const std::filesystem::path usual =
        std::filesystem::path(home != nullptr ? home : "") / ".cache/twinscreen/python/bin/python";
    if (std::filesystem::exists(usual)) return usual;
    return std::nullopt;
}

inline std::filesystem::path converter_folder()
{
    const char* source = std::getenv("TWINSCREEN_SOURCE");
    return std::filesystem::path(source != nullptr ? source : ".") / "engine/twin/converters";
}

/// Runs a converter into `out`; the exit status.
inline int convert(const std::string& script, const std::filesystem::path& data,
                   const std::filesystem::path& out, const std::string& more = {})
{
    const std::string command =
        fmt::format("PYTHONDONTWRITEBYTECODE=1 '{}' '{}' '{}' '{}' {} > '{}.log' 2>&1",
                    converter_python()->string(), (converter_folder() / script).string(),
                    data.string(), out.string(), more, out.string());
    const int status = std::system(command.c_str());
    if (status != 0) ADD_FAILURE() << command << "\n" << read_text(out.string() + ".log");
    return status;
}

/// The bundles of a published folder, converted by the first test that asks.
inline std::filesystem::path converted_once(const std::string& script,
                                            const std::filesystem::path& data)
{
    static const TemporaryFolder folder;
    const std::filesystem::path out = folder / script;
    if (!std::filesystem::exists(out)) convert(script, data, out);
    return out;
}

template <class T>
OwnedBatch batch_from(const std::vector<double>& values, const Shape& shape)
{
    OwnedBatch batch(element_type_of<T>(), shape);
    for (std::size_t i = 0; i < values.size(); ++i)
        batch.values<T>()[i] = static_cast<T>(values[i]);
    return batch;
}

/// Responses of all parts to rows of prepared input, side by side: [rows, units].
template <class T>
std::vector<double> respond(Twin& twin, const std::vector<double>& rows,
                            const std::vector<NamedBatch>& covariates = {},
                            bool keep_for_gradient = false)
{
    set_compute_threads(1);
    const auto executor = make_host_executor();
    const Shape row_shape = twin.parts.front().backbone->input().row_shape();
    const auto count = static_cast<std::int64_t>(rows.size()) / row_shape.count();
    const OwnedBatch stimuli = batch_from<T>(rows, row_shape.with_rows(count));
    const std::size_t units = twin.units.rows();
    std::vector<double> responses(static_cast<std::size_t>(count) * units);
    std::size_t first = 0;
    for (TwinPart& part : twin.parts) {
        const auto outputs = static_cast<std::size_t>(part.readout->outputs());
        OwnedBatch out(element_type_of<T>(), Shape{count, part.readout->outputs()});
        const auto trace = part.backbone->forward(
            {stimuli.view(), covariates, part.readout->taps(), keep_for_gradient}, *executor);
        part.readout->apply(*trace, out.view(), *executor);
        for (std::size_t i = 0; i < out.values<T>().size(); ++i)
            responses[i / outputs * units + first + i % outputs] = double(out.values<T>()[i]);
        first += outputs;
    }
    return responses;
}

/// Gradient of sum(cotangents * responses) of the first part by its stimuli.
template <class T>
std::vector<double> stimulus_gradient(TwinPart& part, const std::vector<double>& rows,
                                      const std::vector<double>& cotangents,
                                      const std::vector<NamedBatch>& covariates = {})
{
    set_compute_threads(1);
    const auto executor = make_host_executor();
    const Shape row_shape = part.backbone->input().row_shape();
    const auto count = static_cast<std::int64_t>(rows.size()) / row_shape.count();
    const OwnedBatch stimuli = batch_from<T>(rows, row_shape.with_rows(count));
    const OwnedBatch given = batch_from<T>(cotangents, Shape{count, part.readout->outputs()});
    const auto trace =
        part.backbone->forward({stimuli.view(), covariates, part.readout->taps(), true}, *executor);
    const auto at_taps = part.readout->pull_back(*trace, given.view(), *executor);
    const OwnedBatch gradient = trace->pull_back(at_taps, *executor);
    EXPECT_EQ(gradient.shape().text(), stimuli.shape().text());
    return {gradient.values<T>().begin(), gradient.values<T>().end()};
}

/// Compares the gradient of a random combination of units with central differences along random
/// directions, in double precision.
inline void expect_gradient_matches_differences(Twin& twin, std::vector<double> rows,
                                                const std::vector<NamedBatch>& covariates,
                                                double step)
{
    unsigned state = 12345;
    const auto draw = [&] {
        state = state * 1664525U + 1013904223U;
        return double(state >> 8) / double(1U << 24) - 0.5;
    };
    const Shape row = twin.parts.front().backbone->input().row_shape();
    std::vector<double> cotangents(rows.size() / static_cast<std::size_t>(row.count()) *
                                   twin.units.rows());
    for (double& value : cotangents) value = draw();
    const auto value_at = [&](const std::vector<double>& at) {
        const auto responses = respond<double>(twin, at, covariates, true);
        double sum = 0.0;
        for (std::size_t i = 0; i < responses.size(); ++i) sum += cotangents[i] * responses[i];
        return sum;
    };
    const auto gradient = stimulus_gradient<double>(twin.parts[0], rows, cotangents, covariates);
    for (int direction = 0; direction < 2; ++direction) {
        std::vector<double> ahead = rows;
        std::vector<double> behind = rows;
        double expected = 0.0;
        double size = 0.0;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const double along = draw();
            ahead[i] += step * along;
            behind[i] -= step * along;
            expected += gradient[i] * along;
            size += gradient[i] * gradient[i];
        }
        const double found = (value_at(ahead) - value_at(behind)) / (2.0 * step);
        EXPECT_GT(size, 0.0);
        // 1e-6 of the largest possible slope: rounding and the third derivative at this step
        EXPECT_NEAR(found, expected, 1e-6 * std::sqrt(size * double(rows.size())) + 1e-12);
    }
}

/// Largest |a - b| / max(|b|, floor).
inline double relative_error(const std::vector<double>& a, const std::vector<double>& b,
                             double floor)
{
    EXPECT_EQ(a.size(), b.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        worst = std::max(worst, std::abs(a[i] - b[i]) / std::max(std::abs(b[i]), floor));
    return worst;
}

}  // namespace twinscreen::test

/// Converts the named published folder once per test program into `bundles`, or skips aloud.
#define TWINSCREEN_BUNDLES_OR_SKIP(bundles, script, folder)                    \
    TWINSCREEN_DATA_OR_SKIP(bundles##_data);                                   \
    if (!::twinscreen::test::converter_python()) {                             \
        GTEST_SKIP() << "no Python for the converters: set TWINSCREEN_PYTHON"; \
    }                                                                          \
    const std::filesystem::path bundles =                                      \
        ::twinscreen::test::converted_once(script, bundles##_data / folder)
