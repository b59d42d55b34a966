#include "tests/fuzz/input_file.hpp"

#include <cstdlib>
#include <fstream>

#include "engine/base/error.hpp"

namespace twinscreen::fuzz {

namespace fs = std::filesystem;

InputFolder::InputFolder()
{
    std::string pattern = (fs::temp_directory_path() / "twinscreen-fuzz-XXXXXX").string();
    TWINSCREEN_REQUIRE(mkdtemp(pattern.data()) != nullptr, internal,
                       "cannot make a temporary folder like {}", pattern);
    path_ = pattern;
}

InputFolder::~InputFolder()
{
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

fs::path InputFolder::write(const std::string& name, std::span<const std::byte> bytes) const
{
    const fs::path file = path_ / name;
    std::ofstream stream(file, std::ios::binary | std::ios::trunc);
    stream.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    stream.close();
    TWINSCREEN_REQUIRE(stream.good(), internal, "cannot write {}", file.string());
    return file;
}

fs::path workplace()
{
    const char* source = std::getenv("TWINSCREEN_SOURCE");
    const fs::path folder = fs::path(source != nullptr ? source : ".") / "tests/fuzz/workplace";
    TWINSCREEN_REQUIRE(fs::is_directory(folder), internal,
                       "no folder {} (start from the top of the repository or set "
                       "TWINSCREEN_SOURCE)",
                       folder.string());
    return folder;
}

}  // namespace twinscreen::fuzz
