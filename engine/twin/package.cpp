#include "engine/twin/package.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace twinscreen {

namespace {

Rule<std::vector<std::int64_t>> row_rule()
{
    return {[](const std::vector<std::int64_t>& extents) {
                for (const std::int64_t extent : extents)
                    if (extent < 1 || extent > std::numeric_limits<std::int32_t>::max())
                        return false;
                return !extents.empty() && extents.size() <= 5;
            },
            "1 to 5 extents of at least 1 (one row, without the batch)"};
}

std::vector<NetworkTap> read_outputs(ConfigSection& package)
{
    std::vector<NetworkTap> outputs;
    std::set<std::string> seen;
    for (ConfigSection& section : package.children("outputs")) {
        NetworkTap output{section.require<std::string>("name"), {}};
        const auto shape = section.require<std::vector<std::int64_t>>("shape", "", row_rule());
        output.row.rank = static_cast<int>(shape.size());
        std::copy(shape.begin(), shape.end(), output.row.extent.begin());
        if (!output.name.empty() && !seen.insert(output.name).second)
            section.complain("name", fmt::format("output '{}' is listed twice", output.name));
        section.reject_unknown_keys();
        outputs.push_back(std::move(output));
    }
    if (outputs.empty())
        package.complain("outputs",
                         "the package has no [[package.outputs]] (name and shape of "
                         "what its program returns, in order)");
    return outputs;
}

}  // namespace

Package read_package(ConfigSection& section)
{
    Package package;
    const auto format = section.require<std::string>(
        "format", "",
        {[](const std::string& name) { return name == "torchscript" || name == "aotinductor"; },
         "torchscript or aotinductor"});
    if (format == "aotinductor") package.format = PackageFormat::aotinductor;
    package.batch =
        section.require<std::int64_t>("batch", "rows", in_range<std::int64_t>(1, 65536));
    package.outputs = read_outputs(section);
    section.reject_unknown_keys();
    return package;
}

std::string text_of(PackageFormat format)
{
    switch (format) {
        case PackageFormat::torchscript: return "a TorchScript program";
        case PackageFormat::aotinductor: return "a program that AOTInductor compiled";
    }
    return {};
}

}  // namespace twinscreen
