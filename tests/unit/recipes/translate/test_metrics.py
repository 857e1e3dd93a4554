"""BLEU and chrF: by hand, and as sacreBLEU's command line has them."""

import pytest
import sacrebleu

from seqapps.recipes.translate.metrics import bleu, chrf


def test_bleu_by_hand():
    # Of 6, 5, 4, 3 n-grams the reference holds 5 (one `the` of two), 3, 2, 1.
    found = bleu(["the cat sat on the mat"], ["the cat sat on a mat"])
    assert found.value == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25, abs=1e-6)


def test_bleu_of_a_corpus_is_no_mean_of_sentences():
    hypotheses, references = ["a b c d e", "f g h i"], ["a b c d e", "f g h x y z"]
    # n-grams of both sentences together: 8 of 9, 6 of 7, 4 of 5, 2 of 3; 9 words against 11.
    precision = (8 / 9 * 6 / 7 * 4 / 5 * 2 / 3) ** 0.25
    brevity = 2.718281828459045 ** (1 - 11 / 9)
    assert bleu(hypotheses, references).value == pytest.approx(100 * precision * brevity, abs=1e-6)


def test_bleu_minds_case_and_cuts_punctuation_off():
    assert bleu(["A man, reading."], ["a man, reading."]).value < 80
    # 13a cuts the full stop off, so four tokens of five are right.
    assert bleu(["He reads a book."], ["He reads a book!"]).value == pytest.approx(
        100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25, abs=1e-6
    )


def test_chrf_by_hand():
    # Orders 1 and 2 exist on both sides: precisions 1 and 1, recalls 2/3 and 1/2.
    recall = (2 / 3 + 1 / 2) / 2
    assert chrf(["ab"], ["abc"]).value == pytest.approx(100 * 5 * recall / (4 + recall), abs=1e-6)


@pytest.mark.parametrize("measure", [bleu, chrf])
def test_the_same_text_is_100_and_another_is_near_0(measure):
    text = ["Ein Mann liest ein Buch im Garten.", "Zwei Hunde spielen am Strand."]
    assert measure(text, text).value == pytest.approx(100.0)
    assert measure(["xyz", "qqq"], text).value < 5.0


def test_signatures_are_those_of_the_command_line():
    version = sacrebleu.__version__
    text = ["a b c d"]
    assert bleu(text, text).signature == (
        f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    )
    assert chrf(text, text).signature == (
        f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"
    )


@pytest.mark.parametrize("measure", [bleu, chrf])
@pytest.mark.parametrize(("hypotheses", "references"), [(["a"], ["a", "b"]), ([], [])])
def test_lists_that_do_not_match_are_refused(measure, hypotheses, references):
    with pytest.raises(ValueError, match=f"got {len(hypotheses)} and {len(references)}"):
        measure(hypotheses, references)


def test_characters_are_the_words_of_a_script_without_spaces():
    references = ["設定を保存する。", "JupyterLab のファイルを開く"]
    score = bleu(["設定を保存した。", "JupyterLab のファイルを開く"], references)
    assert "tok:char" in score.signature
    assert 50 < score.value < 100
    assert "tok:13a" in bleu(["Das ist 東京."], ["Das ist die Stadt 東京."]).signature
