#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/config/section.hpp"
#include "engine/twin/network_tap.hpp"

namespace twinscreen {

enum class PackageFormat { torchscript, aotinductor };

/// `[package]` of twin.toml: a program of PyTorch's that maps images to its outputs.
struct Package {
    std::string file;  ///< name in the bundle's folder
    PackageFormat format = PackageFormat::torchscript;
    std::int64_t batch = 0;           ///< rows of every call of the program
    std::vector<NetworkTap> outputs;  ///< in the order in which it returns them
};

/// All but the name of the file. Mistakes are complained of in the section.
Package read_package(ConfigSection& section);

/// "a TorchScript program"
std::string text_of(PackageFormat format);

}  // namespace twinscreen
