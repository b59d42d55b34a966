#include "experiments/relational_control/maps/smacof.hpp"

#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/random.hpp"

namespace twinscreen {
namespace {

constexpr int most_steps = 1000;
constexpr double least_gain = 1e-3;

double distance(std::span<const double> points, std::size_t a, std::size_t b)
{
    return std::hypot(points[2 * a] - points[2 * b], points[2 * a + 1] - points[2 * b + 1]);
}

double stress_of(std::span<const double> points, std::span<const double> distances,
                 std::size_t objects)
{
    double stress = 0.0;
    for (std::size_t a = 0; a < objects; ++a)
        for (std::size_t b = 0; b < a; ++b) {
            const double misfit = distance(points, a, b) - distances[a * objects + b];
            stress += misfit * misfit;
        }
    return stress;
}

/// The Guttman transform X <- B(X) X / n.
std::vector<double> step(std::span<const double> points, std::span<const double> distances,
                         std::size_t objects)
{
    constexpr double same_place = 1e-5;
    std::vector<double> next(points.size(), 0.0);
    for (std::size_t a = 0; a < objects; ++a)
        for (std::size_t b = 0; b < objects; ++b) {
            if (a == b) continue;
            const double apart = distance(points, a, b);
            const double ratio = distances[a * objects + b] / (apart == 0.0 ? same_place : apart);
            for (std::size_t axis = 0; axis < 2; ++axis)
                next[2 * a + axis] += ratio * (points[2 * a + axis] - points[2 * b + axis]) /
                                      static_cast<double>(objects);
        }
    return next;
}

double length_of(std::span<const double> points)
{
    double length = 0.0;
    for (std::size_t a = 0; a < points.size() / 2; ++a)
        length += std::hypot(points[2 * a], points[2 * a + 1]);
    return length;
}

PlaneMap map_from(std::vector<double> points, std::span<const double> distances,
                  std::size_t objects)
{
    double last = std::numeric_limits<double>::infinity();
    for (int steps = 0; steps < most_steps; ++steps) {
        points = step(points, distances, objects);
        const double relative = stress_of(points, distances, objects) / length_of(points);
        if (!(last - relative >= least_gain)) break;
        last = relative;
    }
    const double stress = stress_of(points, distances, objects);
    return {std::move(points), stress};
}

}  // namespace

PlaneMap map_in_plane(std::span<const double> distances, std::size_t objects, std::uint64_t seed,
                      std::uint32_t item, std::uint32_t starts)
{
    const double sum = std::reduce(distances.begin(), distances.end());
    const double unit = sum / static_cast<double>(objects * (objects - 1));
    if (!(unit > 0.0)) return {std::vector<double>(2 * objects, unit), unit};  // one place, or NaN
    std::vector<double> scaled;
    for (const double distance : distances) scaled.push_back(distance / unit);
    PlaneMap best;
    best.stress = std::numeric_limits<double>::infinity();
    for (std::uint32_t start = 0; start < starts; ++start) {
        std::vector<double> points;
        for (std::uint32_t object = 0; object < objects; ++object) {
            const auto bits = draw_bits(
                {seed, DrawStream::map_start, std::uint64_t{item} << 32U | start, object});
            for (std::size_t axis = 0; axis < 2; ++axis)
                points.push_back(static_cast<double>(unit_interval(bits[axis])));
        }
        PlaneMap map = map_from(std::move(points), scaled, objects);
        if (map.stress < best.stress) best = std::move(map);
    }
    for (double& coordinate : best.points) coordinate *= unit;
    best.stress *= unit * unit;
    return best;
}

}  // namespace twinscreen
