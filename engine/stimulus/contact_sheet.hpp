#pragma once

#include <string>
#include <vector>

#include "kernels/image.hpp"

namespace twinscreen {

struct SheetCell {
    Picture picture;
    std::string caption;  ///< below the thumbnail: "#4711 3.2"
};

struct SheetRow {
    std::string label;  ///< left of the row, of one or more lines: "v4_shared_25\nWE V4"
    std::vector<SheetCell> cells;
};

/// A sheet of thumbnails: rows with a label at the left and a caption under each picture, on a
/// white ground; all grey or RGB u8. Pictures keep their aspect inside a square of `thumbnail`
/// pixels; prepared inputs are stretched from their smallest to their largest value. Labels and
/// captions that are too long are cut with "..".
Picture contact_sheet(const std::vector<SheetRow>& rows, const std::string& title = {},
                      int thumbnail = 96);

}  // namespace twinscreen
