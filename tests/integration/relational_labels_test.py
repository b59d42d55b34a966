"""Labels of the images that align two areas: every stored number against numpy, planted and absent
effects, both settings of compat, labels that are written after a first run, and mistakes."""

import csv
import itertools
import math
import shutil

import harness
from harness import CAMPAIGN_CODE, DATA_CODE, STORE_CODE, Workplace, content_hash, refused, run

h5py = harness.h5py_or_skip()
try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

import relational_control_truth as truth
from relational_study import Stage, close, imports, require_verdicts

IMAGES, SET, PERMUTATIONS = 140, 16, 2000
SUBJECTS = ["sub-01", "sub-02", "sub-03", "sub-04"]
AREAS = ["V1", "V4", "V2"]
PAIR = ("V4", "V2")  # not the first one
LABELS = ["no sky", "sky"]
# The part that answers more to sky, and that which answers more to its absence; sizes differ.
PARTS = {"V2": ("dorsal", "ventral"), "V4": ("ventral", "dorsal")}
UNITS = {"dorsal": 9, "ventral": 17}
DORSAL = "dorsal == 1"
VENTRAL = "dorsal == 0"
CONTROL = f"""
[relational_control.multivariate]
images = {SET}
draws = {4 * PERMUTATIONS}
permutations = {PERMUTATIONS}
generations = 12
population = 12
"""


def labelling(file="labels.csv", pair=" - ".join(PAIR), parts=True):
    text = f'[relational_control.image_labels]\nfile = "{file}"\npair = "{pair}"\n'
    for area, (more, _) in PARTS.items() if parts else ():
        first, second = (DORSAL, VENTRAL) if more == "dorsal" else (VENTRAL, DORSAL)
        text += (f'[[relational_control.image_labels.parts]]\narea = "{area}"\nfirst = "{first}"\n'
                 f'second = "{second}"\nfirst_prefers = "sky"\n')
    return text


def make_study(place):
    """Responses to images with and without sky, to which the parts of two areas answer otherwise."""
    rng = np.random.default_rng(31)
    place.sky = rng.random(IMAGES) < 0.5
    signs = np.where(place.sky, 1.0, -1.0)[:, None]
    files, scores = {}, "id,dorsal\n"
    place.responses, place.dorsal = {}, {}
    for subject, area in itertools.product(SUBJECTS, AREAS):
        is_dorsal = rng.permutation(np.repeat([1, 0], [UNITS["dorsal"], UNITS["ventral"]]))
        gain = rng.gamma(4, 0.25, is_dorsal.size)
        up = np.where(is_dorsal == (PARTS.get(area, ("dorsal",))[0] == "dorsal"), 1, -1) * gain
        values = 2 + rng.normal(size=is_dorsal.size) / 4 + rng.normal(size=(IMAGES, is_dorsal.size))
        values += (area != "V1") * signs * up
        ceilings = np.ones(is_dorsal.size)
        ceilings[3] = 0.1  # not kept
        name = f"{subject}_{area}.npy"
        np.save(place / name, values.astype("f4"))
        np.save(place / f"{name}.ncsnr.npy", ceilings)
        files[subject, area] = name
        scores += "".join(f"{subject}/{area}/{unit},{part}\n" for unit, part in enumerate(is_dorsal))
        kept = ceilings > 0.5
        place.responses[subject, area] = values.astype("f4").astype(float)[:, kept]
        place.dorsal[subject, area] = is_dorsal[kept] == 1
    place.write("parts.csv", scores)
    place.write("items.csv", "id\n" + "".join(f"picture {at}.png\n" for at in range(IMAGES)))
    place.head = ("seed = 8\n[relational_control]\n" + imports(files)
                  + '[[relational_control.unit_scores]]\nfile = "parts.csv"\n')
    place.write("labels.csv", "item,label\n" + "".join(
        f"{at},{LABELS[int(sky)]}\n" for at, sky in enumerate(place.sky)))
    place.write("study.toml", place.head + CONTROL + labelling())


def pair_at():
    return list(itertools.combinations(AREAS, 2)).index(PAIR)


def require_structure(place, store, sky):
    """Similarities of both sets in both areas, and their means by label of the aligning set."""
    stage, search = Stage(store, "image_labels"), Stage(store, "multivariate_search")
    sets = search.found_image[pair_at(), 0]
    assert (stage.image == sets).all()
    labels = sky[sets[0]].astype(int)
    assert (stage.image_label == labels).all()
    lower = np.tril(np.ones((SET, SET), bool), -1)
    within = [lower & (labels[:, None] == at) & (labels == at) for at in range(2)]
    masks = [*within, (labels[:, None] == 0) & (labels == 1)]
    raw = Stage(store, "set_responses")
    for (who, subject), (side, area) in itertools.product(enumerate(SUBJECTS), enumerate(PAIR)):
        rows = place.responses[subject, area]
        units = ((raw.names["units"]["subject"] == subject) & (raw.names["units"]["area"] == area))
        assert (raw.response[:, units] == rows[sets.ravel()]).all()
        for objective, images in enumerate(sets):
            close(stage.similarity[who, objective, side], np.corrcoef(rows[images]))
            assert (np.diag(stage.similarity[who, objective, side]) == 1).all()
        expected = np.corrcoef(rows[sets[0]])
        close(stage.group_similarity[who, side], [expected[mask].mean() for mask in masks], 1e-9)
    require_over_subjects(stage, "group_similarity")
    return stage, labels, sets[0]


def require_over_subjects(stage, name):
    values = getattr(stage, name)
    close(getattr(stage, f"mean_{name}"), values.mean(axis=0), 1e-12)
    for cell in np.ndindex(values.shape[1:]):
        bounds = [getattr(stage, f"{name}_{end}")[cell] for end in ("low", "high")]
        close(bounds, truth.bootstrap(values[(slice(None), *cell)]), 1e-12)


def require_near(p, null, observed):
    """A permutation p against another null of the same test."""
    share = (null > observed).mean()
    noise = math.sqrt(share * (1 - share) * (1 / len(null) + 1 / PERMUTATIONS)) + 2 / len(null)
    assert abs(p - share) < 4 * noise, (p, share)


def permuted(more, less, split, rng, times=1500):
    pooled = np.concatenate([more, less])
    null = []
    for _ in range(times):
        order = rng.permutation(pooled)
        null.append(order[:split].mean() - order[split:].mean())
    return np.array(null)


def require_parts(place, stage, labels, images, is_published):
    """Scores, both permutation tests of each, verdicts of subjects and over them."""
    rng = np.random.default_rng(5)
    for (who, subject), (at, area) in itertools.product(enumerate(SUBJECTS), enumerate(PARTS)):
        rows, dorsal = place.responses[subject, area], place.dorsal[subject, area]
        first = dorsal if PARTS[area][0] == "dorsal" else ~dorsal
        for label in range(2):
            means = rows[images[labels == label]].mean(axis=0)
            parts = [means[first], means[~first]]
            close(stage.part_response[who, at, :, label], [part.mean() for part in parts], 1e-9)
            more, less = parts if LABELS[label] == "sky" else parts[::-1]
            score = stage.score[who, at, label]
            close(score, more.mean() - less.mean(), 1e-9)
            half = (more.size + less.size) // 2
            assert half != more.size
            splits = (half, more.size) if is_published else (more.size, half)
            for p, split in zip((stage.p, stage.p_other), splits):
                require_near(p[who, at, label], permuted(more, less, split, rng), score)
            variance = means.var(ddof=1) * (1 / splits[0] + 1 / (means.size - splits[0]))
            ratio = stage.null_sd[who, at, label] / math.sqrt(variance)
            assert abs(ratio - 1) < 5 / math.sqrt(2 * PERMUTATIONS), ratio
        require_verdicts(stage.p[who, at], stage.significant[who, at])
    for name in ("part_response", "score"):
        require_over_subjects(stage, name)
    for cell in np.ndindex(2, 2):
        found = int(stage.significant[(slice(None), *cell)].sum())
        assert stage.significant_subjects[cell] == found
        close(stage.binomial_p[cell], truth.binomial(found, len(SUBJECTS)), 1e-12)


def planted_labels_are_found(place):
    result = run("run", place / "study.toml", "--out", place / "study", ranks=2)
    stage, labels, images = require_structure(place, place / "study", place.sky)
    assert 2 <= labels.sum() <= SET - 2
    require_parts(place, stage, labels, images, False)
    assert (stage.significant == 1).all() and (stage.score_low > 0).all()
    assert (stage.group_similarity_low[:, :2] > stage.group_similarity_high[:, 2:]).all()
    assert f"labels.csv: {IMAGES - SET} labels are of images that are not in the set" in result.stdout
    assert "waits for labels" not in result.stdout
    assert "; 4, 6.3e-06" in result.stdout, result
    assert (place / "study" / "image_similarities.png").stat().st_size > 1000
    with h5py.File(place / "study" / "image_labels.h5") as file:
        assert list(file["labels/name"].asstr()) == LABELS
        assert list(file["groups/name"].asstr()) == ["no sky - no sky", "sky - sky", "no sky - sky"]
        assert list(file["areas/name"].asstr()) == list(PAIR)
        assert list(file["items/subject"].asstr()) == SUBJECTS


def published_halves_are_drawn_with_compat(place):
    compat = ("--set", "relational_control.compat=reference")
    run("run", place / "study.toml", "--out", place / "published", *compat, ranks=3)
    stage, labels, images = require_structure(place, place / "published", place.sky)
    require_parts(place, stage, labels, images, True)
    plain = Stage(place / "study", "image_labels")
    assert (stage.p_other == plain.p).all() and (stage.p == plain.p_other).all()


def labels_at_random_find_nothing(place):
    wrong = np.random.default_rng(3).random(IMAGES) < 0.5
    place.write("wrong.csv", "item,label\n" + "".join(
        f"{at},{LABELS[int(sky)]}\n" for at, sky in enumerate(wrong)))
    place.write("wrong.toml", place.head + CONTROL + labelling("wrong.csv"))
    run("run", place / "wrong.toml", "--out", place / "wrong")
    stage, labels, images = require_structure(place, place / "wrong", wrong)
    require_parts(place, stage, labels, images, False)
    # A part may answer more to one label by chance, never to its label and the other to its own.
    assert (stage.significant.sum(axis=2) < 2).mean() > 0.8, stage.significant
    differences = stage.mean_group_similarity[:, :2] - stage.mean_group_similarity[:, 2:]
    planted = Stage(place / "study", "image_labels").mean_group_similarity
    assert (differences.mean(axis=1) < (planted[:, :2] - planted[:, 2:]).mean(axis=1) / 3).all()


def files_of(store):
    return {file.name: file.read_bytes() for file in store.glob("*.h5")}


def rows_of(table):
    with open(table, newline="") as file:
        return list(csv.DictReader(file))


def labels_are_written_after_a_first_run(place):
    campaign = place.write("later.toml", place.head + CONTROL + labelling("later.csv"))
    command, store = ("run", campaign, "--out", place / "later"), place / "later"
    list_of_images = store / "images_to_label.csv"
    asked = "image_labels waits for labels of {} of the 16 images that align V4 - V2"
    result = run(*command, ranks=2)
    images = Stage(store, "multivariate_search").found_image[pair_at(), 0, 0]
    assert asked.format(16) + ": " + " ".join(map(str, images)) in result.stdout, result
    assert "later.csv (which does not exist)" in result.stdout, result
    assert not (store / "image_labels.h5").exists() and (store / "area_maps.h5").exists()
    rows = rows_of(list_of_images)
    assert [int(row["item"]) for row in rows] == list(images)
    assert all(row["label"] == "" for row in rows)
    before = files_of(store)

    # Some of them, and some more; the list that is written again has these already.
    lines = list_of_images.read_text().splitlines()
    words = [LABELS[int(place.sky[image])] for image in images]
    for known in (3, 5):
        place.write("later.csv", "\n".join([lines[0], *(f'{image},"{word}"' for image, word in zip(
            images[:known], words))]))
        result = run(*command)
        assert asked.format(16 - known) in result.stdout and "it lacks these" in result.stdout, result
        assert list_of_images.read_text().count("sky") == known

    # The rest, in the list itself, which is not touched before the labels are elsewhere, too.
    filled = "\n".join([lines[0], *(f"{image},{word}" for image, word in zip(images, words))]) + "\n"
    list_of_images.write_text(filled)
    assert asked.format(11) in run(*command).stdout and list_of_images.read_text() == filled
    assert files_of(store) == before
    shutil.copy(list_of_images, place / "later.csv")
    result = run(*command, ranks=2)
    assert "waits" not in result.stdout and rows_of(list_of_images) == rows_of(place / "later.csv")
    done = [event["stage"] for event in harness.runs_of(store)[-1] if event["event"] == "sealed"]
    assert set(done) == {"image_labels"}, done
    after = files_of(store)
    assert {name: after[name] for name in before} == before
    require_same_results(store, place / "study")

    # Other labels are another analysis: the store does not mix them.
    place.write("later.csv", filled.replace(words[0], words[1] if words[1] != words[0] else next(
        word for word in words if word != words[0]), 1))
    refused(STORE_CODE, "image_labels.h5 holds results of another campaign (1 part differs)",
            "labels: stored", command=command)
    (store / "image_labels.h5").unlink()
    run(*command)
    # Without labels what is there stays.
    (place / "later.csv").unlink()
    assert asked.format(16) in run(*command).stdout


def require_same_results(ours, theirs):
    ours, theirs = Stage(ours, "image_labels"), Stage(theirs, "image_labels")
    for column, values in vars(theirs).items():
        if column != "names":
            np.testing.assert_array_equal(getattr(ours, column), values, err_msg=column)


def images_have_names(place):
    """Stimuli beside the files, whose names a label file may use; a campaign without parts."""
    np.save(place / "pictures.npy", np.random.default_rng(4).integers(
        0, 256, (IMAGES, 8, 8), "u1"))
    stimuli = '[[stimuli]]\nnpy = "pictures.npy"\nlayout = "nhw"\nlabels = "items.csv"\n'
    place.write("names.csv", "item,label\nelsewhere.png,sky\n" + "".join(
        f"picture {at}.png,{LABELS[int(sky)]}\n" for at, sky in enumerate(place.sky)))
    text = place.head + CONTROL + labelling("names.csv", parts=False) + stimuli
    result = run("run", place.write("names.toml", text), "--out", place / "names")
    stage, *_ = require_structure(place, place / "names", place.sky)
    assert not hasattr(stage, "p") and not hasattr(stage, "binomial_p")
    assert f"names.csv: {IMAGES + 1 - SET} labels are of images" in result.stdout
    assert "picture" in (place / "names" / "images_to_label.csv").read_text()
    set_items = Stage(place / "names", "set_responses").names["items"]
    assert list(set_items["name"]) == [f"picture {image}.png" for image in set_items["image"]]


def an_option_leaves_other_stages_as_they_are(place):
    """A store that was made without labels goes on with them."""
    shutil.copytree(place / "study", place / "grown")
    for stage in ("image_labels", "set_responses"):
        (place / "grown" / f"{stage}.h5").unlink()
    plain = place.write("plain.toml", place.head + CONTROL)
    run("run", plain, "--out", place / "grown")
    before = files_of(place / "grown")
    run("run", place / "study.toml", "--out", place / "grown")
    after = files_of(place / "grown")
    assert {name: after[name] for name in before} == before
    assert content_hash(place / "grown") == content_hash(place / "study")


def twins_and_files_of_their_responses_give_the_same(place):
    twins = "".join(
        f'[[twins]]\nfamily = "gabor_energy"\nname = "{subject} {area}"\nsubject = "{subject}"\n'
        f'area = "{area}"\npositions = 2\norientations = {3 + at}\nspatial_frequencies = {cycles}\n'
        for at, subject in enumerate(SUBJECTS[:3])
        for area, cycles in (("V4", [0.5, 1.0]), ("V2", [1.5, 2.8])))
    stimuli = f"[[stimuli]]\ncount = {IMAGES}\n[stimuli.pink_noise]\n"
    control = "[relational_control]\nunits = ''\n"
    parts = labelling().replace(DORSAL, "half == 1").replace(VENTRAL, "half == 2")
    head = "seed = 9\n"
    text = head + twins + stimuli + control + CONTROL + parts + "[run]\nshard_items = 64\n"
    run("run", place.write("twins.toml", text), "--out", place / "twins", ranks=3)
    screen = head + twins + stimuli + '[screen]\nmeasures = ["units"]\n'
    run("run", place.write("screen.toml", screen), "--out", place / "screen")
    shown = Stage(place / "screen", "responses")
    raw = Stage(place / "twins", "set_responses")
    images = Stage(place / "twins", "multivariate_search").found_image[0, 0].ravel()
    place_of = {key: at for at, key in enumerate(zip(shown.names["units"]["twin"],
                                                     shown.names["units"]["id"]))}
    order = [place_of[key] for key in zip(raw.names["units"]["twin"], raw.names["units"]["id"])]
    assert len(set(order)) == raw.response.shape[1] > 100
    close(raw.response, shown.response[images][:, order])  # alone and among others: up to rounding
    files = ""
    subjects, areas = (shown.names["units"][name] for name in ("subject", "area"))
    for subject, area in itertools.product(SUBJECTS[:3], ("V4", "V2")):
        name = f"twin_{subject}_{area}.npy"
        chosen = (subjects == subject) & (areas == area)
        np.save(place / name, np.ascontiguousarray(shown.response[:, chosen]))
        files += (f'[[relational_control.responses]]\nfile = "{name}"\nsubject = "{subject}"\n'
                  f'area = "{area}"\n')
    text = head + control + files + CONTROL + parts
    run("run", place.write("files.toml", text), "--out", place / "files")
    for stage in ("set_responses", "image_labels"):
        ours, theirs = Stage(place / "twins", stage), Stage(place / "files", stage)
        for column, values in vars(theirs).items():
            if column != "names":
                close(getattr(ours, column), values, 1e-5, column)


def mistakes_have_their_sentence(place):
    def campaign(text):
        return place.write("bad.toml", text)

    def refused_at_once(text, *sentences):
        refused(CAMPAIGN_CODE, *sentences, "nothing was run",
                command=("run", campaign(text), "--out", place / "bad"))
        assert not (place / "bad").exists()

    good = labelling()
    for old, new, sentences in (
        ("V4 - V2", "V4 - V9", ('the study has no pair "V4 - V9"', "write it as")),
        ('file = "labels.csv"\n', "", ("image_labels.file is missing",)),
        ('area = "V4"', 'area = "V1"', ('the pair "V4 - V2" has no area \'V1\'',)),
        ('area = "V4"', 'area = "V2"', ("area 'V2' is parted twice",)),
        (DORSAL, "dorsal == 7", ('"dorsal == 7" holds for none of the 25 kept units of area',
                                 "of subject 'sub-01'")),
        (DORSAL, "dorzal == 1", ('unknown column "dorzal"', "did you mean 'dorsal'?")),
        (VENTRAL, "dorsal < 2", ("is in both parts of area 'V2'",)),
        ('"sky"', '"skies"', ("no image is labelled 'skies', but 'no sky' or 'sky'",)),
        ("pair =", "pairs =", ("unknown key 'pairs'", "did you mean 'pair'?")),
    ):
        assert old in good
        refused_at_once(place.head + CONTROL + good.replace(old, new, 1), "bad.toml:", *sentences)
    refused_at_once(place.head + good, "labels are of the images that align two areas")
    for content, sentences in (
        ("item,label\n1,sky\n2,sea\n3,land\n", ("3 labels: land, sea, sky (two are compared)",)),
        ("item,word\n1,sky\n", ("no column named 'label'",)),
        ("name,label\n1,sky\n", ("no column named 'item' or 'stimulus'",)),
        ("item,label\n1,sky\n1,sea\n", ("image '1' is labelled 'sky' and 'sea'",)),
        ("item,label\n1.5,sky\n", ("'1.5' in row 1 is no number of an image",)),
        ("item,label\n1\n", ("bad.csv:2",)),
    ):
        place.write("bad.csv", content)
        refused_at_once(place.head + CONTROL + labelling("bad.csv"), "bad.toml:", *sentences)
    # Whether a label is used twice or more is known when the images are.
    images = Stage(place / "study", "multivariate_search").found_image[pair_at(), 0, 0]
    for found, sentence in ((0, "of the 16 images of the set 16 are labelled 16 'sky'"),
                            (1, "labelled 1 'no sky', 15 'sky'")):
        place.write("bad.csv", "item,label\n" + "".join(
            f"{image},{'sky' if at >= found else 'no sky'}\n" for at, image in enumerate(images)))
        refused(DATA_CODE, "bad.csv: ", sentence, command=(
            "run", campaign(place.head + CONTROL + labelling("bad.csv")), "--out", place / "one"))


def ranks_that_read_other_labels_end_together(place):
    """A label file that a rank sees and rank 0 does not, and the other way round."""
    campaign = place.write("torn.toml", place.head + CONTROL + labelling("${LABELS}.csv"))
    for of_rank_0, of_rank_1, code, sentence in (
        ("nowhere", "labels", CAMPAIGN_CODE, "rank 0 did not read"),
        ("labels", "nowhere", DATA_CODE, "rank 1 has read other files than rank 0"),
    ):
        mine = f'test "$OMPI_COMM_WORLD_RANK" = 0 && export LABELS={of_rank_0} || export LABELS={of_rank_1}; '
        with harness.start("run", campaign, "--out", place / "study", ranks=2,
                           wrapper=("sh", "-c", mine + 'exec "$@"', "sh")) as job:
            result = job.wait()
        assert result.code == code, result
        assert sentence in result.output, result


def main():
    with Workplace() as place:
        make_study(place)
        harness.run_checks(
            place, planted_labels_are_found, published_halves_are_drawn_with_compat,
            labels_at_random_find_nothing, labels_are_written_after_a_first_run, images_have_names,
            an_option_leaves_other_stages_as_they_are,
            twins_and_files_of_their_responses_give_the_same, mistakes_have_their_sentence,
            ranks_that_read_other_labels_end_together)


if __name__ == "__main__":
    main()
