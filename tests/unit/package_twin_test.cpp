// Programs of PyTorch's as twins: trusted by digest, run, differentiated, and refused.

#include <fstream>
#include <map>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "engine/base/sha256.hpp"
#include "engine/config/section.hpp"
#include "tests/unit/twin_support.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::int64_t batch = 4;
constexpr std::size_t pixels = 3 * 4 * 4;  // of an image [3, 4, 4]

/// map [2, 4, 4] = tanh(0.5 r - b, g + 0.25), mean [2] of it over pixels
const char* const two_outputs = R"(
def forward(self, images: Tensor) -> Tuple[Tensor, Tensor]:
    first = images[:, 0:1] * self.gain - images[:, 2:3]
    second = images[:, 1:2] + 0.25
    map = torch.tanh(torch.cat([first, second], 1))
    return map, torch.mean(map, [2, 3])
)";

const char* const outputs_of_two = R"(
[[package.outputs]]
name = "map"
shape = [2, 4, 4]
[[package.outputs]]
name = "mean"
shape = [2]
)";

/// The pixels of the map of one image, as the formula says.
std::vector<double> map_by_hand(const std::vector<double>& images, std::size_t image)
{
    const auto value = [&](std::size_t channel, std::size_t pixel) {
        return images[image * pixels + channel * 16 + pixel];
    };
    std::vector<double> map;
    for (std::size_t pixel = 0; pixel < 16; ++pixel)
        map.push_back(std::tanh(0.5 * value(0, pixel) - value(2, pixel)));
    for (std::size_t pixel = 0; pixel < 16; ++pixel)
        map.push_back(std::tanh(value(1, pixel) + 0.25));
    return map;
}

std::vector<double> means_by_hand(const std::vector<double>& images)
{
    std::vector<double> means;
    for (std::size_t image = 0; image < images.size() / pixels; ++image) {
        const auto map = map_by_hand(images, image);
        for (std::size_t channel = 0; channel < 2; ++channel) {
            double sum = 0.0;
            for (std::size_t pixel = 0; pixel < 16; ++pixel) sum += map[channel * 16 + pixel];
            means.push_back(sum / 16.0);
        }
    }
    return means;
}

std::vector<double> images(std::size_t rows)
{
    std::vector<double> values;
    for (std::size_t i = 0; i < rows * pixels; ++i)
        values.push_back(double(static_cast<float>(std::sin(1.7 * double(i)))));
    return values;
}

const std::string mean_units =
    "[[networks]]\ntap = \"mean\"\ntap_shape = [2]\nreadout = \"identity\"\nunits = 2\n";

/// A bundle whose parts a test changes before it is written.
struct PackageBundle {
    std::string program = two_outputs;
    std::string format = "torchscript";
    std::string outputs = outputs_of_two;
    std::string networks = mean_units;
    int units = 2;
    std::string further;  ///< keys at the top

    /// Bytes of the file that torch::jit saves.
    std::string saved() const
    {
        torch::jit::Module module("small");
        module.register_parameter("gain", at::full({1}, 0.5), /*is_buffer=*/false);
        module.define(program);
        std::ostringstream bytes;
        module.save(bytes);
        return bytes.str();
    }

    void write(const fs::path& folder, const std::string& bytes) const
    {
        fs::create_directories(folder);
        std::string toml =
            "format = 1\nname = \"small\"\nfamily = \"package\"\nresponse_unit = \"\"\n"
            "licence = \"none\"\ncitation = \"none\"\nweights = \"weights.safetensors\"\n"
            "units = \"units.csv\"\nsamples = \"samples.safetensors\"\n" +
            further +
            fmt::format("[package]\nfile = \"model.pt\"\nformat = \"{}\"\nbatch = {}\n", format,
                        batch) +
            outputs + networks;
        const auto fact = [&](const std::string& name, const std::string& value) {
            toml += "[stimulus." + name + "]\nvalue = " + value + "\nsource = \"test\"\n";
        };
        fact("channels", "3");
        fact("height", "4");
        fact("width", "4");
        fact("layout", "\"channels_first\"");
        fact("fit", "\"stretch\"");
        fact("filter", "\"pil_bilinear\"");
        fact("mean", "[127.5, 127.5, 127.5]");
        fact("scale", "[127.5, 127.5, 127.5]");
        fact("background", "127.5");
        fact("luminance_range", "\"0..255\"");
        fact("frame_rate", "\"none\"");
        fact("degrees_per_pixel", "\"unknown\"");
        std::string table = "id,subject,area,heldout_r,noise_ceiling,x,y\n";
        for (int unit = 0; unit < units; ++unit)
            table += fmt::format("unit{},small,mean,nan,nan,nan,nan\n", unit);
        const std::string no_tensors("\2\0\0\0\0\0\0\0{}", 10);
        test::write_text(folder / "twin.toml", toml);
        test::write_text(folder / "units.csv", table);
        test::write_text(folder / "weights.safetensors", no_tensors);
        test::write_text(folder / "samples.safetensors", no_tensors);
        test::write_text(folder / "model.pt", bytes);
    }
};

std::string digest_of(const std::string& bytes)
{
    return sha256_of(std::as_bytes(std::span(bytes)));
}

class PackageTwin : public ::testing::Test {
protected:
    Twin loaded(const PackageBundle& bundle, Precision precision = Precision::f32)
    {
        return loaded(bundle, bundle.saved(), precision);
    }
    Twin loaded(const PackageBundle& bundle, const std::string& bytes,
                Precision precision = Precision::f32)
    {
        bundle.write(folder_ / "small", bytes);
        return load_bundle(folder_ / "small", precision, {digest_of(bytes)});
    }
    std::string complaint(const PackageBundle& bundle)
    {
        return test::error_text([&] { loaded(bundle); });
    }
    std::string complaint(const PackageBundle& bundle, const std::string& bytes)
    {
        return test::error_text([&] { loaded(bundle, bytes); });
    }
    /// What a campaign with these keys says of the bundle "small".
    std::string campaign_complaint(const std::string& keys)
    {
        return test::error_text([&] { made(keys); });
    }
    Twin made(const std::string& keys)
    {
        ConfigDocument campaign = ConfigDocument::parse("[twin]\nbundle = \"small\"\n" + keys,
                                                        "campaign.toml", folder_.path());
        ConfigSection section = campaign.root().child("twin");
        Twin twin = make_twin(section);
        campaign.throw_if_invalid();
        return twin;
    }

    test::TemporaryFolder folder_;
};

TEST_F(PackageTwin, ComputesWhatItsProgramSays)
{
    Twin twin = loaded(PackageBundle{});
    const auto rows = images(3);

    // float32 against double: a few rounding errors of values below 1
    EXPECT_LT(test::relative_error(test::respond<float>(twin, rows), means_by_hand(rows), 0.1),
              1e-5);
}

TEST_F(PackageTwin, AnswersDoNotDependOnHowFullABatchIs)
{
    Twin twin = loaded(PackageBundle{});

    const auto full = test::respond<float>(twin, images(batch));
    const auto one = test::respond<float>(twin, images(1));
    const auto again = test::respond<float>(twin, images(batch));

    EXPECT_EQ(one, std::vector<double>(full.begin(), full.begin() + 2));
    EXPECT_EQ(again, full);
}

TEST_F(PackageTwin, HasTheGradientOfItsProgram)
{
    Twin twin = loaded(PackageBundle{}, Precision::f64);

    test::expect_gradient_matches_differences(twin, images(2), {}, 1e-4);
}

TEST_F(PackageTwin, EveryOutputCanBeTapped)
{
    const PackageBundle bundle;
    const std::string bytes = bundle.saved();
    bundle.write(folder_ / "small", bytes);
    Twin twin = made("taps = [\"map\"]\ntrusted_sha256 = \"" + digest_of(bytes) + "\"\n");
    const auto rows = images(2);

    const auto found = test::respond<float>(twin, rows);

    auto expected = map_by_hand(rows, 0);
    const auto second = map_by_hand(rows, 1);
    expected.insert(expected.end(), second.begin(), second.end());
    EXPECT_LT(test::relative_error(found, expected, 0.1), 1e-5);
}

TEST_F(PackageTwin, OneTensorAndAListAreOutputsToo)
{
    PackageBundle bundle;
    bundle.outputs = "[[package.outputs]]\nname = \"mean\"\nshape = [2]\n";
    const auto rows = images(2);
    const std::vector<double> expected = means_by_hand(rows);
    for (const char* type : {"Tensor", "List[Tensor]"}) {
        const bool is_list = std::string(type) != "Tensor";
        bundle.program = fmt::format(
            "def forward(self, images: Tensor) -> {}:\n"
            "    first = images[:, 0:1] * self.gain - images[:, 2:3]\n"
            "    map = torch.tanh(torch.cat([first, images[:, 1:2] + 0.25], 1))\n"
            "    return {}torch.mean(map, [2, 3]){}\n",
            type, is_list ? "[" : "", is_list ? "]" : "");
        Twin twin = loaded(bundle);

        EXPECT_LT(test::relative_error(test::respond<float>(twin, rows), expected, 0.1), 1e-5);
    }
}

TEST_F(PackageTwin, AProgramThatWritesIntoItsInputHarmsNobody)
{
    PackageBundle bundle;
    bundle.outputs = "[[package.outputs]]\nname = \"mean\"\nshape = [2]\n";
    bundle.program =
        "def forward(self, images: Tensor) -> Tensor:\n"
        "    images.mul_(2.0)\n"
        "    return torch.mean(images[:, 0:2], [2, 3])\n";
    Twin twin = loaded(bundle);
    Backbone& backbone = *twin.parts[0].backbone;
    const OwnedBatch stimuli =
        test::batch_from<float>(images(batch), backbone.input().row_shape().with_rows(batch));
    const std::vector<float> before(stimuli.values<float>().begin(), stimuli.values<float>().end());
    const auto executor = make_host_executor();

    backbone.forward({stimuli.view(), {}, twin.parts[0].readout->taps(), false}, *executor);

    EXPECT_EQ(std::vector<float>(stimuli.values<float>().begin(), stimuli.values<float>().end()),
              before);
}

TEST_F(PackageTwin, KnowsItsMemoryAndAdmitsThatItsComputeIsUnknown)
{
    const PackageBundle bundle;
    const Twin twin = loaded(bundle);
    const Backbone& backbone = *twin.parts[0].backbone;

    // Input and map of a batch are in memory at once.
    const std::size_t least = bundle.saved().size() / 2 + batch * (48 + 32) * sizeof(float);
    EXPECT_GT(backbone.memory_bytes(twin.parts[0].readout->taps()), least);
    EXPECT_TRUE(std::isnan(backbone.macs_per_row(twin.parts[0].readout->taps())));
}

TEST_F(PackageTwin, RunsOnlyWithItsDigestInTheCampaign)
{
    const PackageBundle bundle;
    const std::string bytes = bundle.saved();
    const std::string digest = digest_of(bytes);
    bundle.write(folder_ / "small", bytes);
    std::string upper = digest;
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const std::string other(64, 'a');

    EXPECT_NO_THROW(made("trusted_sha256 = \"" + digest + "\"\n"));
    EXPECT_NO_THROW(made("trusted_sha256 = [\"" + other + "\", \"" + upper + "\"]\n"));
    EXPECT_THAT(campaign_complaint(""),
                AllOf(HasSubstr("campaign.toml:2:10: error: "), HasSubstr("it was not loaded"),
                      HasSubstr("nobody has said to trust it"),
                      HasSubstr("trusted_sha256 = \"" + digest + "\"")));
    EXPECT_THAT(campaign_complaint("trusted_sha256 = \"" + other + "\"\n"),
                AllOf(HasSubstr("campaign.toml:3:18: error: "), HasSubstr(digest), HasSubstr(other),
                      HasSubstr("somebody has changed it")));
    EXPECT_THAT(campaign_complaint("trusted_sha256 = \"yes\"\nsubject = 3\n"),
                AllOf(HasSubstr("64 hexadecimal digits")));
}

TEST_F(PackageTwin, AnUntrustedFileIsNeverGivenToALoader)
{
    // Anything that looked at these bytes as a program would complain of them instead.
    PackageBundle{}.write(folder_ / "small", "no program at all");

    for (const std::string& keys :
         {std::string(), "trusted_sha256 = \"" + std::string(64, '0') + "\"\n"})
        EXPECT_THAT(campaign_complaint(keys),
                    AllOf(HasSubstr("it was not loaded"), Not(HasSubstr("cannot be loaded"))));
    EXPECT_THAT(test::error_text([&] { load_bundle(folder_ / "small"); }),
                HasSubstr("it was not loaded"));
    EXPECT_THAT(test::error_text([&] { check_bundle(folder_ / "small"); }),
                HasSubstr("it was not loaded"));
}

TEST_F(PackageTwin, OtherFamiliesHaveNothingToTrust)
{
    const char* source = std::getenv("TWINSCREEN_SOURCE");
    ASSERT_NE(source, nullptr);
    fs::copy(fs::path(source) / "tests/fuzz/workplace/tiny", folder_ / "small",
             fs::copy_options::recursive);

    EXPECT_THAT(campaign_complaint("trusted_sha256 = \"" + std::string(64, '0') + "\"\n"),
                HasSubstr("holds no program to trust"));
}

TEST_F(PackageTwin, ADamagedFileGivesASentenceAlsoWhenItIsTrusted)
{
    const PackageBundle bundle;
    const std::string whole = bundle.saved();
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{10}, whole.size() / 2, whole.size() - 5})
        EXPECT_THAT(complaint(bundle, whole.substr(0, length)),
                    HasSubstr("model.pt: cannot be loaded as a TorchScript program"));
    for (const char* format : {"torchscript", "aotinductor"}) {
        PackageBundle other;
        other.format = format;
        EXPECT_THAT(complaint(other, "no program at all"), HasSubstr("model.pt: cannot be loaded"));
    }
    PackageBundle compiled;
    compiled.format = "aotinductor";
    EXPECT_THAT(complaint(compiled, whole),
                HasSubstr("cannot be loaded as a package of AOTInductor"));
}

TEST_F(PackageTwin, OutputsHaveToBeWhatTheDescriptionSays)
{
    PackageBundle bundle;
    bundle.outputs =
        "[[package.outputs]]\nname = \"map\"\nshape = [2, 4, 5]\n"
        "[[package.outputs]]\nname = \"mean\"\nshape = [3]\n";
    EXPECT_THAT(complaint(bundle),
                AllOf(HasSubstr("output 'map' has shape [4, 2, 4, 4], twin.toml declares [4, 2, 4, "
                                "5] (4 rows)"),
                      HasSubstr("output 'mean' has shape [4, 2], twin.toml declares [4, 3]")));

    bundle.outputs += "[[package.outputs]]\nname = \"third\"\nshape = [1]\n";
    EXPECT_THAT(complaint(bundle), HasSubstr("it returns 2 tensors, twin.toml declares 3 outputs"));

    bundle = PackageBundle{};
    bundle.program =
        "def forward(self, images: Tensor) -> Dict[str, Tensor]:\n"
        "    return {\"mean\": images}\n";
    EXPECT_THAT(complaint(bundle),
                HasSubstr("the program returns a GenericDict, expected a tensor"));

    bundle.program =
        "def forward(self, images: Tensor) -> Tuple[Tensor, int]:\n"
        "    return images, 3\n";
    EXPECT_THAT(complaint(bundle), HasSubstr("the program returns a Tuple with a Int"));

    bundle.program =
        "def forward(self, images: Tensor) -> Tuple[Tensor, Tensor]:\n"
        "    return images[:, 0:2].half(), images[:, 0:2, 0, 0].half()\n";
    EXPECT_THAT(complaint(bundle),
                HasSubstr("output 'mean' holds Half on cpu, expected Float on cpu"));
}

TEST_F(PackageTwin, AProgramThatFailsOrIsNoFunctionOfItsInputIsRefused)
{
    PackageBundle bundle;
    bundle.outputs = "[[package.outputs]]\nname = \"mean\"\nshape = [2]\n";

    bundle.program =
        "def forward(self, images: Tensor) -> Tensor:\n"
        "    return images.view([1, 7])\n";
    EXPECT_THAT(complaint(bundle), AllOf(HasSubstr("model.pt: the program failed"),
                                         HasSubstr("shape '[1, 7]' is invalid")));
    bundle.program =
        "def forward(self, images: Tensor, labels: Tensor) -> Tensor:\n"
        "    return images\n";
    EXPECT_THAT(complaint(bundle), HasSubstr("the program failed"));
    bundle.program = "def other(self, images: Tensor) -> Tensor:\n    return images\n";
    EXPECT_THAT(complaint(bundle), HasSubstr("the program has no method 'forward'"));
    bundle.program =
        "def forward(self, images: Tensor) -> Tensor:\n"
        "    return torch.rand_like(images)[:, 0:2, 0, 0]\n";
    EXPECT_THAT(complaint(bundle),
                HasSubstr("output 'mean' of the same images differs from one call to the next"));
}

TEST_F(PackageTwin, AllMistakesOfTheDescriptionAreToldAtOnce)
{
    PackageBundle bundle;
    bundle.format = "onnx";
    bundle.outputs =
        "colour = 3\n[[package.outputs]]\nname = \"mean\"\nshape = [0]\n"
        "[[package.outputs]]\nname = \"mean\"\nshape = [2]\n";
    bundle.further = "surprise = 1\n";

    EXPECT_THAT(complaint(bundle),
                AllOf(HasSubstr("torchscript or aotinductor"), HasSubstr("extents of at least 1"),
                      HasSubstr("output 'mean' is listed twice"), HasSubstr("colour"),
                      HasSubstr("surprise")));

    bundle = PackageBundle{};
    bundle.networks =
        "[[networks]]\ntap = \"maen\"\ntap_shape = [2]\nreadout = \"identity\"\n"
        "units = 1\n[[networks]]\ntap = \"map\"\ntap_shape = [3]\n"
        "readout = \"identity\"\nunits = 1\n";
    EXPECT_THAT(complaint(bundle),
                AllOf(HasSubstr("tap 'maen' is no output of the program (did you mean 'mean'?)"),
                      HasSubstr("tap 'map' has shape [2, 4, 4], twin.toml declares [3]")));
}

TEST_F(PackageTwin, AnotherProgramIsAnotherTwin)
{
    PackageBundle bundle;
    const std::string first = loaded(bundle).spec.digest;
    EXPECT_EQ(loaded(bundle).spec.digest, first);

    bundle.program =
        std::string(two_outputs).replace(std::string(two_outputs).find("0.25"), 4, "0.5 ");

    EXPECT_NE(loaded(bundle).spec.digest, first);
}

}  // namespace
}  // namespace twinscreen
