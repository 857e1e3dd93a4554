"""What is particular to the recipe; its training is in tests/golden, its commands in contract."""

from dataclasses import replace

from seqapps.recipes.translate import RECIPE, Config

ANSWER = {
    "translation": "Guten Tag.",
    "score": -0.25,
    "alternatives": ["Guten Tag.", "Hallo."],
    "alternative_scores": [-0.25, -1.5],
}


def test_one_answer_is_a_line_and_several_are_a_list_with_scores():
    config = Config()
    assert RECIPE.show(config, 7, ANSWER) == "Guten Tag."
    several = replace(config, decoding=replace(config.decoding, n_best=2))
    assert RECIPE.show(several, 7, ANSWER).splitlines() == [
        "7 ||| Guten Tag. ||| -0.2500",
        "7 ||| Hallo. ||| -1.5000",
    ]


def test_the_interface_names_the_languages_and_every_strategy_value():
    config = Config()
    french = replace(config, data=replace(config.data, source="fr", target="it"))
    interface = RECIPE.interface(french)
    assert "fr" in interface.inputs[0].description
    assert "it" in interface.outputs[0].description
    assert [option.name for option in interface.options] == list(vars(config.decoding))
    assert interface.signatures == ("serving_default", "options")
