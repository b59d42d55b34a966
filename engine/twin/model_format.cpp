#include "engine/twin/model_format.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>

#include <fmt/format.h>

namespace twinscreen {

const char* const convert_hint =
    "convert it once, on a machine that may run its code, with a script like those in "
    "engine/twin/converters; a twin is a folder with twin.toml, units.csv and a .safetensors file";

std::optional<std::string> foreign_model(const std::filesystem::path& name)
{
    static const std::map<std::string, std::string> known = {
        {".pt", "a PyTorch file"},      {".pth", "a PyTorch file"},
        {".ckpt", "a PyTorch file"},    {".bin", "a PyTorch file"},
        {".pt2", "a PyTorch program"},  {".ts", "a TorchScript program"},
        {".ptl", "a PyTorch program"},  {".torchscript", "a TorchScript program"},
        {".pkl", "a Python pickle"},    {".pickle", "a Python pickle"},
        {".joblib", "a Python pickle"}, {".dill", "a Python pickle"},
        {".onnx", "an ONNX model"},     {".ort", "an ONNX model"},
        {".h5", "a Keras model"},       {".hdf5", "a Keras model"},
        {".keras", "a Keras model"},    {".pb", "a TensorFlow graph"},
        {".npz", "a NumPy archive"},    {".py", "a Python program"},
        {".so", "a program library"},
    };
    std::string extension = name.extension().string();
    for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const auto found = known.find(extension);
    return found == known.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> foreign_model(std::span<const std::byte> bytes)
{
    const auto starts_with = [&](std::string_view magic) {
        return bytes.size() >= magic.size() &&
               std::equal(magic.begin(), magic.end(), bytes.begin(),
                          [](char a, std::byte b) { return static_cast<std::byte>(a) == b; });
    };
    if (starts_with("PK\x03\x04")) return "a zip archive, as PyTorch and TorchScript write them";
    // Protocols 2 to 5: the second byte is the number of the protocol.
    if (starts_with("\x80") && bytes.size() > 1 && bytes[1] >= std::byte{2} &&
        bytes[1] <= std::byte{5})
        return "a Python pickle";
    if (starts_with("\x89HDF\r\n\x1a\n")) return "an HDF5 file, as Keras writes them";
    return std::nullopt;
}

std::string refusal_of(const std::string& format)
{
    return fmt::format(
        "is {} (model files of other programs may hold code or name other files, so they are never "
        "loaded)",
        format);
}

}  // namespace twinscreen
