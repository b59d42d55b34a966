#pragma once

#include <string>

namespace twinscreen {

/// A text as one quoted cell of a table (RFC 4180).
inline std::string csv_cell(std::string text)
{
    for (std::size_t at = 0; (at = text.find('"', at)) != std::string::npos; at += 2)
        text.insert(at, 1, '"');
    return '"' + text + '"';
}

}  // namespace twinscreen
