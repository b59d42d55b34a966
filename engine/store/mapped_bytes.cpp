#include "engine/store/mapped_bytes.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "engine/base/error.hpp"
#include "engine/store/raw_file.hpp"

namespace twinscreen {

MappedBytes::MappedBytes(const std::filesystem::path& file, std::uint64_t offset, std::size_t bytes)
{
    if (bytes == 0) return;
    const std::uint64_t size = RawFile(file, RawFile::Access::read).size();
    TWINSCREEN_REQUIRE(offset <= size && bytes <= size - offset, store,
                       "{}: ends before byte {} (it has {})", file.string(), offset + bytes, size);
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    const std::uint64_t start = offset / page * page;
    const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
        mapped_ = static_cast<std::size_t>(offset - start) + bytes;
        pages_ =
            mmap(nullptr, mapped_, PROT_READ, MAP_SHARED, descriptor, static_cast<off_t>(start));
    }
    const int reason = errno;
    if (descriptor >= 0) ::close(descriptor);
    if (descriptor < 0 || pages_ == MAP_FAILED) {
        pages_ = nullptr;
        throw Error(Error::Kind::store, fmt::format("could not map {} bytes of {} ({})", bytes,
                                                    file.string(), std::strerror(reason)));
    }
    bytes_ = {static_cast<const std::byte*>(pages_) + (offset - start), bytes};
}

MappedBytes::~MappedBytes()
{
    if (pages_ != nullptr) munmap(pages_, mapped_);
}

MappedBytes::MappedBytes(MappedBytes&& other) noexcept
    : pages_(std::exchange(other.pages_, nullptr)),
      mapped_(other.mapped_),
      bytes_(std::exchange(other.bytes_, {}))
{
}

}  // namespace twinscreen
