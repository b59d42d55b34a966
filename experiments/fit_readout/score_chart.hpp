#pragma once

#include <string>
#include <vector>

namespace twinscreen {

/// Scores of units by layer, as a picture.
struct ScoreChart {
    struct Row {
        std::string group;           ///< rows of one group stand together: the network
        std::string label;           ///< the layer
        std::vector<double> scores;  ///< one per unit
        double untrained = 0.0;      ///< medians; NaN: not drawn
        double shuffled = 0.0;
    };
    struct Line {
        std::string label;
        double at = 0.0;  ///< NaN: not drawn
    };
    std::string title;
    std::vector<Row> rows;
    std::vector<Line> lines;
};

/// An SVG: one row per layer with the median and quartiles of its scores, and marks for baselines.
std::string svg_of(const ScoreChart& chart);

}  // namespace twinscreen
