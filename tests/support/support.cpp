#include "tests/support/support.hpp"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

namespace twinscreen::test {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder()
{
    std::string pattern = (fs::temp_directory_path() / "twinscreen-test-XXXXXX").string();
    TWINSCREEN_REQUIRE(mkdtemp(pattern.data()) != nullptr, internal,
                       "cannot make a temporary folder like {}", pattern);
    path_ = pattern;
}

TemporaryFolder::~TemporaryFolder()
{
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

std::optional<fs::path> data_folder()
{
    if (const char* named = std::getenv("TWINSCREEN_DATA"); named != nullptr && *named != '\0')
        return fs::exists(named) ? std::optional<fs::path>(named) : std::nullopt;
    const char* source = std::getenv("TWINSCREEN_SOURCE");
    const fs::path beside = fs::path(source != nullptr ? source : ".") / "../shared/data";
    if (fs::exists(beside)) return fs::canonical(beside);
    return std::nullopt;
}

std::string fuzz_input(const std::string& name)
{
    const char* source = std::getenv("TWINSCREEN_SOURCE");
    const fs::path file = fs::path(source != nullptr ? source : ".") / "tests/fuzz/corpus" / name;
    TWINSCREEN_REQUIRE(fs::is_regular_file(file), internal, "no file {}", file.string());
    return read_text(file);
}

void write_text(const fs::path& file, const std::string& text)
{
    std::ofstream(file, std::ios::binary) << text;
}

std::string read_text(const fs::path& file)
{
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

namespace {

template <class T>
void append(std::vector<double>& values, const std::string& bytes, std::size_t offset)
{
    for (std::size_t at = offset; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
        T value;
        std::memcpy(&value, bytes.data() + at, sizeof(T));
        values.push_back(static_cast<double>(value));
    }
}

}  // namespace

NpyArray read_npy(const fs::path& file)
{
    const std::string bytes = read_text(file);
    TWINSCREEN_REQUIRE(bytes.size() > 10, internal, "{} is not a npy file", file.string());
    std::uint16_t header = 0;
    std::memcpy(&header, bytes.data() + 8, 2);
    const std::string text = bytes.substr(10, header);
    NpyArray array;
    const std::size_t open = text.find('(');
    std::istringstream extents(text.substr(open + 1, text.find(')') - open - 1));
    for (std::string extent; std::getline(extents, extent, ',');)
        if (extent.find_first_of("0123456789") != std::string::npos)
            array.shape.push_back(std::stoul(extent));
    const std::size_t offset = 10U + header;
    if (text.find("<f4") != std::string::npos)
        append<float>(array.values, bytes, offset);
    else if (text.find("<f8") != std::string::npos)
        append<double>(array.values, bytes, offset);
    else if (text.find("|u1") != std::string::npos)
        append<std::uint8_t>(array.values, bytes, offset);
    else
        TWINSCREEN_REQUIRE(false, internal, "test reader: unknown type in {}", text);
    return array;
}

}  // namespace twinscreen::test
