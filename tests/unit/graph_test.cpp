#include <algorithm>

#include <gtest/gtest.h>

#include "engine/config/section.hpp"
#include "engine/twin/graph/untrained_weights.hpp"
#include "engine/twin/twin_of_taps.hpp"
#include "engine/twin/weights.hpp"
#include "kernels/sparse_projection.hpp"
#include "tests/unit/graph_bundle.hpp"

namespace twinscreen {
namespace {

using nlohmann::json;
using test::GraphBundle;
using test::relative_error;
using test::respond;
using test::small_network;

std::vector<double> images(std::int64_t rows)
{
    const auto drawn = test::arbitrary({rows, 3, 8, 8}, 99).values;
    return {drawn.begin(), drawn.end()};
}

class Graph : public ::testing::Test {
protected:
    Twin loaded(const GraphBundle& bundle, Precision precision = Precision::f32, int units = 2)
    {
        bundle.write(folder_ / "small", units);
        return load_bundle(folder_ / "small", precision);
    }
    /// The twin of the bundle "small" with keys of a campaign.
    Twin made(const std::string& keys)
    {
        ConfigDocument campaign = ConfigDocument::parse("[twin]\nbundle = \"small\"\n" + keys,
                                                        "campaign.toml", folder_.path());
        ConfigSection section = campaign.root().child("twin");
        Twin twin = make_twin(section);
        campaign.throw_if_invalid();
        return twin;
    }
    std::string complaint(const GraphBundle& bundle, int units = 2)
    {
        return test::error_text([&] { loaded(bundle, Precision::f32, units); });
    }
    /// A network whose only unit-bearing node is the last one, of the small network's input.
    static GraphBundle with_last(GraphBundle bundle, const json& row, int units)
    {
        const std::string name = bundle.graph["nodes"].back()["name"];
        bundle.graph["outputs"] = {name};
        bundle.networks = fmt::format(
            "[[networks]]\ntap = \"{}\"\ntap_shape = {}\nreadout = \"identity\"\nunits = {}\n",
            name, row.dump(), units);
        return bundle;
    }
    /// The row of a tap for some images.
    static std::vector<float> tapped(Twin& twin, const std::string& name,
                                     const std::vector<double>& rows)
    {
        Backbone& backbone = *twin.parts[0].backbone;
        TapId tap{};
        for (std::uint32_t i = 0; i < backbone.taps().size(); ++i)
            if (backbone.taps()[i].name == name) tap = TapId{i};
        const auto executor = make_host_executor();
        const OwnedBatch stimuli = test::batch_from<float>(
            rows, backbone.input().row_shape().with_rows(std::int64_t(rows.size()) / 192));
        const auto trace =
            backbone.forward({stimuli.view(), {}, std::span(&tap, 1), false}, *executor);
        const auto values = values_of<float>(trace->tap(tap));
        return {values.begin(), values.end()};
    }

    test::TemporaryFolder folder_;
};

TEST_F(Graph, ComputesWhatItsNodesSay)
{
    const GraphBundle bundle = small_network();
    Twin twin = loaded(bundle);
    const auto rows = images(5);

    EXPECT_LT(
        relative_error(respond<float>(twin, rows), test::small_network_by_hand(bundle, rows), 0.1),
        1e-5);
}

TEST_F(Graph, IsExactInDoublePrecision)
{
    const GraphBundle bundle = small_network();
    Twin twin = loaded(bundle, Precision::f64);
    const auto rows = images(3);

    EXPECT_LT(
        relative_error(respond<double>(twin, rows), test::small_network_by_hand(bundle, rows), 0.1),
        1e-12);
}

TEST_F(Graph, HasTheGradientOfItsNodes)
{
    GraphBundle bundle = small_network();
    bundle.graph["nodes"][2]["operator"] = "silu";  // without a kink
    Twin twin = loaded(bundle, Precision::f64);

    test::expect_gradient_matches_differences(twin, images(2), {}, 1e-4);
}

TEST_F(Graph, AnyNodeCanBeTappedAlsoAConvolutionThatWasFoldedAway)
{
    GraphBundle bundle = small_network();
    Twin twin = loaded(bundle);
    const auto rows = images(2);
    std::vector<std::string> names;
    for (const TapSpec& tap : twin.parts[0].backbone->taps()) names.push_back(tap.name);
    EXPECT_EQ(names, (std::vector<std::string>{"conv", "norm", "relu", "pool", "logits"}));

    const auto raw = tapped(twin, "conv", rows);
    const auto normed = tapped(twin, "norm", rows);
    for (std::size_t i = 0; i < raw.size(); ++i) {
        const std::size_t channel = i / 64 % 4;
        const auto value = [&](const char* name) {
            return double(bundle.tensors.at(name).values[channel]);
        };
        const double expected = (double(raw[i]) - value("norm.mean")) /
                                    std::sqrt(value("norm.var") + 1e-5) * value("norm.weight") +
                                value("norm.bias");
        EXPECT_NEAR(double(normed[i]), expected, 1e-5);
    }
}

TEST_F(Graph, ComputesOnlyWhatTheTapsNeed)
{
    GraphBundle bundle = small_network();
    const auto macs_of = [](const Twin& twin) {
        return twin.parts[0].backbone->macs_per_row(twin.parts[0].readout->taps());
    };
    const double all = macs_of(loaded(bundle));
    // One convolution of 64 pixels and one linear map; the folded norm costs nothing.
    EXPECT_EQ(all, 64 * 4 * 27 + 2 * 4);

    bundle.networks =
        "[[networks]]\ntap = \"pool\"\ntap_shape = [4]\nreadout = \"identity\"\nunits = 4\n";
    EXPECT_EQ(macs_of(loaded(bundle, Precision::f32, 4)), 64 * 4 * 27);
}

TEST_F(Graph, ADenseReadoutMapsATapToUnits)
{
    GraphBundle bundle = small_network();
    const auto rows = images(3);
    Twin whole = loaded(bundle);
    const auto expected = respond<float>(whole, rows);
    // The last layer as a readout: kernel [values, units] is the transposed weight.
    const auto& weight = bundle.tensors.at("head.weight").values;
    test::SmallTensor kernel{{4, 2}, {}};
    for (std::size_t value = 0; value < 4; ++value)
        for (std::size_t unit = 0; unit < 2; ++unit)
            kernel.values.push_back(weight[unit * 4 + value]);
    bundle.tensors["v4.readout.kernel"] = kernel;
    bundle.tensors["v4.readout.bias"] = bundle.tensors.at("head.bias");
    bundle.networks =
        "[[networks]]\nprefix = \"v4.\"\ntap = \"pool\"\ntap_shape = [4]\n"
        "readout = \"dense\"\nunits = 2\n";

    Twin read = loaded(bundle);

    EXPECT_LT(relative_error(respond<float>(read, rows), expected, 0.1), 1e-6);
}

TEST_F(Graph, UnitsCanBeChosenAndCombined)
{
    Twin twin = loaded(small_network());
    const auto rows = images(3);
    const auto both = respond<float>(twin, rows);
    const std::vector<UnitId> second = {UnitId{1}};
    LinearMeasure difference;
    difference.outputs = {{{UnitId{0}, 1.0}, {UnitId{1}, -1.0}}};
    Twin chosen = loaded(small_network());
    chosen.parts[0].readout = chosen.parts[0].readout->select(second);
    chosen.units = chosen.units.select({1});
    Twin combined = loaded(small_network());
    combined.parts[0].readout = combined.parts[0].readout->fold(difference);
    combined.units = combined.units.select({0});

    const auto alone = respond<float>(chosen, rows);
    const auto differences = respond<float>(combined, rows);

    for (std::size_t row = 0; row < 3; ++row) {
        EXPECT_EQ(alone[row], both[row * 2 + 1]);
        EXPECT_NEAR(differences[row], both[row * 2] - both[row * 2 + 1], 1e-6);
    }
}

TEST_F(Graph, TheNumberOfRowsIsFreeAlsoInsideShapes)
{
    GraphBundle bundle = small_network();
    bundle.add("windows", "view", {{"self", "relu"}}, {{"size", {json{{"batch", 4}}, 8, 8}}},
               {json{{"batch", 4}}, 8, 8});
    bundle.add("back", "view", {{"self", "windows"}}, {{"size", {"batch", 256}}}, {"batch", 256});
    Twin twin = loaded(with_last(bundle, {256}, 256), Precision::f32, 256);

    const auto many = respond<float>(twin, images(5));
    const auto one = respond<float>(twin, images(1));

    EXPECT_EQ(many.size(), 5 * 256U);
    EXPECT_LT(relative_error({many.begin(), many.begin() + 256}, one, 0.1), 1e-5);
}

TEST_F(Graph, WhatDependsOnNoImageIsComputedOnce)
{
    GraphBundle bundle = small_network();
    bundle.tensors["offset"] = test::arbitrary({2, 1}, 11);
    bundle.add("flat", "view", {{"self", "offset"}}, {{"size", {1, 2}}}, {1, 2});
    bundle.add("doubled", "mul.Scalar", {{"self", "flat"}}, {{"other", 2}}, {1, 2});
    bundle.add("sum", "add.Tensor", {{"self", "logits"}, {"other", "doubled"}}, json::object(),
               {"batch", 2});
    Twin twin = loaded(with_last(bundle, {2}, 2));

    const auto rows = images(2);
    Twin plain = loaded(small_network());
    const auto without = respond<float>(plain, rows);
    const auto with = respond<float>(twin, rows);

    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(with[i], without[i] + 2.0 * double(bundle.tensors["offset"].values[i % 2]),
                    1e-6);
    for (const TapSpec& tap : twin.parts[0].backbone->taps()) EXPECT_NE(tap.name, "doubled");
}

TEST_F(Graph, AListMayMixConstantsAndValues)
{
    GraphBundle bundle = small_network();
    bundle.tensors["scale"] = test::arbitrary({2}, 12);
    bundle.add("scaled", "einsum", {{"tensors", {"logits", "scale"}}}, {{"equation", "bi,i->bi"}},
               {"batch", 2});
    Twin twin = loaded(with_last(bundle, {2}, 2));
    Twin plain = loaded(small_network());
    const auto rows = images(2);

    const auto scaled = respond<float>(twin, rows);
    const auto logits = respond<float>(plain, rows);

    for (std::size_t i = 0; i < 4; ++i)
        EXPECT_NEAR(scaled[i], logits[i] * double(bundle.tensors["scale"].values[i % 2]), 1e-6);
}

TEST_F(Graph, ACampaignMayAskForTapsInsteadOfUnits)
{
    small_network().write(folder_ / "small", 2);
    Twin maps = made("taps = [\"relu\", \"pool\"]\n");
    Twin means = made("taps = [\"relu\"]\ntap_pool = \"mean\"\nunits = \"id != 'relu/1'\"\n");
    const auto rows = images(2);

    const auto values = respond<float>(maps, rows);
    const auto pooled = respond<float>(means, rows);

    EXPECT_EQ(maps.units.rows(), 4 * 64 + 4U);
    EXPECT_EQ(maps.units.text("id", 4 * 64), "pool/0");
    EXPECT_EQ(maps.units.text("area", 0), "relu");
    for (std::size_t row = 0; row < 2; ++row)
        for (std::size_t unit = 0; unit < 3; ++unit) {
            const std::size_t channel = std::vector<std::size_t>{0, 2, 3}[unit];
            EXPECT_NEAR(pooled[row * 3 + unit], values[row * 260 + 256 + channel], 1e-6);
        }
    EXPECT_NE(maps.spec.digest, loaded(small_network()).spec.digest);
    EXPECT_NE(test::error_text([&] {
                  made("taps = [\"rellu\"]\n");
              }).find("no network of the twin has a tap 'rellu'"),
              std::string::npos);
    EXPECT_NE(test::error_text([&] { made("taps = []\n"); }).find("taps is empty"),
              std::string::npos);
}

TEST_F(Graph, APatternStandsForAllTapsThatFit)
{
    const auto taps_of = [&](const std::vector<std::string>& wanted) {
        Twin twin = twin_of_taps(loaded(small_network()), {wanted, {}}, Precision::f32);
        return twin.selection->taps;
    };

    EXPECT_EQ(taps_of({"*"}), (std::vector<std::string>{"conv", "norm", "relu", "pool", "logits"}));
    EXPECT_EQ(taps_of({"*o*o*", "conv"}), (std::vector<std::string>{"pool", "conv"}));
    EXPECT_NE(test::error_text([&] {
                  taps_of({"p*", "pool"});
              }).find("tap 'pool' is listed twice"),
              std::string::npos);
    EXPECT_NE(test::error_text([&] { taps_of({"x*"}); }).find("has a tap 'x*'"), std::string::npos);
}

TEST_F(Graph, AGridHoldsTheMeansOfItsCells)
{
    Twin maps = twin_of_taps(loaded(small_network()), {{"relu"}, {}}, Precision::f32);
    TapFeatures cells{TapFeatures::Pool::grid, 3};
    Twin grid = twin_of_taps(loaded(small_network()), {{"relu", "pool"}, cells}, Precision::f32);
    const auto rows = images(1);

    const auto values = respond<float>(maps, rows);
    const auto means = respond<float>(grid, rows);

    ASSERT_EQ(means.size(), 4 * 9 + 4U);
    const std::array<int, 3> first{0, 2, 5};  // 8 pixels in 3 overlapping cells
    const std::array<int, 3> end{3, 6, 8};
    for (std::size_t channel = 0; channel < 4; ++channel)
        for (std::size_t y = 0; y < 3; ++y)
            for (std::size_t x = 0; x < 3; ++x) {
                double sum = 0.0;
                for (int row = first[y]; row < end[y]; ++row)
                    for (int column = first[x]; column < end[x]; ++column)
                        sum += values[channel * 64 + std::size_t(row * 8 + column)];
                EXPECT_NEAR(means[channel * 9 + y * 3 + x],
                            sum / ((end[y] - first[y]) * (end[x] - first[x])), 1e-6);
            }
}

TEST_F(Graph, AGridWantsAMap)
{
    GraphBundle bundle = small_network();
    bundle.add("tokens", "view", {{"self", "relu"}}, {{"size", {"batch", 4, 64}}},
               {"batch", 4, 64});
    const TapFeatures cells{TapFeatures::Pool::grid, 2};

    const auto text = test::error_text([&] {
        twin_of_taps(loaded(bundle), {{"tokens"}, cells}, Precision::f32);
    });

    EXPECT_NE(text.find("tap 'tokens' computes [4, 64] per image: a grid of cells needs a map"),
              std::string::npos)
        << text;
}

TEST_F(Graph, AWideTapIsProjectedAndANarrowOneIsNot)
{
    const TapFeatures features{TapFeatures::Pool::none, 0, 16, 3};
    Twin maps = twin_of_taps(loaded(small_network()), {{"relu"}, {}}, Precision::f32);
    Twin twin = twin_of_taps(loaded(small_network()), {{"relu", "pool"}, features}, Precision::f32);
    const auto rows = images(2);

    const auto values = respond<float>(maps, rows);
    const auto projected = respond<float>(twin, rows);

    ASSERT_EQ(twin.units.rows(), 16 + 4U);
    const SparseProjection projection(256, 16, 3);
    std::vector<float> expected(16);
    for (std::size_t row = 0; row < 2; ++row) {
        const std::vector<float> map(values.begin() + long(row) * 256,
                                     values.begin() + long(row + 1) * 256);
        projection.project<float>(map, expected);
        for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(projected[row * 20 + i], expected[i]);
    }
    const TapFeatures other{TapFeatures::Pool::none, 0, 16, 4};
    Twin redrawn = twin_of_taps(loaded(small_network()), {{"relu", "pool"}, other}, Precision::f32);
    EXPECT_NE(redrawn.spec.digest, twin.spec.digest);
    EXPECT_NE(respond<float>(redrawn, rows), projected);
}

TEST_F(Graph, FeaturesOfTapsHaveAGradient)
{
    GraphBundle bundle = small_network();
    bundle.graph["nodes"][2]["operator"] = "silu";
    for (const TapFeatures& features :
         {TapFeatures{TapFeatures::Pool::none, 0, 12, 1},
          TapFeatures{TapFeatures::Pool::grid, 3, 8, 1}, TapFeatures{TapFeatures::Pool::grid, 3}}) {
        Twin twin =
            twin_of_taps(loaded(bundle, Precision::f64), {{"relu"}, features}, Precision::f64);

        test::expect_gradient_matches_differences(twin, images(2), {}, 1e-4);
    }
}

TEST_F(Graph, AnUntrainedNetworkHasTheShapeButNotTheWeights)
{
    small_network().write(folder_ / "small", 2);
    Twin trained = made("");
    Twin first = made("untrained = 1");
    Twin again = made("untrained = 1");
    Twin second = made("untrained = 2");
    const auto rows = images(2);

    EXPECT_EQ(respond<float>(first, rows), respond<float>(again, rows));
    EXPECT_EQ(first.spec.digest, again.spec.digest);
    EXPECT_NE(respond<float>(first, rows), respond<float>(second, rows));
    EXPECT_NE(first.spec.digest, trained.spec.digest);
    EXPECT_NE(first.parts[0].backbone->digest(), trained.parts[0].backbone->digest());
}

TEST_F(Graph, UntrainedWeightsFollowHeEtAl)
{
    GraphBundle bundle = small_network();
    bundle.tensors["wide.weight"] = test::arbitrary({100, 4}, 1);
    bundle.tensors["wide.bias"] = test::arbitrary({100}, 2);
    bundle.add("wide", "linear",
               {{"input", "pool"}, {"weight", "wide.weight"}, {"bias", "wide.bias"}},
               nlohmann::json::object(), {"batch", 100});
    bundle.write(folder_ / "wide", 2);
    const SafetensorsFile trained(folder_ / "wide" / "weights.safetensors");
    const twinscreen::Graph graph =
        read_graph("graph.json", test::read_text(folder_ / "wide" / "graph.json"));

    const SafetensorsFile drawn = untrained_weights(trained, graph, 7);

    const WeightReader reader("drawn", drawn);
    double squares = 0.0;
    for (const double value : reader.read("wide.weight", {100, 4}).values) squares += value * value;
    EXPECT_NEAR(squares / 400.0, 2.0 / 4.0, 0.1);  // variance 2 / inputs; 4 sigma of 400 draws
    EXPECT_EQ(reader.read("wide.bias", {100}).values, std::vector<double>(100, 0.0));
    EXPECT_EQ(reader.read("norm.weight", {4}).values, std::vector<double>(4, 1.0));
    EXPECT_EQ(reader.read("norm.bias", {4}).values, std::vector<double>(4, 0.0));
    EXPECT_EQ(reader.read("norm.mean", {4}).values, std::vector<double>(4, 0.0));
    EXPECT_EQ(reader.read("norm.var", {4}).values, std::vector<double>(4, 1.0));
}

TEST_F(Graph, ADenseReadoutTakesTheFeaturesOfSeveralTaps)
{
    const std::string taps =
        "[[networks.taps]]\ntap = \"relu\"\ntap_shape = [4, 8, 8]\n"
        "[[networks.taps]]\ntap = \"logits\"\ntap_shape = [2]\n";
    GraphBundle bundle = small_network();
    bundle.networks = "[[networks]]\nreadout = \"dense\"\nunits = 2\ntap_pool = \"mean\"\n" + taps;
    bundle.tensors["readout.kernel"] = test::arbitrary({6, 2}, 1);
    bundle.tensors["readout.bias"] = test::arbitrary({2}, 2);
    const TapFeatures means{TapFeatures::Pool::mean};
    Twin features =
        twin_of_taps(loaded(small_network()), {{"relu", "logits"}, means}, Precision::f32);
    Twin fitted = loaded(bundle);
    const auto rows = images(2);

    const auto x = respond<float>(features, rows);
    const auto y = respond<float>(fitted, rows);

    for (std::size_t row = 0; row < 2; ++row)
        for (std::size_t unit = 0; unit < 2; ++unit) {
            double sum = bundle.tensors["readout.bias"].values[unit];
            for (std::size_t i = 0; i < 6; ++i)
                sum +=
                    x[row * 6 + i] * double(bundle.tensors["readout.kernel"].values[i * 2 + unit]);
            EXPECT_NEAR(y[row * 2 + unit], sum, 1e-5);
        }
    bundle.tensors["readout.kernel"] = test::arbitrary({7, 2}, 1);
    EXPECT_NE(test::error_text([&] { loaded(bundle); }).find("expected [6, 2]"), std::string::npos);
}

TEST_F(Graph, BundlesThatDifferInReadoutsShareOneBackbone)
{
    GraphBundle bundle = small_network();
    bundle.networks =
        "[[networks]]\ntap = \"pool\"\ntap_shape = [4]\nreadout = \"dense\"\nunits = 2\n";
    bundle.tensors["readout.kernel"] = test::arbitrary({4, 2}, 1);
    bundle.tensors["readout.bias"] = test::arbitrary({2}, 2);
    bundle.write(folder_ / "one", 2);
    bundle.tensors["readout.bias"] = test::arbitrary({2}, 3);
    bundle.write(folder_ / "two", 2);

    const Twin one = load_bundle(folder_ / "one");
    const Twin two = load_bundle(folder_ / "two");

    EXPECT_EQ(one.parts[0].backbone, two.parts[0].backbone);
    EXPECT_NE(one.spec.digest, two.spec.digest);
}

TEST_F(Graph, MeansOfTapsHaveAGradient)
{
    GraphBundle bundle = small_network();
    bundle.graph["nodes"][2]["operator"] = "silu";
    Twin twin = loaded(bundle, Precision::f64);
    twin = twin_of_taps(std::move(twin), {{"relu"}, {TapFeatures::Pool::mean}}, Precision::f64);

    test::expect_gradient_matches_differences(twin, images(2), {}, 1e-4);
}

TEST_F(Graph, ABundleIsComparedWithItsSamples)
{
    GraphBundle bundle = small_network();
    const auto& input = bundle.samples["input"].values;
    for (const double value : test::small_network_by_hand(bundle, {input.begin(), input.end()}))
        bundle.samples["output.logits"].values.push_back(static_cast<float>(value));
    bundle.write(folder_ / "good", 2);
    const auto found = check_bundle(folder_ / "good");
    ASSERT_EQ(found.size(), 2U);
    EXPECT_NE(found[1].find("2 samples, 1 output"), std::string::npos) << found[1];

    bundle.samples["output.logits"].values[3] += 0.01F;
    bundle.write(folder_ / "bad", 2);
    const auto text = test::error_text([&] { check_bundle(folder_ / "bad"); });
    EXPECT_NE(text.find("does not compute what the bundle says"), std::string::npos) << text;
    EXPECT_NE(text.find("'logits' differs by"), std::string::npos) << text;
}

TEST_F(Graph, AllMistakesAreSaidAtOnce)
{
    GraphBundle bundle = small_network();
    bundle.tensors.erase("conv.bias");
    bundle.tensors["orphan"] = test::arbitrary({2}, 1);
    bundle.tensors["norm.mean"].values[1] = std::numeric_limits<float>::quiet_NaN();
    bundle.graph["nodes"][2]["operator"] = "relu7";
    bundle.add("random", "dropout", {{"input", "relu"}}, json::object(), {"batch", 4, 8, 8});
    bundle.graph["nodes"][3]["attributes"]["dim"] = "two";

    const std::string text = complaint(bundle);

    for (const char* part :
         {"graph.json: 6 mistakes", "'conv.bias' is neither a node nor the input nor a tensor of",
          "tensor 'orphan' is used by no node and no readout",
          "tensor 'norm.mean' holds values that are not finite",
          "node 'relu': operator 'relu7' is not supported (did you mean 'relu'?)",
          "node 'random': operator 'dropout' is not supported",
          "node 'pool' (mean.dim): argument 'dim' has the wrong type"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
}

TEST_F(Graph, CyclesAndMissingValuesAreFound)
{
    GraphBundle cycle = small_network();
    cycle.graph["nodes"][0]["inputs"]["input"] = "relu";
    EXPECT_NE(complaint(cycle).find("node 'conv' uses 'relu', which is not computed before it"),
              std::string::npos);

    GraphBundle dangling = small_network();
    dangling.graph["nodes"][0]["inputs"]["input"] = "picture";
    EXPECT_NE(complaint(dangling).find("'picture' is neither a node nor the input"),
              std::string::npos);

    GraphBundle twice = small_network();
    twice.graph["nodes"][2]["name"] = "norm";
    EXPECT_NE(complaint(twice).find("two values are called 'norm'"), std::string::npos);
}

TEST_F(Graph, ShapesAreInferredAndCompared)
{
    GraphBundle bundle = small_network();
    bundle.graph["nodes"][0]["shape"] = {"batch", 4, 8, 9};
    EXPECT_NE(complaint(bundle).find(
                  "node 'conv' (conv2d) computes [8, 4, 8, 8] of 8 rows, the file says "
                  "[batch, 4, 8, 9]"),
              std::string::npos);

    GraphBundle fixed = small_network();
    fixed.add("rows", "view", {{"self", "relu"}}, {{"size", {8, 256}}}, {8, 256});
    EXPECT_NE(complaint(fixed).find("node 'rows' (view): shape '[8, 256]' is invalid"),
              std::string::npos)
        << complaint(fixed);

    GraphBundle channels = small_network();
    channels.tensors["conv.weight"] = test::arbitrary({4, 2, 3, 3}, 1);
    EXPECT_NE(complaint(channels).find("the kernel takes 2 channels, the input has 3"),
              std::string::npos);
}

TEST_F(Graph, WhatDoesNotFitIntoMemoryIsRefusedBeforeItRuns)
{
    GraphBundle large = small_network();
    large.add("large", "upsample_nearest2d", {{"self", "relu"}},
              {{"output_size", {1'000'000, 1'000'000}}}, {"batch", 4, 1'000'000, 1'000'000});
    EXPECT_NE(complaint(large).find("node 'large' of 8 rows"), std::string::npos)
        << complaint(large);

    GraphBundle overflow = small_network();
    overflow.add("large", "upsample_nearest2d", {{"self", "relu"}},
                 {{"output_size", {2'000'000'000, 2'000'000'000}}},
                 {"batch", 4, 2'000'000'000, 2'000'000'000});
    EXPECT_NE(complaint(overflow).find("node 'large'"), std::string::npos) << complaint(overflow);
}

TEST_F(Graph, NothingThatDrawsOrLearnsRuns)
{
    GraphBundle learns = small_network();
    learns.graph["nodes"][1]["attributes"]["training"] = true;
    EXPECT_NE(complaint(learns).find("export the model in evaluation mode"), std::string::npos);
}

TEST_F(Graph, FormIsCheckedBeforeMeaning)
{
    GraphBundle bundle = small_network();
    bundle.graph["version"] = 2;
    EXPECT_NE(complaint(bundle).find("names more than 4 keys"), std::string::npos);
    bundle = small_network();
    bundle.graph["nodes"][0]["attributes"]["stride"] = {{"batch", 0}};
    EXPECT_NE(complaint(bundle).find("node 'conv': attribute 'stride' is no number"),
              std::string::npos);
    bundle = small_network();
    bundle.graph["nodes"][0]["shape"] = {"batch", -4, 8, 8};
    EXPECT_NE(complaint(bundle).find("node 'conv': shape is not a list"), std::string::npos);
    bundle = small_network();
    bundle.graph["nodes"][0]["code"] = "import os";
    EXPECT_NE(complaint(bundle).find("node 'conv' has the unknown key 'code'"), std::string::npos);
    bundle = small_network();
    bundle.graph["outputs"] = {"softmax"};
    EXPECT_NE(complaint(bundle).find("outputs names \"softmax\", which is no node"),
              std::string::npos);
}

TEST_F(Graph, TapsThatAreNotThereAreNamed)
{
    GraphBundle bundle = small_network();
    bundle.networks =
        "[[networks]]\ntap = \"logit\"\ntap_shape = [2]\nreadout = \"identity\"\nunits = 2\n";
    EXPECT_NE(complaint(bundle).find("tap 'logit' is no node with a row of numbers per image (did "
                                     "you mean 'logits'?)"),
              std::string::npos);
    bundle.networks =
        "[[networks]]\ntap = \"pool\"\ntap_shape = [2]\nreadout = \"identity\"\nunits = 2\n";
    EXPECT_NE(complaint(bundle).find("tap 'pool' has shape [4], twin.toml declares [2]"),
              std::string::npos);
}

/// One node of every operator on the image [batch, 3, 8, 8] or its rows "rows" [batch, 24, 8].
struct OperatorCase {
    const char* op;
    json inputs;
    json attributes;
    json shape;
};

const json map_shape = {"batch", 3, 8, 8};

std::vector<OperatorCase> operator_cases()
{
    std::vector<OperatorCase> cases = {
        {"conv1d", {{"input", "rows"}, {"weight", "w1"}}, {{"stride", {2}}}, {"batch", 4, 3}},
        {"conv2d",
         {{"input", "image"}, {"weight", "w2"}, {"bias", "b4"}},
         {{"stride", {2, 1}}, {"padding", {1, 0}}, {"dilation", {1, 2}}},
         {"batch", 4, 4, 4}},
        {"conv3d", {{"input", "volume"}, {"weight", "w3"}}, json::object(), {"batch", 4, 1, 6, 6}},
        {"conv_transpose2d.input",
         {{"input", "image"}, {"weight", "wt"}},
         {{"stride", {2, 2}}, {"output_padding", {1, 1}}, {"padding", {1, 1}}},
         {"batch", 4, 16, 16}},
        {"linear", {{"input", "image"}, {"weight", "wl"}}, json::object(), {"batch", 3, 8, 5}},
        {"matmul", {{"self", "image"}, {"other", "image"}}, json::object(), map_shape},
        {"bmm", {{"self", "rows"}, {"mat2", "turned"}}, json::object(), {"batch", 24, 24}},
        {"addmm", {{"self", "b5"}, {"mat1", "flat"}, {"mat2", "wm"}}, json::object(), {"batch", 5}},
        {"baddbmm",
         {{"self", "rows"}, {"batch1", "rows"}, {"batch2", "square"}},
         json::object(),
         {"batch", 24, 8}},
        {"einsum", {{"tensors", {"rows", "rows"}}}, {{"equation", "bij,bij->bi"}}, {"batch", 24}},
        {"scaled_dot_product_attention",
         {{"query", "image"}, {"key", "image"}, {"value", "image"}},
         json::object(),
         map_shape},
        {"batch_norm",
         {{"input", "image"}, {"running_mean", "b3"}, {"running_var", "v3"}},
         {{"weight", nullptr},
          {"bias", nullptr},
          {"training", false},
          {"momentum", 0.1},
          {"eps", 1e-5},
          {"cudnn_enabled", false}},
         map_shape},
        {"layer_norm", {{"input", "image"}}, {{"normalized_shape", {8}}}, map_shape},
        {"group_norm", {{"input", "image"}}, {{"num_groups", 3}}, map_shape},
        {"instance_norm",
         {{"input", "image"}},
         {{"weight", nullptr},
          {"bias", nullptr},
          {"running_mean", nullptr},
          {"running_var", nullptr},
          {"use_input_stats", true},
          {"momentum", 0.1},
          {"eps", 1e-5},
          {"cudnn_enabled", false}},
         map_shape},
        {"rms_norm", {{"input", "image"}}, {{"normalized_shape", {8}}}, map_shape},
        {"linalg_vector_norm", {{"self", "rows"}}, {{"dim", {1}}}, {"batch", 8}},
        {"prelu", {{"self", "image"}, {"weight", "b3"}}, json::object(), map_shape},
        {"leaky_relu", {{"self", "image"}}, {{"negative_slope", 0.2}}, map_shape},
        {"softmax.int", {{"self", "image"}}, {{"dim", 1}}, map_shape},
        {"log_softmax.int", {{"self", "image"}}, {{"dim", -1}}, map_shape},
        {"glu", {{"self", "image"}}, {{"dim", 2}}, {"batch", 3, 4, 8}},
        {"max_pool1d", {{"self", "rows"}}, {{"kernel_size", {2}}}, {"batch", 24, 4}},
        {"max_pool2d",
         {{"self", "image"}},
         {{"kernel_size", {3, 3}}, {"stride", {2, 2}}, {"ceil_mode", true}},
         {"batch", 3, 4, 4}},
        {"avg_pool1d", {{"self", "rows"}}, {{"kernel_size", {2}}}, {"batch", 24, 4}},
        {"avg_pool2d", {{"self", "image"}}, {{"kernel_size", 2}}, {"batch", 3, 4, 4}},
        {"avg_pool3d", {{"self", "volume"}}, {{"kernel_size", {1, 2, 2}}}, {"batch", 1, 3, 4, 4}},
        {"adaptive_avg_pool1d", {{"self", "rows"}}, {{"output_size", {3}}}, {"batch", 24, 3}},
        {"adaptive_avg_pool2d", {{"self", "image"}}, {{"output_size", {3, 2}}}, {"batch", 3, 3, 2}},
        {"upsample_nearest2d",
         {{"self", "image"}},
         {{"output_size", {16, 10}}},
         {"batch", 3, 16, 10}},
        {"upsample_bilinear2d",
         {{"self", "image"}},
         {{"output_size", {16, 10}}, {"align_corners", false}},
         {"batch", 3, 16, 10}},
        {"upsample_bicubic2d",
         {{"self", "image"}},
         {{"output_size", {16, 10}}, {"align_corners", false}},
         {"batch", 3, 16, 10}},
        {"pixel_shuffle", {{"self", "blocks"}}, {{"upscale_factor", 2}}, {"batch", 3, 8, 8}},
        {"pixel_unshuffle", {{"self", "image"}}, {{"downscale_factor", 2}}, {"batch", 12, 4, 4}},
        {"channel_shuffle", {{"self", "image"}}, {{"groups", 3}}, map_shape},
        {"constant_pad_nd", {{"self", "image"}}, {{"pad", {1, 2, 0, 3}}}, {"batch", 3, 11, 11}},
        {"pad",
         {{"self", "image"}},
         {{"pad", {1, 2, 0, 3}}, {"mode", "reflect"}},
         {"batch", 3, 11, 11}},
        {"view", {{"self", "image"}}, {{"size", {"batch", -1}}}, {"batch", 192}},
        {"reshape", {{"self", "image"}}, {{"shape", {"batch", 8, 24}}}, {"batch", 8, 24}},
        {"flatten.using_ints", {{"self", "image"}}, {{"start_dim", 1}}, {"batch", 192}},
        {"unflatten.int", {{"self", "rows"}}, {{"dim", 1}, {"sizes", {3, 8}}}, map_shape},
        {"permute", {{"self", "image"}}, {{"dims", {0, 3, 1, 2}}}, {"batch", 8, 3, 8}},
        {"transpose.int", {{"self", "rows"}}, {{"dim0", 1}, {"dim1", 2}}, {"batch", 8, 24}},
        {"squeeze.dim", {{"self", "volume"}}, {{"dim", 1}}, map_shape},
        {"unsqueeze", {{"self", "image"}}, {{"dim", 1}}, {"batch", 1, 3, 8, 8}},
        {"expand", {{"self", "token"}}, {{"size", {"batch", 1, 8}}}, {"batch", 1, 8}},
        {"repeat", {{"self", "image"}}, {{"repeats", {1, 2, 1, 1}}}, {"batch", 6, 8, 8}},
        {"cat", {{"tensors", {"image", "image"}}}, {{"dim", 1}}, {"batch", 6, 8, 8}},
        {"stack", {{"tensors", {"image", "image"}}}, {{"dim", 1}}, {"batch", 2, 3, 8, 8}},
        {"slice.Tensor",
         {{"self", "image"}},
         {{"dim", 2}, {"start", 1}, {"end", 8}, {"step", 3}},
         {"batch", 3, 3, 8}},
        {"narrow",
         {{"self", "image"}},
         {{"dim", 1}, {"start", 1}, {"length", 2}},
         {"batch", 2, 8, 8}},
        {"select.int", {{"self", "image"}}, {{"dim", 1}, {"index", 2}}, {"batch", 8, 8}},
        {"roll", {{"self", "image"}}, {{"shifts", {1}}, {"dims", {3}}}, map_shape},
        {"flip", {{"self", "image"}}, {{"dims", {1}}}, map_shape},
        {"index_select", {{"self", "image"}, {"index", "picks"}}, {{"dim", 1}}, {"batch", 2, 8, 8}},
        {"grid_sampler",
         {{"input", "image"}, {"grid", "grid"}},
         {{"interpolation_mode", 0}, {"padding_mode", 0}, {"align_corners", true}},
         {"batch", 3, 1, 4}},
        {"mean.dim", {{"self", "image"}}, {{"dim", {2, 3}}, {"keepdim", true}}, {"batch", 3, 1, 1}},
        {"sum.dim_IntList", {{"self", "image"}}, {{"dim", {1}}}, {"batch", 8, 8}},
        {"amax", {{"self", "image"}}, {{"dim", {2, 3}}}, {"batch", 3}},
        {"amin", {{"self", "image"}}, {{"dim", {2, 3}}}, {"batch", 3}},
        {"var.correction", {{"self", "image"}}, {{"dim", {2, 3}}, {"correction", 0}}, {"batch", 3}},
        {"std.correction",
         {{"self", "image"}},
         {{"dim", {1}}, {"keepdim", true}},
         {"batch", 1, 8, 8}},
        {"where.self",
         {{"condition", "positive"}, {"self", "image"}, {"other", "token"}},
         json::object(),
         map_shape},
        {"masked_fill.Scalar",
         {{"self", "image"}, {"mask", "positive"}},
         {{"value", 0.5}},
         map_shape},
        {"clamp", {{"self", "image"}}, {{"min", 0}, {"max", 6.5}}, map_shape},
        {"clamp_min", {{"self", "image"}}, {{"min", 0}}, map_shape},
        {"clamp_max", {{"self", "image"}}, {{"max", 0.25}}, map_shape},
        {"pow.Tensor_Scalar", {{"self", "image"}}, {{"exponent", 2}}, map_shape},
    };
    for (const char* op :
         {"add.Tensor", "sub.Tensor", "mul.Tensor", "div.Tensor", "maximum", "minimum"})
        cases.push_back({op, {{"self", "image"}, {"other", "token"}}, json::object(), map_shape});
    cases.push_back({"pow.Tensor_Tensor",
                     {{"self", "image"}, {"exponent", "token"}},
                     json::object(),
                     map_shape});
    for (const char* op : {"add.Scalar", "sub.Scalar", "rsub.Scalar", "mul.Scalar", "div.Scalar",
                           "gt.Scalar", "lt.Scalar", "ge.Scalar", "le.Scalar", "eq.Scalar"})
        cases.push_back({op, {{"self", "image"}}, {{"other", 0.5}}, map_shape});
    for (const char* op :
         {"relu",        "relu6",     "gelu",        "silu",      "elu",      "selu",    "celu",
          "mish",        "hardswish", "hardsigmoid", "hardtanh",  "softplus", "sigmoid", "tanh",
          "log_sigmoid", "neg",       "abs",         "sqrt",      "rsqrt",    "exp",     "log",
          "log1p",       "expm1",     "reciprocal",  "square",    "sin",      "cos",     "erf",
          "sign",        "floor",     "ceil",        "contiguous"})
        cases.push_back({op, {{"self", "image"}}, json::object(), map_shape});
    return cases;
}

TEST_F(Graph, EveryOperatorHasTheShapeThatWasInferredForIt)
{
    GraphBundle bundle = small_network();
    bundle.graph["nodes"] = json::array();
    bundle.tensors = {{"w1", test::arbitrary({4, 24, 3}, 1)},
                      {"w2", test::arbitrary({4, 3, 3, 3}, 2)},
                      {"w3", test::arbitrary({4, 1, 3, 3, 3}, 3)},
                      {"wt", test::arbitrary({3, 4, 3, 3}, 4)},
                      {"wl", test::arbitrary({5, 8}, 5)},
                      {"wm", test::arbitrary({192, 5}, 6)},
                      {"b3", test::arbitrary({3}, 7)},
                      {"b4", test::arbitrary({4}, 8)},
                      {"b5", test::arbitrary({5}, 9)},
                      {"v3", {{3}, {1.0F, 2.0F, 0.5F}}},
                      {"token", test::arbitrary({1, 1, 8}, 10)}};
    bundle.indices = {{"picks", {2, 0}}};
    bundle.add("rows", "reshape", {{"self", "image"}}, {{"shape", {"batch", 24, 8}}},
               {"batch", 24, 8});
    bundle.add("flat", "reshape", {{"self", "image"}}, {{"shape", {"batch", 192}}}, {"batch", 192});
    bundle.add("turned", "transpose.int", {{"self", "rows"}}, {{"dim0", 1}, {"dim1", 2}},
               {"batch", 8, 24});
    bundle.add("square", "bmm", {{"self", "turned"}, {"mat2", "rows"}}, json::object(),
               {"batch", 8, 8});
    bundle.add("volume", "unsqueeze", {{"self", "image"}}, {{"dim", 1}}, {"batch", 1, 3, 8, 8});
    bundle.add("blocks", "reshape", {{"self", "image"}}, {{"shape", {"batch", 12, 4, 4}}},
               {"batch", 12, 4, 4});
    bundle.add("first row", "narrow", {{"self", "rows"}}, {{"dim", 1}, {"start", 0}, {"length", 1}},
               {"batch", 1, 8});
    bundle.add("grid", "reshape", {{"self", "first row"}}, {{"shape", {"batch", 1, 4, 2}}},
               {"batch", 1, 4, 2});
    bundle.add("positive", "gt.Scalar", {{"self", "image"}}, {{"other", 0}}, map_shape);
    std::vector<std::string> tried;
    for (const OperatorCase& c : operator_cases()) {
        bundle.add(std::string("the ") + c.op, c.op, c.inputs, c.attributes, c.shape);
        tried.emplace_back(c.op);
    }
    std::sort(tried.begin(), tried.end());
    EXPECT_EQ(tried, graph_operators());

    Twin twin = loaded(with_last(bundle, {3, 8, 8}, 192), Precision::f32, 192);

    std::size_t compared = 0;
    for (const TapSpec& tap : twin.parts[0].backbone->taps()) {
        EXPECT_EQ(tapped(twin, tap.name, images(3)).size(),
                  3 * static_cast<std::size_t>(tap.row.count()))
            << tap.name;
        compared += tap.name.starts_with("the ") ? 1 : 0;
    }
    // Comparisons give truth values, which cannot be tapped.
    EXPECT_EQ(compared, graph_operators().size() - 5);
}

}  // namespace
}  // namespace twinscreen
