#include "engine/base/shared_reads.hpp"

#include <span>
#include <utility>

#include "engine/base/error.hpp"
#include "engine/base/memory.hpp"

namespace twinscreen {

std::string_view text_of(const SharedBytes& bytes)
{
    return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

FileContent read_whole(const ReadFile& file, std::uint64_t most)
{
    TWINSCREEN_REQUIRE(file.size() <= most, data, "{} has {} bytes (at most {} are read)",
                       file.path().string(), file.size(), most);
    // Asking the system takes longer than reading a small file.
    if (file.size() > (1U << 20U))
        require_memory(file.path().string(), static_cast<double>(file.size()));
    auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(file.size()));
    file.read(0, *bytes);
    return {file.path(), std::move(bytes)};
}

void SharedReads::give(Answers answers)
{
    mode_ = Mode::given;
    answers_ = std::move(answers);
}

FileContent SharedReads::file(const std::filesystem::path& path, std::uint64_t most, Links links)
{
    const SharedBytes bytes =
        answer("content", path, [&] { return read_whole(ReadFile(path, links), most).bytes; });
    std::error_code unknown;
    const std::uint64_t here =
        mode_ == Mode::given ? std::filesystem::file_size(path, unknown) : bytes->size();
    TWINSCREEN_REQUIRE(unknown || here == bytes->size(), data,
                       "{} has {} bytes on this host, {} on that of rank 0. Name a file that all "
                       "nodes share, or copy it again",
                       path.string(), here, bytes->size());
    return {path, bytes};
}

SharedBytes SharedReads::answer(const std::string& question, const std::filesystem::path& path,
                                const std::function<SharedBytes()>& look)
{
    if (mode_ == Mode::ask) return look();
    const std::string key = question + " of " + path.string();
    const auto known = answers_.find(key);
    if (known != answers_.end()) return known->second;
    TWINSCREEN_REQUIRE(mode_ == Mode::keep, data,
                       "rank 0 did not read {}: the environment or the folders of this host differ "
                       "from those of rank 0",
                       path.string());
    return answers_[key] = look();
}

}  // namespace twinscreen
