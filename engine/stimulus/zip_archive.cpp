#include "engine/stimulus/zip_archive.hpp"

#include <algorithm>

#include <zip.h>

#include "engine/base/error.hpp"
#include "engine/stimulus/decode.hpp"
#include "engine/stimulus/read_file.hpp"

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

ZipArchive::ZipArchive(const std::filesystem::path& path) : path_(path)
{
    Handle handle = open();
    const zip_int64_t count = zip_get_num_entries(handle.get(), 0);
    for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(std::max<zip_int64_t>(count, 0)); ++i) {
        zip_stat_t facts;
        if (zip_stat_index(handle.get(), i, 0, &facts) != 0 || (facts.valid & ZIP_STAT_NAME) == 0)
            continue;
        const std::string name = facts.name;
        if (!has_image_extension(name) || is_shadow(name)) continue;
        TWINSCREEN_REQUIRE(
            (facts.valid & ZIP_STAT_SIZE) != 0 && facts.size <= most_image_bytes, data,
            "{}: '{}' says it unpacks to {} bytes (at most {} are read as one image)",
            path_.string(), name, facts.size, most_image_bytes);
        const bool is_known = (facts.valid & ZIP_STAT_CRC) != 0;
        images_.push_back({name, facts.size, i, is_known ? facts.crc : 0U});
    }
    std::sort(images_.begin(), images_.end(),
              [](const Entry& a, const Entry& b) { return a.name < b.name; });
    give_back(std::move(handle));
}

ZipArchive::~ZipArchive() = default;

ZipArchive::Handle ZipArchive::open() const
{
    int code = 0;
    Handle handle(zip_open(path_.c_str(), ZIP_RDONLY, &code));
    if (handle == nullptr) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        const std::string reason = zip_error_strerror(&error);
        zip_error_fini(&error);
        throw Error(Error::Kind::data,
                    fmt::format("cannot open {} as a zip archive ({})", path_.string(), reason),
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
                       path_.string(), zip_strerror(handle.get()));
    bytes.resize(entry.bytes);
    std::uint64_t done = 0;
    std::byte beyond{};
    while (true) {
        // One byte more than declared: the end of the entry is where the checksum is compared.
        const bool full = done == entry.bytes;
        const zip_int64_t got =
            full ? zip_fread(file.get(), &beyond, 1)
                 : zip_fread(file.get(), bytes.data() + done, entry.bytes - done);
        TWINSCREEN_REQUIRE(got >= 0, data, "the entry of {} is damaged ({})", path_.string(),
                           zip_error_strerror(zip_file_get_error(file.get())));
        TWINSCREEN_REQUIRE((got == 0) == full, data,
                           "the entry of {} does not have the {} bytes it declares", path_.string(),
                           entry.bytes);
        if (full) break;
        done += static_cast<std::uint64_t>(got);
    }
    file.reset();
    give_back(std::move(handle));
}

}  // namespace twinscreen
