#include <gtest/gtest.h>

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
    const double all = loaded(bundle).parts[0].backbone->macs_per_row();
    // One convolution of 64 pixels and one linear map; the folded norm costs nothing.
    EXPECT_EQ(all, 64 * 4 * 27 + 2 * 4);

    bundle.networks =
        "[[networks]]\ntap = \"pool\"\ntap_shape = [4]\nreadout = \"identity\"\nunits = 4\n";
    EXPECT_EQ(loaded(bundle, Precision::f32, 4).parts[0].backbone->macs_per_row(), 64 * 4 * 27);
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

}  // namespace
}  // namespace twinscreen
