#include "engine/stimulus/zip_archive.hpp"

#include <algorithm>

#include <zip.h>

#include "engine/base/error.hpp"
#include "engine/stimulus/decode.hpp"
#include "engine/stimulus/limits.hpp"

namespace twinscreen {
namespace {

struct CloseEntry {
    void operator()(zip_file_t* file) const noexcept { zip_fclose(file); }
};

/// Finder's shadow files carry image names but hold no images.
bool is_shadow(const std::string& name)
{
    const auto slash = name.rfind('/');
    const std::string last = slash == std::string::npos ? name : name.substr(slash + 1);
    return name.rfind("__MACOSX/", 0) == 0 || last.rfind("._", 0) == 0;
}

}  // namespace

void ZipArchive::Close::operator()(zip* handle) const noexcept { zip_discard(handle); }

void detail::require_zip_entries(std::uint64_t count)
{
    TWINSCREEN_REQUIRE(count <= most_zip_entries, data,
                       "the archive has {} entries (at most {} are read). Split it", count,
                       most_zip_entries);
}

void detail::require_inner_name(const std::string& name)
{
    TWINSCREEN_REQUIRE(name.size() <= longest_image_name, data,
                       "an entry has a name of {} bytes, '{}...' (at most {})", name.size(),
                       name.substr(0, 64), longest_image_name);
    std::string path = name;
    std::replace(path.begin(), path.end(), '\\', '/');
    const bool leads_out =
        path.starts_with("/") || ("/" + path + "/").find("/../") != std::string::npos;
    TWINSCREEN_REQUIRE(!leads_out, data,
                       "entry '{}' leads out of the archive (names are relative, without ..). Pack "
                       "the images again from inside their folder",
                       name);
}

void detail::require_unpacked_size(std::uint64_t unpacked, std::uint64_t packed)
{
    TWINSCREEN_REQUIRE(unpacked <= most_image_bytes, data,
                       "it says it unpacks to {} bytes (at most {} are read as one image)",
                       unpacked, most_image_bytes);
    TWINSCREEN_REQUIRE(unpacked / most_shrinking <= packed, data,
                       "it says that its {} bytes unpack to {} (no image shrinks so far). The "
                       "archive is damaged or a trap",
                       packed, unpacked);
}

ZipArchive::ZipArchive(ReadFile file) : file_(std::move(file))
{
    Handle handle = open();
    try {
        list_images(*handle);
    } catch (Error& error) {
        throw error.add_context("in the zip archive " + file_.path().string());
    }
    give_back(std::move(handle));
}

void ZipArchive::list_images(zip& handle)
{
    const auto count =
        static_cast<std::uint64_t>(std::max<zip_int64_t>(zip_get_num_entries(&handle, 0), 0));
    detail::require_zip_entries(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        zip_stat_t facts;
        if (zip_stat_index(&handle, i, 0, &facts) != 0 || (facts.valid & ZIP_STAT_NAME) == 0)
            continue;
        const std::string name = facts.name;
        if (!has_image_extension(name) || is_shadow(name)) continue;
        detail::require_inner_name(name);
        constexpr auto sizes = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
        TWINSCREEN_REQUIRE((facts.valid & sizes) == sizes && facts.comp_size <= file_.size(), data,
                           "entry '{}' is larger than the archive", name);
        try {
            detail::require_unpacked_size(facts.size, facts.comp_size);
        } catch (Error& error) {
            throw error.add_context(fmt::format("entry '{}'", name));
        }
        const bool is_known = (facts.valid & ZIP_STAT_CRC) != 0;
        images_.push_back({name, facts.size, i, is_known ? facts.crc : 0U});
    }
    std::sort(images_.begin(), images_.end(),
              [](const Entry& a, const Entry& b) { return a.name < b.name; });
    const auto twice =
        std::adjacent_find(images_.begin(), images_.end(),
                           [](const Entry& a, const Entry& b) { return a.name == b.name; });
    TWINSCREEN_REQUIRE(twice == images_.end(), data, "two entries are called '{}'", twice->name);
}

ZipArchive::~ZipArchive() = default;

ZipArchive::Handle ZipArchive::open() const
{
    int code = 0;
    Handle handle(zip_open(file_.same_file().c_str(), ZIP_RDONLY, &code));
    if (handle == nullptr) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        const std::string reason = zip_error_strerror(&error);
        zip_error_fini(&error);
        throw Error(
            Error::Kind::data,
            fmt::format("cannot open {} as a zip archive ({})", file_.path().string(), reason),
            "check that the file was copied completely");
    }
    return handle;
}

ZipArchive::Handle ZipArchive::borrow() const
{
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            Handle handle = std::move(idle_.back());
            idle_.pop_back();
            return handle;
        }
    }
    return open();
}

void ZipArchive::give_back(Handle handle) const
{
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(handle));
}

void ZipArchive::read(const Entry& entry, std::vector<std::byte>& bytes) const
{
    Handle handle = borrow();
    std::unique_ptr<zip_file_t, CloseEntry> file(zip_fopen_index(handle.get(), entry.index, 0));
    TWINSCREEN_REQUIRE(file != nullptr, data, "the entry of {} cannot be opened ({})",
                       file_.path().string(), zip_strerror(handle.get()));
    bytes.resize(entry.bytes);
    std::uint64_t done = 0;
    std::byte beyond{};
    while (true) {
        // One byte more than declared: the end of the entry is where the checksum is compared.
        const bool full = done == entry.bytes;
        const zip_int64_t got =
            full ? zip_fread(file.get(), &beyond, 1)
                 : zip_fread(file.get(), bytes.data() + done, entry.bytes - done);
        TWINSCREEN_REQUIRE(got >= 0, data, "the entry of {} is damaged ({})", file_.path().string(),
                           zip_error_strerror(zip_file_get_error(file.get())));
        TWINSCREEN_REQUIRE((got == 0) == full, data,
                           "the entry of {} does not have the {} bytes it declares",
                           file_.path().string(), entry.bytes);
        if (full) break;
        done += static_cast<std::uint64_t>(got);
    }
    file.reset();
    give_back(std::move(handle));
}

}  // namespace twinscreen
