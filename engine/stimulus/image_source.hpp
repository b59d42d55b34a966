#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/shared_reads.hpp"
#include "engine/stimulus/source.hpp"

namespace twinscreen {

/// Encoded images by number: files of a folder, of a list, or entries of a zip archive.
class ImageCollection {
public:
    virtual ~ImageCollection() = default;
    virtual std::uint64_t count() const noexcept = 0;
    /// Name relative to the collection: "faces/anna.png".
    virtual const std::string& name(std::uint64_t image) const = 0;
    virtual std::uint64_t bytes(std::uint64_t image) const = 0;
    /// CRC-32 of the encoded image where the collection states it without being read, else 0.
    virtual std::uint32_t checksum(std::uint64_t image) const = 0;
    /// "folder /data/faces", for messages.
    virtual const std::string& place() const noexcept = 0;
    /// Independent, thread-safe.
    virtual void read(std::uint64_t image, std::vector<std::byte>& bytes) const = 0;

    /// Reads and decodes. Throws Error(data) that names image and place.
    Picture decode(std::uint64_t image) const;
    /// Digest over names, sizes and checksums; the same wherever the collection lies.
    std::string digest() const;
};

/// PNG and JPEG files of a folder, sorted bytewise by relative path; hidden files are left out.
std::unique_ptr<ImageCollection> collect_folder(const std::filesystem::path& folder, bool recursive,
                                                SharedReads& reads);
/// One path a line, relative to the list's folder; empty lines and lines that start with # are
/// left out. A missing file is an error that names the line.
std::unique_ptr<ImageCollection> collect_list(const std::filesystem::path& list,
                                              SharedReads& reads);
/// PNG and JPEG entries of a zip archive, sorted bytewise by name.
std::unique_ptr<ImageCollection> collect_zip(ReadFile archive);
/// One image.
std::unique_ptr<ImageCollection> collect_file(const std::filesystem::path& image);

/// The images as stimuli, decoded at their own size.
std::unique_ptr<StimulusSource> make_image_source(std::unique_ptr<ImageCollection> images);

}  // namespace twinscreen
