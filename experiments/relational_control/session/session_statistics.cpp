#include "experiments/relational_control/session/session_statistics.hpp"

#include <algorithm>

#include "experiments/statistics.hpp"
#include "kernels/partial_shuffle.hpp"

namespace twinscreen {
namespace {

using Trials = std::vector<std::uint32_t>;

/// Trials that show one of these pictures.
Trials trials_of(const RecordedSession& session, const std::vector<std::uint32_t>& set)
{
    Trials trials;
    for (std::uint32_t trial = 0; trial < session.images.size(); ++trial)
        if (std::ranges::find(set, session.images[trial]) != set.end()) trials.push_back(trial);
    return trials;
}

/// Pearson correlation of the mean responses to every two pictures [images, images].
std::vector<double> similarities(const RecordedSession& session, std::size_t area,
                                 std::uint32_t images)
{
    const AreaTrials& trials = session.areas[area];
    const std::size_t count = session.images.size();
    std::vector<double> patterns(images * trials.units, 0.0);  // [images, units]
    std::vector<double> shown(images, 0.0);
    for (std::size_t trial = 0; trial < count; ++trial) {
        const std::uint32_t image = session.images[trial];
        shown[image] += 1.0;
        for (std::size_t unit = 0; unit < trials.units; ++unit)
            patterns[image * trials.units + unit] += trials.values[unit * count + trial];
    }
    for (std::size_t at = 0; at < patterns.size(); ++at) patterns[at] /= shown[at / trials.units];
    std::vector<double> similarity(std::size_t{images} * images, 1.0);
    const auto pattern = [&](std::size_t image) {
        return std::span(patterns).subspan(image * trials.units, trials.units);
    };
    for (std::size_t a = 0; a < images; ++a)
        for (std::size_t b = 0; b < a; ++b)
            similarity[a * images + b] = similarity[b * images + a] =
                pearson(pattern(a), pattern(b));
    return similarity;
}

/// Agreement of two areas about a set, whose pictures were given other places in each area.
class SetAgreement {
public:
    SetAgreement(const RecordedSession& session, std::uint32_t images)
        : images_(images),
          similarity_{similarities(session, 0, images), similarities(session, 1, images)}
    {
    }

    double operator()(const std::vector<std::uint32_t>& set, const Trials& first,
                      const Trials& second)
    {
        x_.clear();
        y_.clear();
        for (std::size_t i = 0; i < set.size(); ++i)
            for (std::size_t j = 0; j < i; ++j) {
                x_.push_back(similarity_[0][first[set[i]] * images_ + first[set[j]]]);
                y_.push_back(similarity_[1][second[set[i]] * images_ + second[set[j]]]);
            }
        return pearson(x_, y_);
    }

private:
    std::size_t images_;
    std::array<std::vector<double>, 2> similarity_;
    std::vector<double> x_, y_;
};

}  // namespace

ControlTests test_mean_control(const RecordedSession& session, const SessionDesign& design,
                               const PermutationBlock& block)
{
    const std::size_t trials = session.images.size();
    std::vector<float> responses(2 * trials);
    for (std::size_t trial = 0; trial < trials; ++trial)
        for (std::size_t area = 0; area < 2; ++area) {
            const AreaTrials& own = session.areas[area];
            double sum = 0.0;
            for (std::size_t unit = 0; unit < own.units; ++unit)
                sum += own.values[unit * trials + trial];
            responses[2 * trial + area] = static_cast<float>(sum / static_cast<double>(own.units));
        }
    std::array<Trials, control_conditions> controlling;
    std::array<Trials, 2> baseline;
    ControlSets sets;
    for (std::size_t at = 0; at < control_conditions; ++at)
        sets.controlling[at] = controlling[at] = trials_of(session, design.mean_sets[at]);
    for (std::size_t area = 0; area < 2; ++area)
        sets.baseline[area] = baseline[area] = trials_of(session, design.mean_baselines[area]);
    return permute_images(responses, sets, block);
}

SimilarityControl test_similarity_control(const RecordedSession& session,
                                          const SessionDesign& design,
                                          const PermutationBlock& block)
{
    SetAgreement agreement(session, design.images);
    Trials same(design.images);
    for (std::uint32_t image = 0; image < design.images; ++image) same[image] = image;
    SimilarityControl result;
    for (std::size_t set = 0; set < 3; ++set)
        result.agreement[set] = agreement(design.similarity_sets[set], same, same);
    for (std::size_t at = 0; at < 2; ++at) {
        result.tests[at].observed = result.agreement[at] - result.agreement[2];
        result.tests[at].tail = at == 0 ? Tail::above : Tail::below;
    }
    PartialShuffle shuffle(design.images);
    Trials first(design.images), second(design.images);
    for (std::uint32_t at = block.first; at < block.first + block.count; ++at) {
        shuffle.draw(block.address(DrawStream::permuted_images, 2 * at), first);
        shuffle.draw(block.address(DrawStream::permuted_images, 2 * at + 1), second);
        const double baseline = agreement(design.similarity_sets[2], first, second);
        for (std::size_t set = 0; set < 2; ++set)
            result.tests[set].add(agreement(design.similarity_sets[set], first, second) - baseline);
    }
    return result;
}

}  // namespace twinscreen
