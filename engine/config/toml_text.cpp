#include "engine/config/toml_text.hpp"

#include <fmt/format.h>

namespace twinscreen {

std::string toml_text(std::string_view text)
{
    std::string result = "\"";
    for (const char letter : text) {
        const auto code = static_cast<unsigned char>(letter);
        if (letter == '"' || letter == '\\')
            result += fmt::format("\\{}", letter);
        else if (code < 32 || code == 127)
            result += fmt::format("\\u{:04X}", code);
        else
            result += letter;
    }
    return result + "\"";
}

}  // namespace twinscreen
