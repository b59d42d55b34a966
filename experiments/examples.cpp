#include "experiments/examples.hpp"

namespace twinscreen {

const char* const screen_example =
    R"toml(# A screen: every stimulus through every twin, recorded as asked.
#   twinscreen plan screen.toml              what will be computed and stored
#   twinscreen run screen.toml               one process
#   mpirun -n 4 twinscreen run screen.toml   four ranks; the same bytes
# Killed? The same command goes on where it was.
name = "my_screen"
seed = 1                        # all random draws are addressed by this number
# out = "results/my_screen"     # the folder of the store; --out overrides it

[[twins]]                       # who answers; repeat the table for more twins
family = "gabor_energy"         # an analytic model of V1 that needs no files
# bundle = "bundles/v4_190923"  # or a converted model: twinscreen list BUNDLE shows its units
# units = "heldout_r > 0.3"     # a filter over the unit table

[[stimuli]]                     # what is shown; repeat the table for more sets
[stimuli.gratings]
orientation = { from = 0, to = 165, steps = 12 }    # [deg]
spatial_frequency = [0.25, 0.5, 1.0, 2.0]           # [cycles/deg]
phase = { from = 0, to = 270, steps = 4 }           # [deg]
contrast = [0.25, 1.0]

# [[stimuli]]                   # or files: folder, zip, list, npy, hdf5
# folder = "my_images"
# labels = "my_labels.csv"      # its columns become item columns of the store
# node_copy = "${TMPDIR}"       # of zip, npy, hdf5: a copy on each node's own disk, of at most
# node_copy_gib = 32            # so much; worth it where stimuli are read more than once

[screen]
measures = ["units", "area_mean", "moments", "top_k"]   # also "histogram"
top_k = 10                      # items kept at both ends, per area
# top_k_of = "both"             # "areas", "units" or "both"
# units_type = "float16"        # halves the store
# stored_units = "area == 'V1'" # store some units; moments and top_k still see all
# histogram = { from = 0.0, to = 2.0, bins = 40 }       # with the measure "histogram"

# [run]                         # how, not what
# on_bad_image = "nan"          # record NaN and go on; default "stop"
# shard_items = 1024            # stimuli per shard; default chosen from the campaign
# checkpoint_minutes = 10
)toml";

const char* const encoding_score_example =
    R"toml(# How well twins predict recorded responses. As it stands, it scores the macaque V4 models of
# Cowley, Stan, Pillow & Smith (2023): set TWINSCREEN_DATA to the folder of the real data and
# TWINSCREEN_BUNDLES to the converted bundles (the README shows the command).
name = "v4_accuracy"
seed = 1

[[twins]]
bundle = "v4_190923"
# units = "neuron < 12"   # a filter over the unit table

[[stimuli]]                     # the shown images, in the order of the recording
zip = "${TWINSCREEN_DATA}/v4-compact-models/images_190923.zip"

[encoding_score]
responses = "${TWINSCREEN_DATA}/v4-compact-models/responses_avg_190923.npy"
layout = "units,items"          # or "items,units", "units,items,repeats", "items,units,repeats"
fit_items = [0, 600]            # the baseline (regression on mean luminance) is fitted here
score_items = [600, 1200]       # scores are reported for these
bootstrap = 1000                # resamples of images for the interval of r
# rescale = "affine"            # bring predictions to the recording's scale on fit_items (for FEVE)
)toml";

const char* const fit_readout_example =
    R"toml(# Fits readouts: which features predict recorded responses, and how well. As it stands, it fits macaque
# V4 neurons (Cowley, Stan, Pillow & Smith 2023) from layers of SqueezeNet: set TWINSCREEN_DATA to the
# folder of the real data and TWINSCREEN_BUNDLES to the converted bundles (the README shows the command).
name = "v4_from_squeezenet"
seed = 1

[[twins]]
bundle = "squeezenet_1_1"
taps = ["fire*/concat_1"]       # nodes of the network; * stands for any letters
tap_pool = "mean"               # one feature per channel; 4: means of 4 x 4 cells; "none": every value
# tap_project = 2048            # wider taps are projected to so many features, at random

[[stimuli]]                     # the shown images, in the order of the recording
zip = "${TWINSCREEN_DATA}/v4-compact-models/images_190923.zip"

[fit_readout]
responses = "${TWINSCREEN_DATA}/v4-compact-models/responses_avg_190923.npy"
layout = "units,items"          # or "items,units", "units,items,repeats", "items,units,repeats"
subject = "WE"
area = "V4"
# unit_table = "units.csv"      # instead: id, subject, area, noise_ceiling, x, y of every unit
train_items = [0, 600]
test_items = [600, 1200]        # scores are reported for these; also validation_items
# split = [0.75, 0.0, 0.25]     # or drawn: shares of training, validation and test
folds = 5                       # of the training images, to choose the penalty of each unit
lambda = { from = 1, to = 1e6, steps = 13 }
# features = "together"         # one fit on all taps instead of one fit each
# band_draws = 50               # with a penalty of its own for each tap (banded ridge)
# components = 100              # ridge on so many principal components
# untrained_baseline = false    # do not fit an untrained network of the same shape
# bundles = "all"               # write a twin for every tap; default: for the best one of each network
)toml";

const char* const relational_control_example =
    R"toml(# Relational neural control (Gifford, Jastrzebowska, Singer & Cichy 2024): which images make two areas
# behave alike, and which apart? As it stands, it compares cells of coarse and of fine spatial frequency
# in three analytic "subjects", and needs no files.
name = "my_control"
seed = 1

[[twins]]                       # who answers; subject and area may be named here
family = "gabor_energy"
name = "a coarse"
subject = "a"
area = "coarse"
positions = 2
orientations = 4
spatial_frequencies = [0.5, 0.7, 1.0]

[[twins]]
family = "gabor_energy"
name = "a fine"
subject = "a"
area = "fine"
positions = 2
orientations = 4
spatial_frequencies = [1.5, 2.0, 2.8]

[[twins]]
family = "gabor_energy"
name = "b coarse"
subject = "b"
area = "coarse"
positions = 2
orientations = 5
spatial_frequencies = [0.5, 0.7, 1.0]

[[twins]]
family = "gabor_energy"
name = "b fine"
subject = "b"
area = "fine"
positions = 2
orientations = 5
spatial_frequencies = [1.5, 2.0, 2.8]

[[twins]]
family = "gabor_energy"
name = "c coarse"
subject = "c"
area = "coarse"
positions = 2
orientations = 6
spatial_frequencies = [0.5, 0.7, 1.0]

[[twins]]
family = "gabor_energy"
name = "c fine"
subject = "c"
area = "fine"
positions = 2
orientations = 6
spatial_frequencies = [1.5, 2.0, 2.8]

[[stimuli]]                     # the images to choose from
count = 4000
[stimuli.pink_noise]
alpha = 1.0

[relational_control]
units = ""                      # kept units; default "noise_ceiling > 0.5"
# pairs = ["coarse - fine"]     # default: each two areas
# folds = "none"                # default: leave one subject out
# compat = "reference"          # do as the published code where it does something unintended

# [relational_control.session]  # pictures and a trial table of the chosen sets, to show to people or animals
# pair = "coarse - fine"
# repetitions = 6

# [relational_control.image_labels]     # two labels of the images that align a pair: which areas tell them apart?
# file = "labels.csv"           # columns stimulus, label; may be written after a first run, which lists the images
# pair = "coarse - fine"        # default: the first pair
# [[relational_control.image_labels.parts]]     # and which part of an area answers more to which label
# area = "fine"
# first = "half == 1"           # filters over the unit table
# second = "half == 2"
# first_prefers = "sky"

# [[relational_control.areas]]  # areas by a filter over the unit table; parts (FFA-1, FFA-2) join
# name = "FFA"
# units = "area in ['FFA-1', 'FFA-2']"

# [[relational_control.subjects]]       # areas that come from different animals
# members = ["monkey A", "mouse 1"]

# [[relational_control.responses]]      # instead of twins: responses [images, units] in files, used as they are.
#                                       # Keep [[stimuli]] (the same, in order) for sheets and sessions
# file = "sub-01_V1.h5"                 # or .npy
# dataset = "insilico_fmri_responses"
# noise_ceiling = "sub-01_V1_ncsnr.npy"  # signal-to-noise ratio (ncsnr), not percent
# subject = "sub-01"
# area = "V1"

# [[relational_control.responses]]      # or those of a finished screen with the measure "units"
# store = "results/my_screen"

[relational_control.univariate] # control of the mean response of an area
images = 25                     # of a set
margin = 0.04                   # beyond the baseline, in units of the response
draws = 100000                  # random sets for the baseline; the published study drew a million
permutations = 10000            # of image labels; the published study drew 100,000

# [relational_control.generative]       # pictures evolved to control two areas, then to be simple
# evolutions = 10
# generations = 500
# codes = 1000                  # population; 0.25 of it are kept
# margin = 0.6                  # beyond the univariate baseline, in units of the response
# elements = 16                 # Gabors of a picture, whose parameters are evolved ...
# pixel_scale = 255.0           # ... or a network makes the picture: grey level = scale * value + offset
# network = { bundle = "generator", taps = ["picture"] }
# optimiser = "cma_es"          # default "genetic"
# complexity = "png"            # size of the PNG file; default: the entropy of prediction residuals

[relational_control.multivariate]       # control of representational similarity
images = 50                     # of a set
draws = 20000                   # random sets for the baseline; the published study drew a million
permutations = 5000             # of them for p; the published study took 100,000
generations = 200               # the published study searched for 2,000
# population = 200              # sets that survive a generation
# optimiser = "genetic"         # also "greedy", "exchange", "annealing", for as many looks
# similarities = "patterns"     # nothing of size images x images; default by stored_gib = 8
# stop_below = 1e-4             # stop disentangling there
)toml";

const char* const control_session_example =
    R"toml(# Do the pictures of a session control real areas? Recorded responses to the pictures that a campaign
# with [relational_control.session] wrote (Gifford, Jastrzebowska, Singer & Cichy 2024).
name = "my_session"
seed = 1

[control_session]
images = "results/my_control/session_multivariate/images.csv"  # as it was written; or session_univariate
areas = ["coarse", "fine"]      # the pair that was controlled, in its order
ceiling_above = 0.4             # units with a larger signal-to-noise ratio over repeated pictures are kept
permutations = 100000

[[control_session.recordings]]  # one table for each subject
subject = "sub-01"
trials = "sub-01_trials.csv"    # a row for each trial, with a column `image` (0: catch trial), as trials.csv has it
first_area = "sub-01_coarse.npy"        # responses [trials, units], z-scored within sessions
second_area = "sub-01_fine.npy"
)toml";

const char* const control_accuracy_example =
    R"toml(# How well do encoding models predict recorded areas, and are their predictions less noisy than
# measured responses (Gifford, Jastrzebowska, Singer & Cichy 2024; noise ceilings: Allen et al. 2022)?
# The scale of responses does not matter: z-score them within sessions, leave out other factors.
name = "my_accuracy"
seed = 1

[control_accuracy]
ceiling_above = 0.5             # units with a larger signal-to-noise ratio of single trials are kept
permutations = 100000
# compat = "reference"          # judge the published test, which exchanges scores of different units

[[control_accuracy.recordings]] # one table for each subject and area; parts (FFA-1, FFA-2) share both names
subject = "sub-01"
area = "V1"
measured = "sub-01_V1_betas.npy"        # responses [images, repeats, units]; a trial of NaN was not recorded
predicted = "sub-01_V1.h5"              # responses of the model [images, units], or .npy
# dataset = "insilico_fmri_responses"   # of an HDF5 file; "columns/response" of a screen
# noise_ceiling = "sub-01_V1_ncsnr.npy" # signal-to-noise ratio of each unit; default: from the trials
# ceiling_above = 0.4                   # for this area alone

# [[control_accuracy.recordings]]       # images shown unequally often:
# subject = "sub-02"
# area = "V1"
# measured = "sub-02_V1_betas.npy"      # responses [trials, units]
# image = "sub-02_trials.csv"           # column `image`, or .npy [trials]: the image of each trial, from 0; -1: none
# predicted = "sub-02_V1.h5"            # without it, units of [[twins]] of this subject and area answer [[stimuli]]
# twin_area = "V1v"                     # ... or of an area of another name
)toml";

}  // namespace twinscreen
