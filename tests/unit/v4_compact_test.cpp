#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>

#include "engine/twin/v4_network.hpp"
#include "tests/unit/twin_support.hpp"

namespace twinscreen {
namespace {

using test::expect_gradient_matches_differences;
using test::relative_error;
using test::respond;

#define V4_BUNDLES_OR_SKIP(bundles) \
    TWINSCREEN_BUNDLES_OR_SKIP(bundles, "convert_v4_compact.py", "v4-compact-models")

/// The decoded held-out images with the twin's mean subtracted: prepared rows.
std::vector<double> prepared(const Twin& twin, const std::filesystem::path& data, std::size_t count)
{
    auto images =
        test::read_npy(data / "v4-compact-models/reference/images_190923_600to663_u8.npy");
    images.values.resize(count * 112 * 112 * 3);
    const auto& mean = twin.parts[0].backbone->input().mean;
    for (std::size_t i = 0; i < images.values.size(); ++i) images.values[i] -= double(mean[i % 3]);
    return images.values;
}

void expect_reference(const std::filesystem::path& bundle, const std::filesystem::path& data,
                      const std::string& reference, std::size_t count)
{
    Twin twin = load_bundle(bundle);
    auto expected = test::read_npy(data / "v4-compact-models/reference" / reference);
    ASSERT_EQ(expected.shape[1], twin.units.rows());
    expected.values.resize(count * twin.units.rows());
    double mean_size = 0.0;
    for (const double value : expected.values) mean_size += std::abs(value);
    mean_size /= double(expected.values.size());

    const auto fast = respond<float>(twin, prepared(twin, data, count));
    const auto graph = respond<float>(twin, prepared(twin, data, count), {}, true);

    EXPECT_LT(relative_error(fast, expected.values, mean_size), 1e-4);
    EXPECT_LT(relative_error(graph, expected.values, mean_size), 1e-4);
}

TEST(V4Compact, SingleNeuronNetworksGiveTheReferencePredictions)
{
    V4_BUNDLES_OR_SKIP(bundles);
    expect_reference(bundles / "v4_190923", bundles_data, "compact_190923_predictions_64x33.npy",
                     4);
}

TEST(V4Compact, SharedNetworkGivesTheReferencePredictions)
{
    V4_BUNDLES_OR_SKIP(bundles);
    expect_reference(bundles / "v4_shared_200", bundles_data,
                     "shared_200filters_predictions_64x219.npy", 16);
}

TEST(V4Compact, EveryBundleLoadsWithItsUnits)
{
    V4_BUNDLES_OR_SKIP(bundles);

    const Twin pe = load_bundle(bundles / "v4_210225");
    const Twin small = load_bundle(bundles / "v4_shared_25");
    const Twin direct = load_bundle(bundles / "v4_shared_direct_200");

    EXPECT_EQ(pe.parts.size(), 55U);
    EXPECT_EQ(pe.units.text("subject", 0), "PE");
    EXPECT_EQ(small.units.rows(), 219U);
    EXPECT_EQ(small.units.text("subject", 0), "WE");
    EXPECT_EQ(direct.units.rows(), 219U);
    EXPECT_NE(direct.spec.digest, small.spec.digest);
    EXPECT_TRUE(std::isnan(pe.parts[0].backbone->input().degrees_per_pixel));
}

TEST(V4Compact, BitsDoNotDependOnTheRowsOfTheBatch)
{
    V4_BUNDLES_OR_SKIP(bundles);
    Twin twin = load_bundle(bundles / "v4_shared_25");
    const auto rows = prepared(twin, bundles_data, 3);

    const auto together = respond<float>(twin, rows);
    const auto alone =
        respond<float>(twin, {rows.begin() + 2 * 112 * 112 * 3, rows.begin() + 3 * 112 * 112 * 3});

    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + 2 * 219));
}

TEST(V4Compact, GradientsMatchFiniteDifferences)
{
    V4_BUNDLES_OR_SKIP(bundles);
    Twin shared = load_bundle(bundles / "v4_shared_25", Precision::f64);
    Twin single = load_bundle(bundles / "v4_190923", Precision::f64);
    keep_units(single, {0});
    const auto rows = prepared(shared, bundles_data, 1);

    // steps small enough to cross next to no kink of the rectifiers
    expect_gradient_matches_differences(shared, rows, {}, 1e-5);
    expect_gradient_matches_differences(single, rows, {}, 1e-5);
}

TEST(V4Compact, BackbonesOfEqualWeightsAreShared)
{
    V4_BUNDLES_OR_SKIP(bundles);

    const Twin one = load_bundle(bundles / "v4_shared_25");
    const Twin two = load_bundle(bundles / "v4_shared_25");
    const Twin exact = load_bundle(bundles / "v4_shared_25", Precision::f64);

    EXPECT_EQ(one.parts[0].backbone, two.parts[0].backbone);
    EXPECT_NE(one.parts[0].backbone, exact.parts[0].backbone);
}

TEST(V4Compact, KeptUnitsAnswerAsBefore)
{
    V4_BUNDLES_OR_SKIP(bundles);
    Twin all = load_bundle(bundles / "v4_190923");
    Twin some = load_bundle(bundles / "v4_190923");
    const auto rows = prepared(all, bundles_data, 1);
    const auto expected = respond<float>(all, rows);

    keep_units(some, {3, 17});

    ASSERT_EQ(some.parts.size(), 2U);
    EXPECT_EQ(some.units.text("id", 1), "190923/17");
    EXPECT_EQ(respond<float>(some, rows), (std::vector<double>{expected[3], expected[17]}));
    EXPECT_NE(some.spec.digest, all.spec.digest);
}

/// Responses of a readout made from a twin's first one.
std::vector<double> answers(Twin& twin, Readout& readout, const std::vector<double>& rows)
{
    Twin other;
    other.parts.push_back({twin.parts[0].backbone, nullptr});
    std::vector<UnitId> all(static_cast<std::size_t>(readout.outputs()));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = UnitId{static_cast<std::uint32_t>(i)};
    other.parts[0].readout = readout.select(all);
    other.units.columns = {{"id", "", std::vector<std::string>(all.size())}};
    return respond<float>(other, rows);
}

TEST(V4Compact, FoldedMeasuresEqualMeasuresOfUnits)
{
    V4_BUNDLES_OR_SKIP(bundles);
    Twin twin = load_bundle(bundles / "v4_shared_25");
    const auto rows = prepared(twin, bundles_data, 2);
    const auto units = respond<float>(twin, rows);
    LinearMeasure mean;  // one wide output: becomes a dense readout
    mean.outputs.resize(1);
    for (std::uint32_t unit = 0; unit < 219; ++unit)
        mean.outputs[0].emplace_back(UnitId{unit}, 1.0 / 219);
    LinearMeasure differences;  // many narrow outputs: stay behind mixing and pooling
    for (std::uint32_t unit = 0; unit < 100; ++unit)
        differences.outputs.push_back({{UnitId{unit}, 1.0}, {UnitId{unit + 100}, -2.0}});

    const auto folded_mean = twin.parts[0].readout->fold(mean);
    const auto folded_differences = twin.parts[0].readout->fold(differences);

    const auto found_mean = answers(twin, *folded_mean, rows);
    const auto found = answers(twin, *folded_differences, rows);
    for (std::size_t row = 0; row < 2; ++row) {
        const double* of_row = &units[row * 219];
        // 78,400 products in float
        EXPECT_NEAR(found_mean[row], std::accumulate(of_row, of_row + 219, 0.0) / 219, 2e-5);
        for (std::size_t unit = 0; unit < 100; ++unit)
            EXPECT_NEAR(found[row * 100 + unit], of_row[unit] - 2 * of_row[unit + 100], 2e-5);
    }
    EXPECT_LT(folded_mean->macs_per_row(), twin.parts[0].readout->macs_per_row() / 100);
    EXPECT_EQ(folded_differences->outputs(), 100);
}

TEST(V4Compact, FoldedMeasuresHaveTheSameGradient)
{
    V4_BUNDLES_OR_SKIP(bundles);
    Twin twin = load_bundle(bundles / "v4_shared_25", Precision::f64);
    const auto rows = prepared(twin, bundles_data, 1);
    LinearMeasure measure;
    measure.outputs = {{{UnitId{5}, 0.5}, {UnitId{7}, 2.0}}};
    std::vector<double> cotangents(219, 0.0);
    cotangents[5] = 0.5;
    cotangents[7] = 2.0;
    const auto expected = test::stimulus_gradient<double>(twin.parts[0], rows, cotangents);

    TwinPart folded{twin.parts[0].backbone, twin.parts[0].readout->fold(measure)};

    EXPECT_LT(relative_error(test::stimulus_gradient<double>(folded, rows, {1.0}), expected, 1e-6),
              1e-6);
}

TEST(V4Inference, AllInstructionSetsAgree)
{
    V4_BUNDLES_OR_SKIP(bundles);
    const SafetensorsFile file(bundles / "v4_190923/weights.safetensors");
    const V4Weights weights = read_v4_network(WeightReader("v4_190923", file), "neuron1.", 1e-3);
    const Twin twin = load_bundle(bundles / "v4_190923");
    const auto rows = prepared(twin, bundles_data, 1);
    const std::vector<float> image(rows.begin(), rows.end());
    std::vector<std::vector<float>> taps;

    for (const CpuKernels* kernels : supported_cpu_kernels()) {
        const V4Inference network(weights, *kernels);
        taps.emplace_back(static_cast<std::size_t>(28 * 28 * network.channels()));
        network.run(image.data(), 1, taps.back().data());
    }

    for (const auto& other : taps)
        for (std::size_t i = 0; i < other.size(); ++i)
            ASSERT_NEAR(other[i], taps[0][i], 1e-4 * std::max(1.0F, std::abs(taps[0][i])));
}

}  // namespace
}  // namespace twinscreen
