import pytest

from seqapps.training.settings import Training


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("epochs", 0, "at least 1"),
        ("max_steps", -1, "at least 0"),
        ("batch_tokens", 0, "at least 1"),
        ("warmup_steps", -5, "at least 0"),
        ("plateau_epochs", 0, "at least 1"),
        ("patience", -1, "at least 0"),
        ("weight_decay", -0.1, "at least 0"),
        ("checkpoint_minutes", -1.0, "at least 0"),
        ("learning_rate", 0.0, "above 0"),
        ("learning_rate", float("nan"), "above 0"),
        ("clip_norm", -1.0, "above 0"),
        ("label_smoothing", 1.0, "in [0, 1)"),
        ("average_decay", -0.5, "in [0, 1)"),
        ("adam_beta2", 1.0, "in [0, 1)"),
    ],
)
def test_refuses_what_is_out_of_range_with_rule_and_value(setting, value, rule):
    with pytest.raises(ValueError, match=setting) as error:
        Training(**{setting: value})
    assert rule in str(error.value)
    assert str(value) in str(error.value)
