#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace twinscreen {

/// Model files of other programs may hold code that runs when they are loaded, or name further
/// files. They are recognised only in order to be refused with a reason: nothing here opens them.

/// "a PyTorch file" for model.pt; nothing for names that promise no such thing.
std::optional<std::string> foreign_model(const std::filesystem::path& name);

/// The same by the first bytes of a file, whatever its name.
std::optional<std::string> foreign_model(std::span<const std::byte> bytes);

/// What a complaint about such a file says after its name, and the next step.
std::string refusal_of(const std::string& format);
extern const char* const convert_hint;

}  // namespace twinscreen
