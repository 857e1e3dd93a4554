import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import pytest
import sample_program
from sample_program import PROGRAM, Config

from seqapps.arguments import Command, Program, run

TOML = """
seed = 3
[data]
source = "no"
[training]
epochs = 5
"""


@pytest.fixture
def toml(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(TOML)
    return str(file)


def answer(capsys, *argv):
    """Runs the sample in this process and returns what it printed as JSON."""
    code = run(PROGRAM, argv)
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return json.loads(out)


def sample(*argv, code=None):
    """Runs the sample as a program of its own."""
    command = [sys.executable, sample_program.__file__] if code is None else [sys.executable, "-c"]
    text = [] if code is None else [code]
    return subprocess.run([*command, *text, *argv], capture_output=True, text=True, timeout=60)


def test_no_arguments_mean_the_first_command_with_defaults(capsys):
    told = answer(capsys)
    assert told["config"] == answer(capsys, "train")["config"]
    assert told["config"]["training"]["epochs"] == 10
    assert (told["resume"], told["file"], told["given"]) == (False, "None", [])


def test_flags_without_a_command_belong_to_the_first(capsys):
    assert answer(capsys, "--training.epochs", "7")["config"]["training"]["epochs"] == 7


def test_flags_win_over_the_file_wherever_it_stands(capsys, toml):
    flag, config = ["--training.epochs=7"], ["--config", toml]
    before, after = answer(capsys, *flag, *config), answer(capsys, "train", *config, *flag)
    assert before == after
    assert before["config"]["training"]["epochs"] == 7
    assert before["config"]["data"]["source"] == "no"
    assert before["file"] == toml
    assert before["given"] == ["data.source", "seed", "training.epochs"]


def test_both_ways_to_write_a_value(capsys):
    assert answer(capsys, "--training.epochs=5") == answer(capsys, "--training.epochs", "5")


def test_norwegian_is_a_language(capsys):
    assert answer(capsys, "--data.source", "no")["config"]["data"]["source"] == "no"


def test_values_may_be_negative_or_empty(capsys):
    told = answer(capsys, "--data.share", "-1e-3", "--data.source=", "--seed", "-4")["config"]
    assert (told["data"]["share"], told["data"]["source"], told["seed"]) == (-0.001, "", -4)


def test_the_last_of_two_values_counts(capsys):
    assert answer(capsys, "--seed", "1", "--seed", "2")["config"]["seed"] == 2


def test_arguments_and_flags_mix(capsys):
    told = answer(capsys, "predict", "B", "--n-best", "3", "a", "--data.source", "no", "b")
    assert (told["bundle"], told["files"], told["n_best"]) == ("B", ["a", "b"], 3)
    # The rest of the settings comes from the bundle.
    assert told["config"]["data"]["folder"] == "base"
    assert told["config"]["data"]["source"] == "no"


def test_what_follows_two_dashes_is_no_flag(capsys):
    assert answer(capsys, "predict", "B", "--", "--help", "-")["files"] == ["--help", "-"]


MISTAKES = [
    ("--trainig.epochs 3", "--trainig.epochs is not an option of train; did you mean --training"),
    ("--epochs 3", "did you mean --training.epochs?"),
    ("--reusme", "did you mean --resume?"),
    ("--zzz 3", "--zzz is not an option of train."),
    ("-x", "-x is not an option of train."),
    ("--training 3", "--training is a section of settings; it has --training.epochs, "),
    ("--training.epochs abc", "--training.epochs must be an integer, got 'abc'."),
    ("--training.epochs", "--training.epochs needs a value: --training.epochs N."),
    ("--training.epochs --resume", "--training.epochs needs a value: --training.epochs N."),
    ("--training.epochs 0", "--training.epochs: epochs must be at least 1, got 0; use 1 to try."),
    ("--training.average", "--training.average needs a value: --training.average true|false."),
    ("--training.average 3", "--training.average must be true or false, got '3'."),
    ("--training.cell rnn", "--training.cell must be one of gru, lstm, got 'rnn'."),
    ("--data.widths 1", "--data.widths must be a list [N, ...] (each an integer), got '1'."),
    ("--data.source xx --seed 1", "--seed: language xx cannot have seed 1."),
    ("--resume=1", "--resume is a switch and takes no value, got '1'."),
    ("--n-best 3", "train does not take --n-best; predict does."),
    (
        "--config missing.toml",
        "there is no configuration file missing.toml; give a TOML file's path.",
    ),
    ("tran", "tran is not a command; did you mean train?"),
    ("xyz", "xyz is not a command; there are train, predict."),
    ("train foo", "train has no use for the argument 'foo'"),
    ("--seed 3 train", "the command comes first"),
    ("predict", "predict needs BUNDLE: Folder that `train` wrote."),
    ("predict B --n-best x", "--n-best must be an integer, got 'x'."),
    ("predict B --training.epochs 3", "predict does not take --training.epochs; train does."),
    ("predict B --config x.toml", "predict does not take --config; train does."),
    ("predict B --nbest 3", "did you mean --n-best?"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_wrong_command_says_what_is_wrong(capsys, line, message):
    assert run(PROGRAM, line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert "\nSee: python -m sample " in err


@pytest.mark.parametrize("line", ["--trainig.epochs 3", "--training.epochs 0", "predict", "tran"])
def test_a_wrong_command_as_a_process(line):
    result = sample(*line.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 2


def test_help_points_to_the_command_that_was_wrong(capsys):
    run(PROGRAM, ["predict", "--zzz"])
    assert "See: python -m sample predict --help" in capsys.readouterr().err
    run(PROGRAM, ["--zzz"])
    assert "See: python -m sample train --help" in capsys.readouterr().err


def test_failed_work_is_exit_1_without_a_traceback():
    result = sample("--from", "missing")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: there is no bundle missing; train one first.\n"


def test_a_bug_keeps_its_traceback():
    result = sample("--from", "bug")
    assert "Traceback" in result.stderr
    assert "RuntimeError: a bug" in result.stderr


def test_ctrl_c_says_how_to_go_on(capsys, toml):
    assert run(PROGRAM, ["--from", "interrupt", "--config", toml]) == 130
    expected = f"python -m sample train --from interrupt --config {toml} --resume\n"
    assert capsys.readouterr().err == f"\nStopped. To continue: {expected}"
    assert run(PROGRAM, ["train", "--resume", "--from", "interrupt"]) == 130
    assert capsys.readouterr().err.count("--resume") == 1


def test_ctrl_c_where_nothing_can_be_resumed_or_the_handler_knows_better(capsys):
    def stop(options, settings):
        raise KeyboardInterrupt

    def tell(options, settings):
        raise KeyboardInterrupt("Stopped at step 3.")

    commands = (
        Command(name="stop", help="", handler=stop),
        Command(name="tell", help="", handler=tell),
    )
    program = Program(name="p", description="", commands=commands)
    assert run(program, ["stop"]) == 130
    assert capsys.readouterr().err == "\nStopped.\n"
    assert run(program, ["tell"]) == 130
    assert capsys.readouterr().err == "\nStopped at step 3.\n"


def test_ctrl_c_that_hits_compiled_code_is_a_ctrl_c(capsys):
    """Python says `returned a result with an exception set`, Keras raises it again `from None`."""

    def hit(options, settings):
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as stop:
                raise SystemError("returned a result with an exception set") from stop
        except SystemError as error:
            raise error from None

    def broken(options, settings):
        raise SystemError("bad call")

    commands = (
        Command(name="hit", help="", handler=hit),
        Command(name="broken", help="", handler=broken),
    )
    program = Program(name="p", description="", commands=commands)
    assert run(program, ["hit"]) == 130
    assert capsys.readouterr().err == "\nStopped.\n"
    with pytest.raises(SystemError, match="bad call"):
        run(program, ["broken"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_request_to_end_is_like_ctrl_c_and_once_is_enough(capsys, monkeypatch, number, code):
    kept = []

    def work(options, settings):
        try:
            os.kill(os.getpid(), number)
            pytest.fail("it must not go on")
        except KeyboardInterrupt:
            # A scheduler may ask again while a checkpoint is written.
            os.kill(os.getpid(), number)
            kept.append("checkpoint")
            raise

    commands = (Command(name="train", help="", handler=work, options=sample_program.Train),)
    program = Program(name="p", description="", commands=commands)
    assert run(program, ["--from", "b"]) == code
    assert kept == ["checkpoint"]
    assert capsys.readouterr().err == "\nStopped. To continue: p train --from b --resume\n"
    # Afterwards it ends the process, as before; and a signal that is ignored (nohup) stays so.
    assert signal.getsignal(number) is signal.SIG_DFL
    signal.signal(number, signal.SIG_IGN)
    try:
        seen = (Command(name="a", help="", handler=lambda *_: os.kill(os.getpid(), number)),)
        assert run(Program(name="p", description="", commands=seen), []) == 0
    finally:
        signal.signal(number, signal.SIG_DFL)


STREAMS = """
import os, sys
from seqapps.arguments import Command, Program, run, standard_input
def answer(options, settings):
    sys.stderr.write("told\\n")
    for line in standard_input():
        # In place of a descriptor that was closed there would be this file.
        with open(sys.argv[1], "ab") as file:
            assert file.fileno() > 2
            file.write(line)
        sys.stdout.write("x" * 100_000)
commands = (Command(name="a", help="", handler=answer),)
sys.exit(run(Program(name="p", description="", commands=commands), []))
"""


@pytest.mark.parametrize(
    ("streams", "code", "err"),
    [
        ("< in > /dev/null", 0, "told\n"),
        ("<&- > /dev/null", 1, "told\nerror: standard input is closed, and the questions would c"),
        ("< in >&-", 1, "error: standard output is closed, and what a command gives goes there; "),
        ("< in > /dev/null 2>&-", 0, ""),
        ("< in <&- >&- 2>&-", 1, ""),
        ("< in > /dev/full", 1, "told\nerror: standard output cannot be written: No space left on"),
    ],
)
def test_streams_that_are_closed_or_full(tmp_path, streams, code, err):
    (tmp_path / "program.py").write_text(STREAMS)
    (tmp_path / "in").write_text("a question\n")
    done = subprocess.run(
        ["bash", "-c", f"exec {sys.executable} program.py out {streams}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(err)
    # A sentence, and nothing at exit.
    assert done.stderr.count("\n") == err.count("\n") + bool(code and err)
    assert (tmp_path / "out").exists() == (
        streams in ("< in > /dev/null", "< in > /dev/null 2>&-") or "full" in streams
    )


def test_a_full_disk_is_a_sentence_that_says_where_and_how_to_go_on(capsys):
    def fill(options, settings):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/b.training/assets")

    def quote(options, settings):
        # As libraries that have errors of their own do.
        raise RuntimeError("Can't close file (errno = 27, error message = 'File too large')")

    for handler, where in (
        (fill, "/data/b.training/assets cannot be written: No space left"),
        (quote, "a file cannot be written: File too large (Can't close"),
    ):
        commands = (Command(name="train", help="", handler=handler, options=sample_program.Train),)
        assert run(Program(name="p", description="", commands=commands), ["--from", "b"]) == 1
        err = capsys.readouterr().err
        assert err.startswith(f"error: {where}")
        assert err.endswith(
            "What was finished before is whole. Free some space, and go on: "
            "p train --from b --resume.\n"
        )


def test_a_configuration_that_came_with_it_is_found_by_its_name(capsys, tmp_path, monkeypatch):
    shipped = tmp_path / "package" / "sample"
    shipped.mkdir(parents=True)
    (shipped / "small.toml").write_text("seed = 5\n")
    program = dataclasses.replace(PROGRAM, shipped=(tmp_path / "none", shipped))
    monkeypatch.chdir(tmp_path)
    for name in ("small", "small.toml", "recipes/sample/small.toml"):
        assert run(program, ["--config", name]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["config"]["seed"] == 5
        assert told["file"] == str(shipped / "small.toml")
    # What is here is meant first; a folder of that name, as data have, is no configuration.
    (tmp_path / "small").mkdir()
    (tmp_path / "small.toml").write_text("seed = 6\n")
    for name, seed in (("small", 5), ("small.toml", 6)):
        assert run(program, ["--config", name]) == 0
        assert json.loads(capsys.readouterr().out)["config"]["seed"] == seed
    assert run(program, ["--config", "smal"]) == 2
    assert "there is no configuration smal; did you mean small?" in capsys.readouterr().err
    assert run(program, ["--config", "other/smal.toml"]) == 2
    assert "there is no configuration file other/smal.toml; " in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error():
    line = f"{sys.executable} {sample_program.__file__} predict B --n-best 1000 | head -n 1"
    result = subprocess.run(
        ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (141, "")
    assert json.loads(result.stdout)["n_best"] == 1000


def test_answers_are_utf8_whatever_the_terminal_says_of_itself():
    code = (
        "import sys\n"
        "from seqapps.arguments import Command, Program, run\n"
        "def answer(options, settings):\n"
        "    sys.stdout.write('Größe ☃\\n')\n"
        "commands = (Command(name='a', help='', handler=answer),)\n"
        "sys.exit(run(Program(name='p', description='', commands=commands), []))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "Größe ☃\n"


def test_a_handler_can_say_what_was_typed(toml):
    typed = []
    commands = (
        Command(
            name="a",
            help="",
            handler=lambda _, settings: typed.append(settings.typed),
            sections="all",
        ),
    )
    program = Program(name="p", description="", commands=commands, config=Config)
    assert run(program, ["--config", toml, "--data.source", "a b"]) == 0
    assert typed == [f"a --config {toml} --data.source 'a b'"]


def test_other_broken_pipes_are_not_hidden():
    def lose(options, settings):
        raise BrokenPipeError("a socket")

    program = Program(
        name="p", description="", commands=(Command(name="a", help="", handler=lose),)
    )
    with pytest.raises(BrokenPipeError, match="a socket"):
        run(program, [])


def test_the_handler_chooses_its_exit_code():
    commands = (Command(name="a", help="", handler=lambda options, settings: 1),)
    assert run(Program(name="p", description="", commands=commands), []) == 1


def test_an_option_named_like_a_setting_is_refused():
    @dataclass(frozen=True, kw_only=True)
    class Clash:
        seed: int = 0

    command = Command(name="a", help="", handler=print, options=Clash, sections="all")
    program = Program(name="p", description="", commands=(command,), config=Config)
    with pytest.raises(TypeError, match="options and settings of one name: {'--seed'}"):
        run(program, [])


def test_the_overview_lists_commands_and_examples(capsys):
    assert run(PROGRAM, ["--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: python -m sample [COMMAND] [OPTIONS]\n\nTrains a sample.\n")
    assert "  train    Train a model (if no command is given)\n" in out
    assert "  predict  Answer\n" in out
    assert "  python -m sample train --config sample.toml\n" in out


def test_help_of_a_command_explains_every_flag_it_takes(capsys):
    assert run(PROGRAM, ["train", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Usage: python -m sample train [OPTIONS]\n\nTrain a model.\n\nExamples:")
    # A dataclass's docstring may span lines; help joins them.
    assert "  --data.source TEXT  (default: en)\n      Language code of the input.\n" in out
    assert "  --training.average true|false  (default: false)\n" in out
    assert "  --training.cell gru|lstm  (default: gru)\n" in out
    assert "Settings, training.schedule:\n  --training.schedule.peak X  (default: 0.004)\n" in out
    assert "Settings:\n  --seed N  (default: 0)\n" in out
    assert "  --resume\n      Continue an interrupted run.\n" in out
    assert "  --from PATH\n" in out
    assert "  --config PATH\n" in out
    for jargon in ("print_config", "CONFIG", "ARG:", "class_path", "MISSING"):
        assert jargon not in out
    assert max(map(len, out.splitlines())) <= 100


def test_help_shows_arguments_and_only_the_sections_of_the_command(capsys):
    assert run(PROGRAM, ["predict", "B", "--help"]) == 0
    out = capsys.readouterr().out
    assert "Usage: python -m sample predict BUNDLE [FILES ...] [OPTIONS]\n" in out
    assert "  --n-best N  (default: 1)\n      Answers for each input.\n" in out
    assert "--data.source" in out
    for absent in ("--training", "--seed", "--config"):
        assert absent not in out


def test_version(capsys):
    assert run(PROGRAM, ["--version"]) == 0
    assert capsys.readouterr().out.startswith("seqapps 0.")


@pytest.mark.parametrize("argv", [["--help"], ["train", "--help"], ["--training.epochs", "3"]])
def test_a_command_line_costs_no_tensorflow(argv):
    # A program sees its arguments from sys.argv[1] on; here its path comes first.
    code = (
        "import runpy, sys\n"
        "path = sys.argv.pop(1)\n"
        "try: runpy.run_path(path, run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & sys.modules.keys()\n"
        "assert '--help' not in sys.argv or 'jsonargparse' not in sys.modules\n"
    )
    result = sample(sample_program.__file__, *argv, code=code)
    assert result.returncode == 0, result.stderr
