#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>
#include <sys/stat.h>

#include <CLI/CLI.hpp>

#include "engine/app/commands.hpp"
#include "engine/base/error.hpp"
#include "engine/config/section.hpp"
#include "kernels/runtime.hpp"

namespace twinscreen {
namespace {

/// The command line, one subcommand a function; each sets what is to be done.
class CommandLine {
public:
    CommandLine()
    {
        app_.require_subcommand(1);
        app_.set_version_flag("--version", "twinscreen " TWINSCREEN_VERSION);
        app_.footer(
            "A first run, without any files:\n"
            "  twinscreen init screen\n"
            "  twinscreen run screen.toml                 one process\n"
            "  mpirun -n 4 twinscreen run screen.toml     four ranks; the same bytes\n"
            "Killed? The same command goes on where it was.\n"
            "Exit codes: 0 done, 2 campaign file, 3 twin or input data, 4 store, 5 device,\n"
            "6 communication, 70 internal error, 75 stopped by a signal and resumable.");
        add_init();
        add_check();
        add_plan();
        add_run();
        add_submit();
        add_encode();
        add_verify();
        add_list();
        add_import();
        add_convert();
        add_help();
    }

    int run(int argc, char** argv)
    {
        if (argc > 1 && argv[1][0] != '-') require_known(argv[1]);
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            const int code = app_.exit(error);
            return code == 0 ? 0 : 2;
        }
        return action_();
    }

private:
    void require_known(const std::string& word) const
    {
        std::vector<std::string> known;
        for (const CLI::App* sub : app_.get_subcommands({})) known.push_back(sub->get_name());
        if (std::find(known.begin(), known.end(), word) != known.end()) return;
        const auto nearest = nearest_word(word, known);
        throw Error(Error::Kind::config, fmt::format("unknown command '{}'", word),
                    nearest ? fmt::format("did you mean '{}'?", *nearest)
                            : "twinscreen help lists the commands");
    }

    CLI::App* command(const char* name, const char* text, const char* footer)
    {
        CLI::App* sub = app_.add_subcommand(name, text);
        sub->footer(footer);
        return sub;
    }

    void add_campaign_options(CLI::App* sub, const std::string& file = "the campaign file (TOML)")
    {
        sub->add_option("FILE", campaign_.file, file)->required();
        sub->add_option("--set", campaign_.overrides,
                        "override a key: --set screen.top_k=20 --set stimuli.0.count=100")
            ->allow_extra_args(false);
        sub->add_option("--limit", campaign_.limit, "only the first N stimuli (a smoke run)")
            ->check(CLI::PositiveNumber);
    }

    static void add_trust_option(CLI::App* sub, std::vector<std::string>& trusted)
    {
        sub->add_option("--trusted-sha256", trusted,
                        "run the program of this SHA-256 that the bundle holds (family package)")
            ->allow_extra_args(false);
    }

    void add_init()
    {
        CLI::App* sub = command("init", "write a commented campaign that runs as it is",
                                "Example:  twinscreen init screen && twinscreen run screen.toml");
        sub->add_option(
               "EXPERIMENT", experiment_,
               "screen, encoding_score, fit_readout, relational_control, control_session or "
               "control_accuracy")
            ->default_val("screen");
        sub->add_option("--file", out_, "where to write it (EXPERIMENT.toml)");
        sub->add_flag("--overwrite", flag_, "replace an existing file");
        sub->callback(
            [this] { action_ = [this] { return init_command(experiment_, out_, flag_); }; });
    }

    void add_check()
    {
        CLI::App* sub = command(
            "check", "say everything that is wrong with a campaign or a bundle",
            "Examples:  twinscreen check screen.toml --set screen.top_k=0\n"
            "           twinscreen check bundles/my_network     computes its samples again");
        add_campaign_options(sub, "the campaign file (TOML), or the folder of a bundle");
        add_trust_option(sub, campaign_.trusted);
        sub->callback([this] { action_ = [this] { return check_command(campaign_); }; });
    }

    void add_plan()
    {
        CLI::App* sub =
            command("plan", "stages, shards, bytes, memory and shared backbones; needs no MPI",
                    "Example:  twinscreen plan screen.toml --ranks 64");
        add_campaign_options(sub);
        sub->add_option("--out", campaign_.out, "folder of the store, as for run");
        sub->add_option("--ranks", ranks_, "ranks that are planned for")
            ->check(CLI::Range(1, 1 << 24));
        sub->add_flag("--json", flag_, "for programs");
        sub->callback(
            [this] { action_ = [this] { return plan_command(campaign_, ranks_, flag_); }; });
    }

    void add_run()
    {
        CLI::App* sub = command(
            "run", "run a campaign, or go on with it",
            "Examples:  twinscreen run screen.toml --limit 100        try it\n"
            "           mpirun -n 4 twinscreen run screen.toml        four ranks\n"
            "To stop: send SIGUSR1 to mpirun (exit code 75), or Ctrl-C, or kill it: the same\n"
            "command goes on; only shards in flight are computed again.");
        add_campaign_options(sub);
        sub->add_option("--out", campaign_.out,
                        "folder of the store (default: `out` of the campaign, "
                        "else results/NAME)");
        sub->callback([this] { action_ = [this] { return run_command(campaign_); }; });
    }

    void add_submit()
    {
        CLI::App* sub = command(
            "submit", "write a SLURM job script for a campaign, and submit it",
            "Examples:  twinscreen submit screen.toml --nodes 4\n"
            "           twinscreen submit screen.toml --nodes 2 --gpus-per-node 4 --time 12:00:00 "
            "\\\n"
            "               --partition gpu --sbatch=--account=brains --dry-run\n"
            "One shard is measured here for the time and the memory that are asked for. The job "
            "is\n"
            "warned before its time is over, stops in order, and is run again until the campaign "
            "is\n"
            "done; a lost node costs the shards in flight.");
        add_campaign_options(sub);
        sub->add_option("--out", campaign_.out, "folder of the store, on all nodes");
        sub->add_option("--nodes", submit_.nodes, "nodes")->check(CLI::Range(1, 1 << 20));
        sub->add_option("--time", submit_.time,
                        "limit of one attempt: minutes (90), 1:30:00 or 2-12:00:00 (default: half "
                        "as much again as the measured shard lets expect, 30 minutes or more)");
        sub->add_option("--ranks-per-node", submit_.ranks_per_node,
                        "ranks (default: one a GPU, else as many as a node has cores for)")
            ->check(CLI::Range(1, 1 << 12));
        sub->add_option("--gpus-per-node", submit_.gpus_per_node, "GPUs, one for each rank")
            ->check(CLI::Range(1, 64));
        sub->add_option("--partition", submit_.partition, "where (default: the site's)");
        sub->add_option("--launcher", submit_.launcher,
                        "what starts the ranks (auto: mpirun where there is one)")
            ->check(CLI::IsMember({"auto", "mpirun", "srun"}));
        sub->add_option("--sbatch", submit_.further,
                        "a further word for sbatch: --sbatch=--account=brains")
            ->allow_extra_args(false);
        sub->add_flag("!--no-measure", submit_.measure, "measure nothing; needs --time");
        sub->add_flag("--dry-run", submit_.dry_run, "print the script and write nothing");
        sub->callback([this] { action_ = [this] { return submit_command(campaign_, submit_); }; });
    }

    void add_encode()
    {
        CLI::App* sub =
            command("encode", "responses of one twin to some images, without a campaign",
                    "Example:  twinscreen encode bundles/v4_190923 my_images/ out.h5");
        sub->add_option("BUNDLE", bundle_, "folder of the twin")->required();
        sub->add_option("IMAGES", images_, "folder, zip, .npy, FILE.h5:/dataset or one image")
            ->required();
        sub->add_option("OUT", out_, "the HDF5 file to write")->required();
        sub->add_option("--units", units_, "a filter over the unit table: \"area == 'V4'\"");
        sub->add_option("--set", campaign_.overrides,
                        "other keys of the twin or stimuli: --set \"twins.0.pupil=[0, 0]\" --set "
                        "\"stimuli.0.range=[0, 1]\"")
            ->allow_extra_args(false);
        sub->callback([this] {
            action_ = [this] {
                return encode_command({bundle_, images_, out_, units_, campaign_.overrides});
            };
        });
    }

    void add_verify()
    {
        CLI::App* sub = command(
            "verify", "recompute every checksum of a store and print its content hash",
            "Example:  twinscreen verify results/quickstart --json\n"
            "The content hash covers all result columns. It does not depend on the number of\n"
            "ranks, on who did what, or on restarts.");
        sub->add_option("DIR", folder_, "folder of the store")->required();
        sub->add_flag("--json", flag_, "for programs");
        sub->add_flag("--reopen", reopen_,
                      "mark damaged shards as not done: the next run computes them again");
        sub->callback(
            [this] { action_ = [this] { return verify_command(folder_, flag_, reopen_); }; });
    }

    void add_list()
    {
        CLI::App* sub = command(
            "list", "experiments, twin families, kinds of stimuli and this build; or one twin",
            "Examples:  twinscreen list\n           twinscreen list bundles/mouse_cnn\n"
            "           twinscreen list bundles/my_network --taps");
        sub->add_option("BUNDLE", bundle_, "show this twin's subjects, areas and units");
        add_trust_option(sub, campaign_.trusted);
        sub->add_flag("--taps", taps_, "what can be tapped in this twin's networks, with shapes");
        sub->add_flag("--json", flag_, "for programs");
        sub->callback([this] {
            action_ = [this] { return list_command(bundle_, campaign_.trusted, taps_, flag_); };
        });
    }

    void add_import()
    {
        CLI::App* sub =
            command("import", "how models become bundles: each converter with an example",
                    import_examples());
        sub->callback([this] { action_ = import_command; });
    }

    void add_convert()
    {
        CLI::App* sub = command(
            "convert", "copy an HDF5 array of any storage layout into a .npy file, slice by slice",
            "Example:  twinscreen convert stimuli.h5:/images stimuli.npy\n"
            "Campaigns read contiguous, uncompressed HDF5 arrays directly; this is for the "
            "others.");
        sub->add_option("ARRAY", array_, "FILE.h5:/dataset")->required();
        sub->add_option("OUT", out_, "the .npy file to write")->required();
        sub->callback([this] { action_ = [this] { return convert_command(array_, out_); }; });
    }

    void add_help()
    {
        CLI::App* sub = command("help", "explain a command", "Example:  twinscreen help run");
        sub->add_option("COMMAND", topic_, "the command to explain");
        sub->callback([this] {
            action_ = [this] {
                const CLI::App* about = &app_;
                if (!topic_.empty()) {
                    require_known(topic_);
                    about = app_.get_subcommand(topic_);
                }
                // Not about->help(): of the program itself that would be the help of "help".
                const std::string text = app_.get_formatter()->make_help(
                    about, about == &app_ ? "twinscreen" : "twinscreen " + topic_,
                    CLI::AppFormatMode::Normal);
                std::printf("%s", text.c_str());
                return 0;
            };
        });
    }

    CLI::App app_{
        "twinscreen: screens any stimuli through digital twins of visual cortex, on any number of "
        "ranks, into one crash-safe HDF5 store",
        "twinscreen"};
    std::function<int()> action_;
    CampaignOptions campaign_;
    SubmitOptions submit_;
    std::string experiment_;
    std::string topic_;
    std::filesystem::path bundle_;
    std::filesystem::path images_;
    std::filesystem::path out_;
    std::filesystem::path folder_;
    std::string units_;
    std::string array_;
    int ranks_ = 2;
    bool flag_ = false;
    bool reopen_ = false;
    bool taps_ = false;
};

}  // namespace
}  // namespace twinscreen

int main(int argc, char** argv)
{
    // A write beyond the limit on file sizes then fails, with a sentence, instead of ending us.
    std::signal(SIGXFSZ, SIG_IGN);
    // Whichever library makes a file, the world may not write to it.
    umask(umask(0) | S_IWOTH);
    try {
        const twinscreen::KernelRuntime runtime;
        return twinscreen::CommandLine().run(argc, argv);
    } catch (const CLI::Error& error) {
        std::fprintf(stderr, "twinscreen: %s\n", error.what());
        return 2;
    } catch (const std::exception& exception) {
        const twinscreen::Error error = twinscreen::as_error(exception);
        std::fprintf(stderr, "%s\n", error.what());
        return error.exit_code();
    }
}
