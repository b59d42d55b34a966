"""Bad input of relational control: each mistake has its sentence, its place in the campaign file and its
exit code. Mistakes that a campaign or a header tells are found before anything runs; responses that
turn out to be useless end the run with the population that is to blame."""

import harness
from harness import CAMPAIGN_CODE, DATA_CODE, Workplace, refused, run

h5py = harness.h5py_or_skip()
try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

IMAGES, UNITS = 60, 12
SUBJECTS, AREAS = ("a", "b", "c"), ("V1", "V4")
MULTIVARIATE = """[relational_control.multivariate]
images = 10
draws = 1000
generations = 3
population = 4
"""
UNIVARIATE = "[relational_control.univariate]\nimages = 10\ndraws = 1000\npermutations = 100\n"
TWINS = '[[twins]]\nfamily = "gabor_energy"\npositions = 1\n'
STIMULI = "[[stimuli]]\ncount = 60\n[stimuli.pink_noise]\n"


def entry(file, subject, area, more=""):
    """One element of [[relational_control.responses]]: four lines and more."""
    return (f'[[relational_control.responses]]\nfile = "{file}"\nsubject = "{subject}"\n'
            f'area = "{area}"\n{more}')


FILES = "".join(entry(f"{subject}{area}.npy", subject, area)
                for subject in SUBJECTS for area in AREAS)
HEAD = "[relational_control]\nunits = ''\n"


def make_files(place):
    """Sound files of three subjects, and files that are not."""
    rng = np.random.default_rng(0)

    def noise(*shape):
        return rng.normal(size=shape or (IMAGES, UNITS)).astype("f4")

    for subject in SUBJECTS:
        for area in AREAS:
            np.save(place / f"{subject}{area}.npy", noise())
    np.save(place / "low_ncsnr.npy", np.full(UNITS, 0.4))
    np.save(place / "high_ncsnr.npy", np.full(UNITS, 0.6))
    np.save(place / "short_ncsnr.npy", np.ones(UNITS - 5))
    np.save(place / "flat_ncsnr.npy", np.ones((UNITS, 1)))
    np.save(place / "constant.npy", np.ones((IMAGES, UNITS), "f4"))
    np.save(place / "infinite.npy", np.full((IMAGES, UNITS), np.inf, "f4"))
    few, lame = noise(), noise()
    few[5:] = 2
    lame[:, 3] = np.nan
    np.save(place / "few.npy", few)
    np.save(place / "lame.npy", lame)
    np.save(place / "fewer.npy", noise(IMAGES - 5, UNITS))
    np.save(place / "flat.npy", noise(IMAGES))
    np.save(place / "empty.npy", noise(IMAGES, 0))
    np.save(place / "counts.npy", np.ones((IMAGES, UNITS), "i4"))
    np.save(place / "bytes.npy", np.ones((IMAGES, UNITS), "u1"))
    np.save(place / "columns.npy", np.asfortranarray(noise()))
    with h5py.File(place / "other.h5", "w") as file:
        file["other"] = noise()
    with h5py.File(place / "packed.h5", "w") as file:
        file.create_dataset("insilico_fmri_responses", data=noise(), chunks=True, compression="gzip")
    for whole, cut in (("aV1.npy", "cut.npy"), ("other.h5", "cut.h5")):
        (place / cut).write_bytes((place / whole).read_bytes()[:1500])
    place.write("text.npy", "no array")
    place.write("nobody.csv", "id,accuracy\nx,1\n")
    place.write("nameless.csv", "unit,accuracy\nx,1\n")
    place.write("twice.csv", "id,accuracy\na/V1/0,1\na/V1/1,1\na/V1/0,2\n")
    place.write("words.csv", "id,accuracy\na/V1/0,high\n")


def refused_before_it_runs(place, text, *sentences, ranks=0):
    campaign = place.write("bad.toml", text)
    refused(CAMPAIGN_CODE, *sentences, "nothing was run",
            command=("run", campaign, "--out", place / "bad"), ranks=ranks)
    assert not (place / "bad").exists(), text


def with_first(file):
    """The files of the study, but for V1 of subject a: line 4 of a campaign names it."""
    return HEAD + FILES.replace('"aV1.npy"', f'"{file}"') + MULTIVARIATE


def a_sound_study_runs(place):
    run("run", place.write("good.toml", HEAD + FILES + MULTIVARIATE + UNIVARIATE),
        "--out", place / "good")


def files_that_cannot_be_used_say_why(place):
    for file, sentence in {
        "nowhere.npy": "nowhere.npy does not exist",
        "flat.npy": "flat.npy: shape [60] is not [images, units]",
        "empty.npy": "empty.npy: shape [60, 0] is not [images, units]",
        "counts.npy": "counts.npy holds values of type '<i4'",
        "bytes.npy": "responses are uint8, expected float16, float32 or float64",
        "columns.npy": "stored in Fortran order",
        "cut.npy": "cut.npy has 1500 bytes, too few for float32 values of shape [60, 12]",
        "text.npy": "text.npy",
        "cut.h5": "cut.h5",
        "other.h5": "has no dataset 'insilico_fmri_responses'",
        "packed.h5": "convert it once: twinscreen convert",
    }.items():
        refused_before_it_runs(place, with_first(file), "bad.toml:4:8: error: ", sentence)
    refused_before_it_runs(place, with_first("fewer.npy"), "bad.toml:8:8: error: ",
                           "aV4.npy: responses to 60 images, and", "fewer.npy has 55", ranks=2)


def noise_ceilings_must_fit_the_units(place):
    for file, sentence in {
        "none_ncsnr.npy": "none_ncsnr.npy does not exist",
        "short_ncsnr.npy": "short_ncsnr.npy: shape [7] is not the [12] of the responses",
        "flat_ncsnr.npy": "flat_ncsnr.npy: shape [12, 1] is not the [12] of the responses",
    }.items():
        text = with_first("aV1.npy").replace(
            'area = "V1"\n', f'area = "V1"\nnoise_ceiling = "{file}"\n', 1)
        refused_before_it_runs(place, text, "bad.toml:7:17: error: ", sentence)


def thresholds_that_nothing_passes_are_named(place):
    strict = (HEAD + FILES + MULTIVARIATE).replace("units = ''", "units = 'noise_ceiling > 0.5'")
    refused_before_it_runs(place, strict, "bad.toml:2:9: error: ",
                           '"noise_ceiling > 0.5" keeps none of the 72 units', 'units = "" keeps all')
    known = strict.replace(".npy\"\n", ".npy\"\nnoise_ceiling = \"high_ncsnr.npy\"\n")
    low = known.replace("high_ncsnr", "low_ncsnr", 1)
    refused_before_it_runs(place, low, "bad.toml:2:9: error: ", "lower the threshold, or leave it out",
                           "keeps none of the 12 units of area 'V1' of subject 'a'")
    # As the hint has it: a study of the other subjects.
    named = "".join(f'[[relational_control.subjects]]\nmembers = ["{name}"]\n' for name in "bc")
    run("run", place.write("others.toml", low + named), "--out", place / "others")
    with h5py.File(place / "others" / "responses.h5") as file:
        assert set(file["populations/subject"].asstr()) == {"b", "c"}


def mistakes_of_a_study_have_their_place(place):
    last = len((HEAD + FILES).splitlines()) + 1  # the line after the files
    for more, sentences in {
        "[[relational_control.subjects]]\nmembers = ['a', 'bb']\n":
            (f"bad.toml:{last + 1}:11: error: no kept unit is of a subject 'bb'", "did you mean 'b'?"),
        "[[relational_control.subjects]]\nmembers = []\n": ("members = []", "at least one subject"),
        entry("aV1.npy", "a", "V1"):
            (f"bad.toml:{last + 3}:8: error: area 'V1' of subject 'a' is imported twice",),
        entry("aV1.npy", "d", "V1"): ("subject 'd' has no units of area 'V4'",),
        "[[relational_control.areas]]\nname = 'x'\nunits = \"area == 'V9'\"\n":
            (f"bad.toml:{last + 2}:9: error: \"area == 'V9'\" holds for none of the 72 units",),
        "[[relational_control.areas]]\nname = 'x'\nunits = \"arae == 'V1'\"\n":
            ('unknown column "arae"', "did you mean 'area'?"),
        "[[relational_control.unit_scores]]\nfile = 'nowhere.csv'\n": ("nowhere.csv does not exist",),
        "[[relational_control.unit_scores]]\nfile = 'nobody.csv'\n":
            (f"bad.toml:{last + 1}:8: error: ", "nobody.csv: names none of the 72 units (by id)"),
        "[[relational_control.unit_scores]]\nfile = 'nameless.csv'\n":
            ("nameless.csv: no column of texts named 'id'",),
        "[[relational_control.unit_scores]]\nfile = 'twice.csv'\n":
            ("twice.csv: unit 'a/V1/0' is named twice",),
        "[[relational_control.unit_scores]]\nfile = 'words.csv'\n":
            ("words.csv: no column of numbers",),
        "[relational_control.mutlivariate]\n":
            ("unknown key 'mutlivariate'", "did you mean 'multivariate'?"),
    }.items():
        refused_before_it_runs(place, HEAD + FILES + more + MULTIVARIATE, *sentences)
    for line, sentences in {
        "pairs = ['V1 - V4', 'V4 - V1']":
            ("bad.toml:3:21: error: the pair \"V4 - V1\" is named twice",),
        "pairs = ['V1 - V1']": ("bad.toml:3:10: error: \"V1 - V1\" compares an area with itself",),
        "pairs = ['V1 - VV4']": ("unknown area 'VV4' (known: V1, V4)", "did you mean 'V4'?"),
        "pairs = ['V1-V4']": ("\"V1-V4\" is no pair of areas", "write it as"),
        "sujects = 1": ("unknown key 'sujects'", "did you mean 'subjects'?"),
        "subject_column = 'noise_ceiling'": ("no column of texts named 'noise_ceiling'",),
        "folds = 'two'": ("folds = \"two\"", "\"leave_one_out\", \"none\""),
        "compat = 'publised'": ("must be one of \"corrected\", \"reference\"",),
        "patterns = 1": ("relational_control.patterns is a whole number, expected true or false",),
        "patterns = false": ("multivariate control needs patterns", "remove patterns = false"),
    }.items():
        text = HEAD + line + "\n" + FILES + MULTIVARIATE
        refused_before_it_runs(place, text, "bad.toml:3:", *sentences)
    one_area = "".join(entry(f"{subject}V1.npy", subject, "V1") for subject in SUBJECTS)
    refused_before_it_runs(place, HEAD + one_area + MULTIVARIATE, "there is one area, 'V1'")


def numbers_must_fit_the_images(place):
    for part, line, sentence in (
        (MULTIVARIATE, "images = 61", "a set of 61 images out of 60"),
        (UNIVARIATE, "images = 61", "a set of 61 images out of 60"),
        (MULTIVARIATE, "images = 50", "the search exchanges up to 38 at once for others"),
        (MULTIVARIATE, "images = 2", "multivariate.images = 2 images (must be in 3..2048)"),
        (MULTIVARIATE, "images = 'x'", "multivariate.images is a string, expected a whole number"),
        (UNIVARIATE, "images = 1\nimges = 10", "unknown key 'imges' in [relational_control.univariate]"),
        (MULTIVARIATE, "images = 10\npopulaton = 3", "did you mean 'population'?"),
        (MULTIVARIATE, f"images = 10\nmutated_shares = {[0.1] * 32}", "32 shares (at most 31)"),
        (MULTIVARIATE, "images = 10\npermutations = 300",
         "300 permutations take 4 random sets each, and there are 1000"),
    ):
        text = HEAD + FILES + part.replace("images = 10", line)
        at = next(number for number, found in enumerate(text.splitlines(), 1)
                  if found == line.splitlines()[-1])
        refused_before_it_runs(place, text, f"bad.toml:{at}:", sentence)
    wide = MULTIVARIATE.replace("population = 4", f"population = 100000\nmutated_shares = {[0.1] * 20}")
    refused_before_it_runs(place, HEAD + FILES + wide, "100000 sets and their mutants make 4300000 new")
    # As published, a test takes three parts of the draws.
    text = HEAD + "compat = 'reference'\n" + FILES + MULTIVARIATE + "permutations = 334\n"
    refused_before_it_runs(place, text, "334 permutations take 3 random sets each")
    run("run", place.write("fits.toml", text.replace("334", "333")), "--out", place / "fits")
    # Sets that fit all images do not fit the first forty.
    refused(CAMPAIGN_CODE, "a set of 30 images out of 40",
            command=("run", place.write("bad.toml", HEAD + FILES + MULTIVARIATE.replace(
                "images = 10", "images = 30")), "--limit", "40", "--out", place / "bad"))


def one_unit_has_no_pattern(place):
    few = (HEAD + FILES + MULTIVARIATE).replace(
        "units = ''", "units = 'row in [0, 1, 12, 24, 25, 36, 37, 48, 49, 60, 61]'")
    refused_before_it_runs(place, few, "bad.toml:2:9: error: one unit of area 'V4' of subject 'a' is "
                           "kept, and multivariate control takes two or more")
    run("run", place.write("one.toml", few.replace(MULTIVARIATE, UNIVARIATE)), "--out", place / "one")


def more_images_than_sets_can_name_are_refused(place):
    many = STIMULI.replace("60", "2147483649")
    twins = "".join(f'{TWINS}name = "{area}"\nsubject = "a"\narea = "{area}"\n' for area in AREAS)
    refused_before_it_runs(place, many + twins + HEAD + UNIVARIATE,
                           "2147483649 images to choose from (at most 2147483648)")


def who_cannot_be_held_out_is_counted(place):
    alone = "".join(f'[[relational_control.subjects]]\nname = "{name}"\nmembers = ["a"]\n'
                    for name in ("first", "again"))
    said = run("run", place.write("alone.toml", HEAD + FILES + alone + UNIVARIATE),
               "--out", place / "alone")
    assert "0 of 2 subjects can be held out and tested" in said.stdout, said
    groups = ('[[relational_control.group_analysis]]\nname = "path"\n'
              'groups = [{ pairs = ["V1 - V4"] }, { pairs = ["V4 - V1"] }]\n')
    refused_before_it_runs(place, HEAD + FILES + alone + groups + UNIVARIATE,
                           "groups of pairs are compared in held-out subjects, and no subject can be")


def an_area_that_never_varies_is_neither_controlled_nor_tested(place):
    steady = UNIVARIATE + "margin = 0.0\n"
    constant = HEAD + FILES.replace("cV4.npy", "constant.npy")
    run("run", place.write("steady.toml", constant + steady), "--out", place / "steady")
    with h5py.File(place / "steady" / "univariate_statistics.h5") as file:
        p, effect = file["columns/p"][:], file["columns/effect"][:]  # [subject, condition, side]
        assert np.isnan(p[2, :, 1]).all() and (effect[2, :, 1] == 0).all(), (p, effect)
        assert not np.isnan(p[:2]).any() and not np.isnan(p[2, :, 0]).any(), p
    levels = HEAD
    for level, subject in enumerate(SUBJECTS):
        np.save(place / f"level{subject}.npy", np.full((IMAGES, UNITS), 0.1 * (1 + level), "f4"))
        levels += entry(f"{subject}V1.npy", subject, "V1")
        levels += entry(f"level{subject}.npy", subject, "V4")
    run("run", place.write("levels.toml", levels + steady + "standardise = true\n"),
        "--out", place / "levels")
    with h5py.File(place / "levels" / "univariate_selection.h5") as file:
        assert (file["summary/passed"][:] == 0).all(), file["summary/passed"][:]


def responses_come_from_one_place(place):
    refused_before_it_runs(place, TWINS + STIMULI + HEAD + FILES + MULTIVARIATE,
                           "responses come from [[twins]] or from files, not both")
    refused_before_it_runs(place, HEAD + MULTIVARIATE, "the campaign has no responses")
    refused_before_it_runs(place, STIMULI.replace("60", "50") + HEAD + FILES + MULTIVARIATE,
                           "the files hold responses to 60 images, the campaign has 50 stimuli")


def responses_that_turn_out_useless_name_the_population(place):
    lacking = "area 'V1' of subject 'a' lacks {} images"
    for number, (file, part, sentences) in enumerate((
        ("constant.npy", MULTIVARIATE, ("0 images have a pattern",
                                        lacking.format(60) + ": its pattern is constant")),
        ("lame.npy", MULTIVARIATE, ("0 images have a pattern", lacking.format(60) +
                                    ": unit 'a/V1/3' is NaN or infinite for 60;")),
        ("few.npy", MULTIVARIATE, ("5 images have a pattern in every population, and sets of 10 "
                                   "need 18", lacking.format(55))),
        ("infinite.npy", UNIVARIATE, ("0 of 60 images have a mean response", lacking.format(60) +
                                      ": unit 'a/V1/0' is NaN or infinite for 60, "
                                      f"{UNITS - 1} other units for as many or fewer")),
    )):
        text = with_first(file).replace(MULTIVARIATE, part)
        refused(DATA_CODE, *sentences, ranks=2 * (number % 2),
                command=("run", place.write("bad.toml", text), "--out", place / f"useless{number}"))
    # A mean needs neither a pattern nor all units.
    for file in ("constant.npy", "lame.npy"):
        text = with_first(file).replace(MULTIVARIATE, UNIVARIATE)
        run("run", place.write("mean.toml", text), "--out", place / f"mean-{file}")


def main():
    with Workplace() as place:
        make_files(place)
        harness.run_checks(
            place, a_sound_study_runs, files_that_cannot_be_used_say_why,
            noise_ceilings_must_fit_the_units, thresholds_that_nothing_passes_are_named,
            mistakes_of_a_study_have_their_place, numbers_must_fit_the_images,
            one_unit_has_no_pattern, more_images_than_sets_can_name_are_refused,
            who_cannot_be_held_out_is_counted,
            an_area_that_never_varies_is_neither_controlled_nor_tested,
            responses_come_from_one_place, responses_that_turn_out_useless_name_the_population)


if __name__ == "__main__":
    main()
