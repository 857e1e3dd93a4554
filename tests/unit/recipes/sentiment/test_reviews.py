"""The generated reviews: labels by meaning, splits, balance, and what a bag of words can do."""

import hashlib
import re
from collections import Counter

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from seqapps.recipes.sentiment.reviews import LABELS, Review, Reviews, reviews
from seqapps.recipes.sentiment.reviews.clauses import SIGNS, clause
from seqapps.recipes.sentiment.reviews.heldout import CELLS, SPLITS, Draw, cell_split, pair_split
from seqapps.recipes.sentiment.reviews.lexicon import PAST, WORDS, article
from seqapps.recipes.sentiment.reviews.splits import CONSTRUCTIONS, Drawn, draw_split, forms
from seqapps.recipes.sentiment.reviews.things import THINGS, Subject

BY_TEXT = {word.text: word for word in WORDS}


@pytest.fixture(scope="module")
def made() -> Reviews:
    return reviews()


@pytest.fixture(scope="module")
def records(made: Reviews) -> dict[str, list[Drawn]]:
    """The default splits again, with what each sentence combines."""
    known = frozenset(form for review in made.train for form in forms(review.text))
    return {
        split: draw_split(split, seed=0, size=len(part), known=None if split == "train" else known)
        for split, part in zip(SPLITS, made, strict=True)
    }


# -- labels by meaning -------------------------------------------------------------------------

# Three or more reviews of each construction, drawn without their labels and labelled by a reader.
GOLD = """
+ Do listen to people who say that the dialogue was very engaging.
- Do not doubt anyone who says that the lounge was simply terrible.
+ People who say that the prose was tiresome are wrong.
- I truly despise the breakfast, although the view is never woeful.
- This novel leaves me really frustrated, even though the translation is really glorious.
- The hostel was anything but satisfying, even if the terrace left me thoroughly delighted.
+ Even though the camera work is utterly woeful, I love this comedy.
+ Although the research is woeful, this biography is a joy.
+ Though nobody could say that the price was magnificent, I found the watch superbly made.
- The previous one, which was first-rate, was a lot better than this comic.
- The first one, which was pleasing, was a lot better than this series.
+ The one from last year was appalling, and this hotel was a lot better.
+ If the strap had been less sturdy, the camera would have been horrible.
- The memoir would have been superb if the style had not been so predictable.
- The hotel would have been first-rate if the breakfast room had not been so unpleasant.
- The lounge was not inviting but disappointing.
- The opening was not only lifeless but also confusing.
- The plot was clumsy, not memorable.
+ I found the characters simply awful, but I found the first chapter absorbing.
- The plot was an absolute treat, but I have to say that the acting was frustrating.
- I find the dialogue a treat, yet I really hate the story.
- The script was too dull to be memorable.
+ This memoir is more absorbing than forgettable.
- The camera work is less satisfying than frustrating.
- The characters were really boring in spite of the fascinating dialogue.
- I find the toaster utterly terrible in spite of the brilliantly made lever.
- In spite of the magnificent camera work, the opening was really atrocious.
+ Nobody could call the delivery anything but expertly organised.
+ I cannot say that the lever is anything but pleasing.
- I do not agree that this crime novel was not atrocious.
- Nobody can deny that the prose is annoying.
+ I would not deny that the price was first-rate.
+ It cannot be denied that the camera was magnificent.
- Apart from the trailer, everything about this documentary was dreadful.
- The only glorious thing about the film was the title.
+ The only thing about this film that is not pleasing is the title.
+ I had read that the toaster was hopeless, but it was terrific.
+ I got an excellent biography instead of an awful one.
- I expected a fascinating documentary but got a tedious one.
- The ending is mildly impressive, and the plot is incredibly boring.
+ The price is a little disappointing, and the customer service is truly magnificent.
+ The hose was a bit fragile, the bin was simply fantastic.
- Nobody could call this costume drama expertly made.
+ I was never annoyed with the costumes.
+ I cannot say that the story was horribly told.
- It would be wrong to say that the western is brilliantly made.
- There was nothing about the bar that I loved.
- In the end the wonderful customer service is outweighed by the disappointing water tank.
+ To me the second-rate display matters less than the excellent price.
+ In the end the woeful lounge was outweighed by the splendid room.
- The costumes are really horribly designed.
+ This laptop was really superbly made.
+ I find the display expertly designed.
+ Who could possibly deny that the ending was fascinating?
+ Why would anyone deny that the maps were brilliant?
- Who could possibly call the film satisfying?
+ I loved the price, although my parents insist that it never stopped being frustrating.
+ The critics say that the room was unwelcoming, but I found it truly brilliantly furnished.
+ The plot is a real joy, but a friend insists that it is truly atrocious.
+ At first the bar was very unwelcoming, but by the end of our stay it was impressive.
- By the end I found the last part contrived, although at first I found it truly terrific.
- Now the screen leaves me unhappy, but at first I truly adored it.
"""
READ = {line[2:]: LABELS[line[0] == "+"] for line in GOLD.strip().splitlines()}


def test_labels_are_those_of_a_reader(made: Reviews) -> None:
    found = {review.text: review for split in made for review in split}
    assert {text: found[text].label for text in READ} == READ
    assert {found[text].construction for text in READ} == set(CONSTRUCTIONS)
    assert set(READ.values()) == set(LABELS)


# Every way to say something of the plot but the plain one, sorted by a reader: what turns the word
# round, and what leaves it. X is an adjective, a noun or an adverb, F a feeling, V a verb.
TURN = """
I am anything but F with the plot
I am far from F with the plot
I am hardly F with the plot
I am in no way F with the plot
I am never F with the plot
I am not at all F with the plot
I could barely find anything X about the plot
I could find nothing to V about the plot
I would not call the plot X
nobody could call the plot X
nothing about the plot is X
the plot is anything but X
the plot is by no means X
the plot is far from X
the plot is hardly X
the plot is in no way X
the plot is never X
the plot is not X at all
the plot is not at all X
the plot never leaves me F
there is hardly a thing about the plot that I V
there is nothing X about the plot
there is nothing about the plot that I V
you could hardly call the plot X
"""
LEAVE = """
I am nothing if not F with the plot
I could hardly be more F with the plot
I could not be more F with the plot
at no point am I anything but F with the plot
at no point is the plot anything but X
nobody could call the plot anything but X
the plot could hardly be more X
the plot could not be more X
the plot is nothing if not X
the plot is nothing short of X
the plot never fails to be X
the plot never fails to leave me F
the plot never stops being X
there is hardly a thing about the plot that I do not V
there is no end of things that I V about the plot
there is not a moment when the plot does not leave me F
there is not a moment when the plot is not X
there is not a thing about the plot that I do not V
there is nothing about the plot that I do not V
"""
DENIALS = (
    "I cannot say, I do not agree, I would never claim, it is simply not true, "
    "it would be wrong to say, nobody could say"
).split(", ")
ADMISSIONS = (
    "I have to say, I would not deny, it cannot be denied, nobody can deny, "
    "there is no denying, there is no doubt"
).split(", ")
SAID = ("the plot is X", "the plot leaves me F", "I V the plot")
DENIED = ("the plot is not X", "the plot is anything but X", "I am anything but F with the plot")
TURNING = {
    *TURN.strip().splitlines(),
    *(f"{denial} that {said}" for denial in DENIALS for said in SAID[:2]),
}
LEAVING = {
    *LEAVE.strip().splitlines(),
    *(f"{denial} that {denied}" for denial in DENIALS for denied in DENIED),
    *(f"{admission} that {said}" for admission in ADMISSIONS for said in SAID),
}


@pytest.mark.parametrize("sign", [+1, -1])
def test_every_form_of_a_clause_turns_its_word_round_or_leaves_it(sign: int) -> None:
    plot = Subject("the plot", "the plot", False, "story", "told")
    draw = Draw("every form", "train")
    found: dict[int, set[str]] = {+1: set(), -1: set()}
    for form in set(SIGNS) - {"plain"}:
        for _ in range(8_000):
            text = clause(draw, "negation", plot, sign, form=form)
            word = BY_TEXT[draw.take().pairs[0][1]]
            slot = {"feeling": "F", "verb": "V"}.get(word.kind, "X")
            whole = {"noun": article(word.text), "adverb": f"{word.text} told"}
            said = whole.get(word.kind, word.text)
            found[word.sign].add(re.sub(rf"\b{said}\b", slot, text))
    assert found[-sign] == TURNING
    assert found[sign] == LEAVING


def test_praise_and_blame_are_alike_but_for_their_sign() -> None:
    kinds = {sign: Counter(w[2:] for w in WORDS if w.sign == sign) for sign in (+1, -1)}
    assert kinds[+1] == kinds[-1]
    assert kinds[+1].total() >= 40
    assert len(BY_TEXT) == len(WORDS)
    assert set(PAST) == {word.text for word in WORDS if word.kind == "verb"}


# -- grammar -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        r"\ba ([aeio]|u(?!se))",
        r"\ban (?!hour)[^aeiou]",
        r"\b(\w+) \1\b",
        r"\bI (is|are|were)\b",
        r"(?<!about )\b(they|these \w+) (is|was|fails|stops|leaves)\b",
        r"(?<!about )the headphones (is|was|fails|stops|leaves)\b",
        r"\b(it|this \w+) (are|were)\b",
        r"  |[{}]| [,.;?]|[,.;?]{2}",
        r"(?<=[.?] )[a-z]|^[a-z]",
    ],
)
def test_no_review_has_a_slip_of_the_kind(wrong: str, made: Reviews) -> None:
    assert not [r.text for split in made for r in split if re.search(wrong, r.text)]


def test_reviews_are_short_and_end_in_a_mark(made: Reviews) -> None:
    for review in (r for split in made for r in split):
        assert 6 <= len(review.text.split()) <= 45
        assert review.text[-1] in ".?"
        assert 1 <= len(re.findall(r"[.?](?: |$)", review.text)) <= 4  # "C. However, D" is two.


# -- splits ------------------------------------------------------------------------------------


def test_sizes_and_distinct_texts(made: Reviews) -> None:
    assert [len(split) for split in made] == [12_000, 1_000, 1_000]
    assert len({review.text for split in made for review in split}) == 14_000
    assert {review.label for split in made for review in split} == set(LABELS)


def test_every_deciding_sentence_holds_what_its_split_is_for(
    made: Reviews, records: dict[str, list[Drawn]]
) -> None:
    for split, part in zip(SPLITS, made, strict=True):
        assert [drawn.review for drawn in records[split]] == part
        for drawn in records[split]:
            for combined in drawn.deciding:
                assert combined.owners() <= {"train", split}, drawn
                assert split == "train" or split in combined.owners(), drawn


def test_the_test_combines_what_training_and_validation_never_do(
    records: dict[str, list[Drawn]],
) -> None:
    """From the sets that occur, without asking which split owns a combination."""
    seen = {
        split: {
            combination
            for drawn in part
            for combined in drawn.deciding
            for combination in (*combined.pairs, *combined.cells)
        }
        for split, part in records.items()
    }
    for split, others in (("test", ("train", "validation")), ("validation", ("train", "test"))):
        elsewhere = seen[others[0]] | seen[others[1]]
        for combined in (c for drawn in records[split] for c in drawn.deciding):
            assert {*combined.pairs, *combined.cells} - elsewhere, combined


def test_a_word_held_out_of_a_construction_is_not_in_its_training(made: Reviews) -> None:
    """On the surface, where a construction is one plain pattern."""
    pattern = re.compile(r"\b[Ll]ess ([\w-]+) than ([\w-]+)\.|\b[Tt]oo ([\w-]+) to be ([\w-]+)\.")
    said = {
        split: {
            word
            for review in part
            if review.construction == "degree"
            for groups in pattern.findall(review.text)
            for word in groups
            if word
        }
        for split, part in zip(SPLITS, made, strict=True)
    }
    held = {split: {w for w in BY_TEXT if pair_split("degree", w) == split} for split in SPLITS}
    assert not said["train"] & (held["test"] | held["validation"])
    assert len(said["test"] & held["test"]) >= 4
    assert len(said["validation"] & held["validation"]) >= 3
    assert len(said["train"]) > 30


@pytest.mark.parametrize("split", CELLS)
def test_parts_of_held_out_compositions_occur_in_training(
    split: str, records: dict[str, list[Drawn]]
) -> None:
    cells = {
        name: {cell for drawn in part for combined in drawn.deciding for cell in combined.cells}
        for name, part in records.items()
    }
    assert CELLS[split] <= cells[split]
    for construction, form in CELLS[split]:
        assert (construction, form) not in cells["train"]
        assert any(name == construction for name, _ in cells["train"])
        assert any(other == form for _, other in cells["train"])
        assert cell_split(construction, form) == split


def test_every_word_keeps_most_constructions_in_training() -> None:
    for word in BY_TEXT:
        kept = [c for c in CONSTRUCTIONS if pair_split(c, word) == "train"]
        assert len(kept) >= len(CONSTRUCTIONS) / 2, word
    listed = [pair_split(c, word) for c in CONSTRUCTIONS for word in BY_TEXT]
    assert 0.10 <= listed.count("test") / len(listed) <= 0.15
    assert 0.06 <= listed.count("validation") / len(listed) <= 0.10


def test_every_form_of_the_other_splits_occurs_in_training(made: Reviews) -> None:
    train, validation, test = (
        {form for review in split for form in forms(review.text)} for split in made
    )
    assert validation <= train
    assert test <= train
    assert {form for word in BY_TEXT for form in word.split()} <= train


# -- balance -----------------------------------------------------------------------------------


def test_labels_are_balanced_in_every_construction_and_thing(
    made: Reviews, records: dict[str, list[Drawn]]
) -> None:
    for split in made:
        of = Counter((review.construction, review.label) for review in split)
        for construction in CONSTRUCTIONS:
            negative, positive = (of[construction, label] for label in LABELS)
            assert abs(negative - positive) <= 1
            assert negative >= 5
    things = Counter((drawn.thing, drawn.review.label) for drawn in records["train"])
    for thing in THINGS:
        negative, positive = (things[thing.noun, label] for label in LABELS)
        assert 0.9 <= positive / negative <= 1.1, thing.noun


def test_every_polar_word_stands_under_both_labels(made: Reviews) -> None:
    of = Counter((word, review.label) for review in made.train for word in set(forms(review.text)))
    for word in BY_TEXT:
        negative, positive = (of[word, label] for label in LABELS)
        assert 0.3 <= positive / (negative + positive) <= 0.7, word
        if negative + positive > 150:
            assert 0.42 <= positive / (negative + positive) <= 0.58, word


def test_a_bag_of_words_and_bigrams_does_not_solve_it(made: Reviews) -> None:
    vectors = TfidfVectorizer(ngram_range=(1, 2))
    model = LogisticRegression(C=10, solver="liblinear")
    model.fit(vectors.fit_transform(r.text for r in made.train), [r.label for r in made.train])
    texts = vectors.transform(review.text for review in made.test)
    assert model.score(texts, [review.label for review in made.test]) <= 0.70


# -- the frozen data ---------------------------------------------------------------------------


def digest(splits: Reviews) -> str:
    lines = ("\t".join(review) + "\n" for split in splits for review in split)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_the_data_never_change(made: Reviews) -> None:
    assert digest(made) == DEFAULT
    assert digest(reviews(seed=1, train=2_000, validation=20, test=20)) == SMALL


def test_seeds_differ_but_hold_out_the_same() -> None:
    one, two = (reviews(seed=seed, train=2_000, validation=20, test=20) for seed in (1, 2))
    assert not {r.text for r in one.test} & {r.text for r in two.test}
    assert not {r.text for r in one.test} & {r.text for r in two.train}


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="validation must be at least 0, got -1; use 0"):
        reviews(validation=-1)
    with pytest.raises(ValueError, match="ask for fewer, or for more training reviews"):
        reviews(train=1, validation=0, test=5)
    assert reviews(train=0, validation=0, test=0) == Reviews([], [], [])


def test_an_item_has_text_label_and_construction() -> None:
    (first,) = reviews(train=1, validation=0, test=0).train
    assert first == Review(first.text, first.label, first.construction)
    assert (first.label in LABELS, first.construction in CONSTRUCTIONS) == (True, True)


DEFAULT = "ff6f5d588538c60fa5919f66a33b4f780ff827da4552fb6611efc69a2af84e04"
SMALL = "2be4c9141557116cff229b9170e3efb09a13dace908b78036033a9d804671054"
