#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/base/shared_reads.hpp"
#include "engine/base/types.hpp"

namespace twinscreen {

/// One tensor of a .safetensors file: little-endian, row-major, valid as long as the file object.
struct TensorView {
    ElementType type = ElementType::f32;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;  ///< not necessarily aligned

    std::int64_t count() const noexcept;
    /// "[5, 5, 3, 48]"
    std::string shape_text() const;
};

/// A .safetensors file, read whole: what happens to the file later changes nothing here, so a
/// digest of the data is one of the values that are used. Everything that its header claims is
/// checked before: JSON, types, shapes, that the tensors cover the data exactly once, and the
/// limits of engine/twin/limits.hpp. A hostile file gives an Error(data) that names the file, never
/// more.
class SafetensorsFile {
public:
    explicit SafetensorsFile(const std::filesystem::path& file);
    explicit SafetensorsFile(FileContent file);
    SafetensorsFile(SafetensorsFile&& other) noexcept = default;
    SafetensorsFile& operator=(SafetensorsFile&&) = delete;
    SafetensorsFile(const SafetensorsFile&) = delete;
    SafetensorsFile& operator=(const SafetensorsFile&) = delete;

    const std::filesystem::path& path() const noexcept { return file_.path; }
    const std::map<std::string, TensorView, std::less<>>& tensors() const noexcept
    {
        return tensors_;
    }
    /// The texts of `__metadata__`.
    const std::map<std::string, std::string, std::less<>>& metadata() const noexcept
    {
        return metadata_;
    }
    /// The whole file.
    std::span<const std::byte> bytes() const noexcept { return *file_.bytes; }
    /// All tensor bytes, for digests.
    std::span<const std::byte> data() const noexcept { return data_; }

private:
    FileContent file_;
    std::span<const std::byte> data_;
    std::map<std::string, TensorView, std::less<>> tensors_;
    std::map<std::string, std::string, std::less<>> metadata_;
};

}  // namespace twinscreen
