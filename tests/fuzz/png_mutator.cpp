// Most changes of a PNG only break a checksum, and libpng goes no further: so every change ends
// with right checksums.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <zlib.h>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

std::uint32_t read_big_endian(const std::uint8_t* from)
{
    return std::uint32_t{from[0]} << 24U | std::uint32_t{from[1]} << 16U |
           std::uint32_t{from[2]} << 8U | from[3];
}

void write_big_endian(std::uint32_t value, std::uint8_t* to)
{
    for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<std::uint8_t>(value >> (24U - 8U * i));
}

/// Chunks of [length, name, bytes, checksum of name and bytes] after the 8 bytes of the signature.
void mend_checksums(std::uint8_t* data, std::size_t size)
{
    for (std::size_t at = 8; at + 12 <= size;) {
        const std::size_t length = read_big_endian(data + at);
        if (length > size - at - 12) return;
        const auto sum = crc32(0, data + at + 4, static_cast<uInt>(length + 4));
        write_big_endian(static_cast<std::uint32_t>(sum), data + at + 8 + length);
        at += length + 12;
    }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned)
{
    const std::size_t changed = LLVMFuzzerMutate(data, size, most);
    mend_checksums(data, changed);
    return changed;
}
