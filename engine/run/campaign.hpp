#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/shared_reads.hpp"
#include "engine/run/experiment.hpp"

namespace twinscreen {

/// How to run, as opposed to what: nothing here changes what a sealed shard holds, and nothing here
/// is compared on resume. So a job that a bad image stopped may go on with on_bad_image = "nan".
struct RunSettings {
    double checkpoint_minutes = 10.0;
    int reader_threads = 0;  ///< per rank; 0: cores of the node / ranks of the node
    int queue_mib = 256;     ///< bound of the writer's queue [MiB]
    bool mixed_numerics = false;
    BadImage on_bad_image = BadImage::stop;
    bool accept_changed_stimuli = false;  ///< go on although files have other sizes or contents
    std::string queue = "auto";           ///< "auto", "service", "static"
    double scratch_s = 30.0;              ///< between two saves of an unfinished shard [s]
    bool share_gpus = false;              ///< several ranks may use one GPU
    bool replay = false;                  ///< record the pass of a batch once, and replay it
    double silence_s = 20.0;              ///< a rank silent for longer ends the job [s]
};

/// One validated campaign file. The same on every rank.
struct Campaign {
    std::unique_ptr<Executor> executor;  ///< of the run; first: twins keep memory of it
    std::string name;
    std::string text;                    ///< the file as it was read
    std::vector<std::string> overrides;  ///< --set key=value
    std::filesystem::path out;           ///< folder of the store; empty where the file names none
    std::string experiment_name;
    std::unique_ptr<Experiment> experiment;
    std::vector<Twin> twins;
    std::vector<TwinCovariates> covariates;
    std::unique_ptr<StimulusSource> stimuli;
    std::uint64_t seed = 0;
    ScheduleSettings schedule;
    RunSettings run;

    CampaignInputs inputs();
};

struct CampaignText {
    std::string text;
    std::string display_name;      ///< as typed, for messages
    std::filesystem::path folder;  ///< what relative paths are relative to
    std::vector<std::string> overrides;
    std::shared_ptr<SharedReads> reads = std::make_shared<SharedReads>();
};

/// Reads the file. Throws Error(config) if it cannot be read.
CampaignText read_campaign_text(const std::filesystem::path& file,
                                std::vector<std::string> overrides);

/// Checks everything that can be checked without running; one Error(config) lists all mistakes.
/// Independent; every rank parses the same bytes.
Campaign load_campaign(const CampaignText& text, const ExperimentRegistry& registry);

/// The stage that is planned from the campaign alone; later ones depend on results. Independent.
StagePlan first_stage(Campaign& campaign);

}  // namespace twinscreen
