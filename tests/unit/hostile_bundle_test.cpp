// Bundles that lead elsewhere, are changed while they are loaded, or are models of other programs.

#include <atomic>
#include <cstdlib>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/config/section.hpp"
#include "engine/twin/bundle.hpp"
#include "engine/twin/limits.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// A small bundle in a folder of its own.
class HostileBundle : public ::testing::Test {
protected:
    void SetUp() override
    {
        const char* source = std::getenv("TWINSCREEN_SOURCE");
        ASSERT_NE(source, nullptr);
        fs::copy(fs::path(source) / "tests/fuzz/workplace/tiny", bundle_,
                 fs::copy_options::recursive);
        description_ = test::read_text(bundle_ / "twin.toml");
    }
    /// The description with one text replaced.
    std::string with(const std::string& old, const std::string& now) const
    {
        std::string text = description_;
        const std::size_t at = text.find(old);
        EXPECT_NE(at, std::string::npos) << old;
        return text.replace(at, old.size(), now);
    }
    std::string load_error() const
    {
        return test::error_text([&] { load_bundle(bundle_); });
    }
    std::string error_with(const std::string& old, const std::string& now) const
    {
        test::write_text(bundle_ / "twin.toml", with(old, now));
        return load_error();
    }

    test::TemporaryFolder folder_;
    fs::path bundle_ = folder_ / "tiny";
    std::string description_;
};

TEST_F(HostileBundle, NamesOnlyFilesInItsFolder)
{
    EXPECT_NO_THROW(load_bundle(bundle_));
    test::write_text(folder_ / "outside.safetensors", "");
    setenv("TWINSCREEN_TEST_OUTSIDE", (folder_ / "outside.safetensors").c_str(), 1);
    const std::string reason = "(must be the name of a file in the bundle's folder, not a path)";

    for (const std::string& path :
         {std::string("../outside.safetensors"), (folder_ / "outside.safetensors").string(),
          std::string("below/../../outside.safetensors"), std::string("${TWINSCREEN_TEST_OUTSIDE}"),
          std::string(".."), std::string("")})
        EXPECT_THAT(error_with("weights = \"weights.safetensors\"", "weights = '" + path + "'"),
                    HasSubstr(fmt::format("weights = \"{}\" {}", path, reason)));
    EXPECT_THAT(error_with("units = \"units.csv\"", "units = '../tiny/units.csv'"),
                HasSubstr(reason));
}

TEST_F(HostileBundle, HoldsNoLinks)
{
    for (const char* name : {"twin.toml", "weights.safetensors", "units.csv"}) {
        fs::rename(bundle_ / name, folder_ / name);
        fs::create_symlink(folder_ / name, bundle_ / name);

        EXPECT_THAT(load_error(),
                    HasSubstr((bundle_ / name).string() + " is a symbolic link (a bundle holds its "
                                                          "own files"));
        fs::rename(folder_ / name, bundle_ / name);
    }
    fs::create_directory_symlink(bundle_, folder_ / "shelf");
    EXPECT_NO_THROW(load_bundle(folder_ / "shelf"));
}

TEST_F(HostileBundle, FilesThatAreNoFilesAreRefused)
{
    fs::remove(bundle_ / "units.csv");
    fs::create_directory(bundle_ / "units.csv");

    EXPECT_THAT(load_error(), HasSubstr("units.csv is not an ordinary file"));
}

TEST_F(HostileBundle, ModelsOfOtherProgramsAreRefusedByName)
{
    const std::string never =
        "(model files of other programs may hold code or name other files, so they are never "
        "loaded)";
    for (const auto& [name, kind] : {std::pair("model.pt", "a PyTorch file"),
                                     {"model.PTH", "a PyTorch file"},
                                     {"model.pkl", "a Python pickle"},
                                     {"model.pt2", "a PyTorch program"},
                                     {"model.ts", "a TorchScript program"},
                                     {"model.onnx", "an ONNX model"},
                                     {"model.h5", "a Keras model"}}) {
        test::write_text(bundle_ / name, "anything");
        const std::string text = error_with("\"weights.safetensors\"", fmt::format("\"{}\"", name));

        EXPECT_THAT(text, HasSubstr(fmt::format("weights = \"{}\" is {} {}", name, kind, never)));
        EXPECT_THAT(text, HasSubstr("convert it once"));

        ConfigDocument campaign = ConfigDocument::parse(
            fmt::format("[twin]\nbundle = \"tiny/{}\"\n", name), "campaign.toml", folder_.path());
        ConfigSection section = campaign.root().child("twin");
        static_cast<void>(make_twin(section));
        EXPECT_THAT(test::error_text([&] { campaign.throw_if_invalid(); }),
                    HasSubstr(fmt::format("tiny/{} is {} {}", name, kind, never)));
    }
}

TEST_F(HostileBundle, ModelsOfOtherProgramsAreRefusedByTheirFirstBytes)
{
    using namespace std::string_literals;
    for (const auto& [bytes, kind] :
         {std::pair("PK\x03\x04 model/data.pkl"s, "a zip archive, as PyTorch"),
          {"\x80\x02}q\x00."s, "a Python pickle"},
          {"\x89HDF\r\n\x1a\n"s, "an HDF5 file, as Keras"}}) {
        test::write_text(bundle_ / "weights.safetensors", bytes);

        EXPECT_THAT(load_error(), HasSubstr(fmt::format("weights.safetensors is {}", kind)));
    }
}

TEST_F(HostileBundle, IsDigestedAsItWasReadWhileItsDescriptionChanges)
{
    const std::string other = with("name = \"tiny\"", "name = \"swap\"");
    const std::string first_digest = load_bundle(bundle_).spec.digest;
    test::write_text(bundle_ / "twin.toml", other);
    const std::string other_digest = load_bundle(bundle_).spec.digest;
    ASSERT_NE(first_digest, other_digest);
    std::atomic<bool> stop{false};
    std::thread swapping([&] {
        for (bool first = true; !stop; first = !first) {
            test::write_text(folder_ / "next", first ? description_ : other);
            fs::rename(folder_ / "next", bundle_ / "twin.toml");
        }
    });

    for (int round = 0; round < 50; ++round) {
        const Twin twin = load_bundle(bundle_);

        EXPECT_EQ(twin.spec.digest, twin.spec.name == "tiny" ? first_digest : other_digest);
    }
    stop = true;
    swapping.join();
}

TEST_F(HostileBundle, NumbersThatNoFloatHoldsAreRefused)
{
    EXPECT_THAT(error_with("value = [1.0, 1.0, 1.0]", "value = [1.0, 1e-300, 1.0]"),
                HasSubstr("3 finite numbers, one per channel above 0"));
    EXPECT_THAT(error_with("value = [116.222,", "value = [1e300,"),
                HasSubstr("3 finite numbers, one per channel"));
}

}  // namespace
}  // namespace twinscreen
