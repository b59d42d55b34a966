#include "experiments/relational_control/multivariate/similarity_views.hpp"

#include <algorithm>

namespace twinscreen {
namespace {

/// Mean over subjects: each of their populations with its share.
SimilarityView mean_view(const Study& study, const std::vector<std::size_t>& subjects,
                         std::string name)
{
    SimilarityView view{std::move(name), {}};
    const double share = 1.0 / static_cast<double>(subjects.size());
    for (std::size_t area = 0; area < study.areas.size(); ++area) {
        std::vector<PopulationShare> shares;
        for (const std::size_t subject : subjects) {
            const std::size_t population = study.population(subject, area);
            const auto found = std::ranges::find(shares, population, &PopulationShare::population);
            if (found == shares.end())
                shares.push_back({population, share});
            else
                found->weight += share;
        }
        view.areas.push_back(std::move(shares));
    }
    return view;
}

std::size_t index_of_view(std::vector<SimilarityView>& views, SimilarityView wanted)
{
    const auto found = std::ranges::find(views, wanted.areas, &SimilarityView::areas);
    if (found != views.end()) return static_cast<std::size_t>(found - views.begin());
    views.push_back(std::move(wanted));
    return views.size() - 1;
}

}  // namespace

SimilarityViews similarity_views(const Study& study)
{
    SimilarityViews all;
    for (const Fold& fold : study.folds)
        all.train.push_back(
            index_of_view(all.views, mean_view(study, fold.train, "mean of fold " + fold.name)));
    for (std::size_t fold = 0; fold < study.folds.size(); ++fold) {
        const auto& test = study.folds[fold].test;
        all.test.push_back(
            test ? index_of_view(all.views, mean_view(study, {*test}, study.subjects[*test].name))
                 : all.train[fold]);
    }
    return all;
}

Table SimilarityViews::table(const Study& study) const
{
    std::vector<std::string> names, who;
    for (const SimilarityView& view : views) {
        names.push_back(view.name);
        std::string text;
        for (std::size_t area = 0; area < view.areas.size(); ++area) {
            text += fmt::format("{}{}:", area == 0 ? "" : "; ", study.areas[area]);
            for (const PopulationShare& share : view.areas[area])
                text += fmt::format(" {:g} {}", share.weight,
                                    study.populations[share.population].subject);
        }
        who.push_back(std::move(text));
    }
    return {{{"name", "", std::move(names)}, {"populations", "", std::move(who)}}};
}

}  // namespace twinscreen
