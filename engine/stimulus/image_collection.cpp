#include <algorithm>
#include <sstream>

#include "engine/base/digest.hpp"
#include "engine/base/read_file.hpp"
#include "engine/stimulus/decode.hpp"
#include "engine/stimulus/image_source.hpp"
#include "engine/stimulus/limits.hpp"
#include "engine/stimulus/zip_archive.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;

void read_image(const fs::path& path, std::uint64_t listed_bytes, std::vector<std::byte>& bytes)
{
    const ReadFile file(path);
    TWINSCREEN_REQUIRE(file.size() == listed_bytes, data,
                       "{} has {} bytes, {} when rank 0 listed it: another file on this host, or "
                       "changed since",
                       path.string(), file.size(), listed_bytes);
    TWINSCREEN_REQUIRE(file.size() <= most_image_bytes, data,
                       "{} has {} bytes (at most {} are read as one image)", path.string(),
                       file.size(), most_image_bytes);
    bytes.resize(static_cast<std::size_t>(file.size()));
    file.read(0, bytes);
}

class FileCollection final : public ImageCollection {
public:
    struct File {
        std::string name;
        fs::path path;
        std::uint64_t bytes = 0;
    };

    FileCollection(std::string place, std::vector<File> files)
        : place_(std::move(place)), files_(std::move(files))
    {
        TWINSCREEN_REQUIRE(!files_.empty(), data, "{} holds no PNG or JPEG images", place_);
    }
    std::uint64_t count() const noexcept override { return files_.size(); }
    const std::string& name(std::uint64_t image) const override { return files_[image].name; }
    std::uint64_t bytes(std::uint64_t image) const override { return files_[image].bytes; }
    std::uint32_t checksum(std::uint64_t) const override { return 0; }
    const std::string& place() const noexcept override { return place_; }
    void read(std::uint64_t image, std::vector<std::byte>& bytes) const override
    {
        read_image(files_[image].path, files_[image].bytes, bytes);
    }

private:
    std::string place_;
    std::vector<File> files_;
};

class ZipCollection final : public ImageCollection {
public:
    explicit ZipCollection(ReadFile file)
        : place_("zip " + file.path().string()), archive_(std::move(file))
    {
        TWINSCREEN_REQUIRE(!archive_.images().empty(), data, "{} holds no PNG or JPEG images",
                           place_);
    }
    std::uint64_t count() const noexcept override { return archive_.images().size(); }
    const std::string& name(std::uint64_t image) const override
    {
        return archive_.images()[image].name;
    }
    std::uint64_t bytes(std::uint64_t image) const override
    {
        return archive_.images()[image].bytes;
    }
    std::uint32_t checksum(std::uint64_t image) const override
    {
        return archive_.images()[image].checksum;
    }
    const std::string& place() const noexcept override { return place_; }
    void read(std::uint64_t image, std::vector<std::byte>& bytes) const override
    {
        archive_.read(archive_.images()[image], bytes);
    }

private:
    std::string place_;
    ZipArchive archive_;
};

bool is_hidden(const fs::path& path)
{
    const std::string name = path.filename().string();
    return !name.empty() && name.front() == '.';
}

using Files = std::vector<FileCollection::File>;

template <class Iterator>
Files images_below(const fs::path& folder)
{
    Files files;
    std::error_code problem;
    Iterator entry(folder, problem);
    for (; !problem && entry != Iterator(); entry.increment(problem)) {
        if constexpr (std::is_same_v<Iterator, fs::recursive_directory_iterator>)
            if (is_hidden(entry->path())) entry.disable_recursion_pending();
        if (is_hidden(entry->path()) || !has_image_extension(entry->path().string())) continue;
        if (!entry->is_regular_file()) continue;
        // Without asking the file system: it would resolve links, a dozen calls for each file.
        files.push_back(
            {entry->path().lexically_relative(folder).string(), entry->path(), entry->file_size()});
    }
    TWINSCREEN_REQUIRE(!problem, data, "cannot list folder {} ({})", folder.string(),
                       problem.message());
    std::sort(files.begin(), files.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return files;
}

/// Every name and size, each with a NUL behind it.
SharedBytes packed(const Files& files)
{
    std::string text;
    for (const auto& file : files) {
        text.append(file.name).push_back('\0');
        text.append(std::to_string(file.bytes)).push_back('\0');
    }
    const auto bytes = std::as_bytes(std::span(text));
    return std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
}

Files unpacked(std::string_view text, const fs::path& folder)
{
    const auto next = [&] {
        const std::string field(text.substr(0, text.find('\0')));
        text.remove_prefix(field.size() + 1);
        return field;
    };
    Files files;
    while (!text.empty()) {
        std::string name = next();
        fs::path path = folder / name;
        files.push_back({std::move(name), std::move(path), std::stoull(next())});
    }
    return files;
}

std::string without_line_end(std::string line)
{
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
        line.pop_back();
    return line;
}

Files listed_images(const FileContent& list)
{
    std::istringstream lines{std::string(list.text())};
    Files files;
    std::size_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        line = without_line_end(std::move(line));
        if (line.empty() || line.front() == '#') continue;
        const fs::path path = list.path.parent_path() / line;
        std::error_code problem;
        const std::uint64_t bytes = fs::file_size(path, problem);
        TWINSCREEN_REQUIRE(!problem, data, "{}:{}: image '{}' cannot be found ({})",
                           list.path.string(), number, line, problem.message());
        files.push_back({line, path, bytes});
    }
    return files;
}

}  // namespace

Picture ImageCollection::decode(std::uint64_t image) const
{
    thread_local std::vector<std::byte> encoded;
    try {
        read(image, encoded);
        return decode_image(encoded);
    } catch (Error& error) {
        throw error.add_context(fmt::format("image '{}' of {}", name(image), place()));
    }
}

std::string ImageCollection::digest() const
{
    Digest digest;
    for (std::uint64_t image = 0; image < count(); ++image)
        digest.add(name(image)).add(bytes(image)).add(std::uint64_t{checksum(image)});
    return digest.hex();
}

std::unique_ptr<ImageCollection> collect_folder(const fs::path& folder, bool recursive,
                                                SharedReads& reads)
{
    TWINSCREEN_REQUIRE(fs::is_directory(folder), data, "{} is not a folder", folder.string());
    const SharedBytes found = reads.answer(recursive ? "images below" : "images", folder, [&] {
        return packed(recursive ? images_below<fs::recursive_directory_iterator>(folder)
                                : images_below<fs::directory_iterator>(folder));
    });
    return std::make_unique<FileCollection>("folder " + folder.string(),
                                            unpacked(text_of(found), folder));
}

std::unique_ptr<ImageCollection> collect_list(const fs::path& list, SharedReads& reads)
{
    const SharedBytes found = reads.answer("listed images", list, [&] {
        return packed(listed_images(read_whole(ReadFile(list), largest_list)));
    });
    return std::make_unique<FileCollection>("list " + list.string(),
                                            unpacked(text_of(found), list.parent_path()));
}

std::unique_ptr<ImageCollection> collect_zip(ReadFile archive)
{
    return std::make_unique<ZipCollection>(std::move(archive));
}

std::unique_ptr<ImageCollection> collect_file(const fs::path& image)
{
    std::error_code problem;
    const std::uint64_t bytes = fs::file_size(image, problem);
    TWINSCREEN_REQUIRE(!problem, data, "image {} cannot be found ({})", image.string(),
                       problem.message());
    return std::make_unique<FileCollection>(
        "folder " + image.parent_path().string(),
        std::vector<FileCollection::File>{{image.filename().string(), image, bytes}});
}

}  // namespace twinscreen
