"""The command line, run as a user runs it: real repositories in, text, files and an exit status out."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from git_factory import Repository, new_repository
from interrupt import heeded

from detector.cli.main import status

MODEL = '''
import torch


class Slicer(torch.nn.Module):
    """Cut a picture into a grid and remember where each piece came from."""

    def __init__(self, width, most=9):
        super().__init__()
        self.width = width
        self.most = most
        self.mix = torch.nn.Linear(width * 3, width)

    def forward(self, picture, mask=None):
        rows = max(1, min(self.most, round((picture.shape[-2] / picture.shape[-1]) ** 0.5 * 3)))
        pieces = torch.stack([part.roll(rows, -1) for part in picture.chunk(rows, dim=-2)])
        weights = torch.softmax(pieces.flatten(1).std(-1) * 0.37 + rows, 0)
        mixed = torch.einsum("n,n...->...", weights, pieces).clamp(-2.5, 2.5)
        return self.mix(torch.cat([mixed, mixed.cumsum(-1), mixed.flip(-2)], -1)), weights
'''
COPY = MODEL.replace("Slicer", "Tiler").replace("rows", "n").replace("pieces", "tiles").replace("mixed", "x")

SIFTER = (Path(__file__).parents[1] / "examples" / "original" / "sifter.py").read_text("utf-8")


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    a, b = new_repository(tmp_path / "a"), new_repository(tmp_path / "b")
    a.commit({"model.py": MODEL, "config.json": '{"slice_rows": 9}'})
    b.commit({"net/tiler.py": COPY, "config.json": '{"slice_rows": 9}'})
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    monkeypatch.setenv("UNCRIB_CACHE_DIR", str(tmp_path / "cache"))
    return str(a.path), str(b.path)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What went to stderr, which for an error must be one line."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and "Traceback" not in text, text
    return text


class TestCompare:
    def test_without_output_options_a_summary_is_printed_and_an_html_report_written(
        self, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert status(["compare", *pair]) == 0
        printed = capsys.readouterr()
        assert "evidence of common origin" in printed.out
        assert "Slicer.forward" in printed.out and "Tiler.forward" in printed.out
        assert "report.html" in printed.out
        assert Path("report.html").read_text("utf-8").startswith("<!")
        assert printed.err == ""  # no progress where stderr is no terminal

    def test_each_output_is_written_and_nothing_else(self, pair: tuple[str, str]) -> None:
        options = ["--html", "r.html", "--json", "r.json", "--md", "r.md", "--sarif", "r.sarif"]
        assert status(["compare", *pair, *options, "-q"]) == 0
        assert sorted(path.name for path in Path().iterdir()) == ["r.html", "r.json", "r.md", "r.sarif"]
        assert json.loads(Path("r.sarif").read_text("utf-8"))["version"] == "2.1.0"

    def test_json_to_stdout_is_json_alone(
        self, pair: tuple[str, str], capfdbinary: pytest.CaptureFixture[bytes]
    ) -> None:
        assert status(["compare", *pair, "--json", "-"]) == 0
        assert json.loads(capfdbinary.readouterr().out)["a"]["source"] == pair[0]

    def test_quiet_prints_nothing(self, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        assert status(["compare", *pair, "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")

    def test_verbose_says_what_each_phase_took(
        self, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert status(["compare", *pair, "-v", "--json", "r.json"]) == 0
        assert "code: " in capsys.readouterr().err

    def test_fail_on_any_is_met_and_fail_on_strong_is_not(self, pair: tuple[str, str]) -> None:
        assert status(["compare", *pair, "-q", "--only", "code", "--fail-on", "any"]) == 1
        assert status(["compare", *pair, "-q", "--only", "code", "--fail-on", "strong"]) == 0

    def test_only_and_skip_choose_classes(self, pair: tuple[str, str]) -> None:
        assert status(["compare", *pair, "-q", "--json", "r.json", "--only", "code", "--only", "config"]) == 0
        assert [row["name"] for row in json.loads(Path("r.json").read_text())["classes"]] == [
            "code",
            "config",
        ]
        assert status(["compare", *pair, "-q", "--json", "r.json", "--skip", "code"]) == 0
        assert "code" not in [row["name"] for row in json.loads(Path("r.json").read_text())["classes"]]

    def test_a_limit_that_bites_is_named_in_a_warning(self, pair: tuple[str, str]) -> None:
        assert status(["compare", *pair, "-q", "--json", "r.json", "--limit", "file_bytes=100"]) == 0
        warnings = json.loads(Path("r.json").read_text())["warnings"]
        assert any("file_bytes" in warning["message"] for warning in warnings)

    def test_dirty_reads_what_is_not_committed(self, pair: tuple[str, str]) -> None:
        (Path(pair[1]) / "more.py").write_text(MODEL)
        for dirty, files in (((), 2), (("--dirty",), 3)):
            assert status(["compare", *pair, "-q", "--json", "r.json", *dirty]) == 0
            assert json.loads(Path("r.json").read_text())["b"]["files"] == files


class TestWrongUse:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["compare", "{a}"], "missing argument 'B'"),
            (["compare", "{a}", "{b}", "--frobnicate"], "no such option"),
            (["compare", "{a}", "{b}", "--jobs", "many"], "--jobs"),
            (["compare", "{a}", "{b}", "--jobs", "-3"], "jobs"),
            (["compare", "{a}", "{b}", "--threshold", "0"], "threshold"),
            (["compare", "{a}", "{b}", "--threshold", "nan"], "threshold"),
            (["compare", "{a}", "{b}", "--only", "colour"], "no evidence class 'colour'"),
            (["compare", "{a}", "{b}", "--fail-on", "weak"], "choose from strong, any"),
            (["compare", "{a}", "{b}", "--limit", "seconds"], "NAME=NUMBER"),
            (["compare", "{a}", "{b}", "--limit", "colour=3"], "'colour'"),
            (["compare", "{a}", "{b}", "--limit", "seconds=-1"], "seconds"),
            (["compare", "{a}", "{b}", "--answers", "one.jsonl"], "answers"),
            (["compare", "/no/such/place", "{b}"], "/no/such/place"),
            (["compare", "{a}", "{b}@no-such-branch"], "no-such-branch"),
            (["compare", "{a}", "{b}", "--upstream", "/no/such/place"], "/no/such/place"),
            (["compare", "{a}", "{b}", "--html", "no/such/folder/r.html"], "create it first"),
            (["compare", "{a}", "{b}", "--json", "."], "is a folder"),
            (["compare", "{a}", "{b}", "--json", "r", "--html", "./r"], "same file"),
            (["compare", "{a}", "{b}", "--graph", "r.dot"], "ends in .graphml or .gexf"),
            (["compare", "{a}", "{b}", "--graph", "-"], "ends in .graphml or .gexf"),
            (["frobnicate"], "no such command"),
            (["report", "nowhere.json", "--md", "r.md"], "nowhere.json"),
            (["report", "nowhere.json"], "nothing to write"),
            (["show", "nowhere.json"], "nowhere.json"),
            (["verify", "nowhere.json"], "nowhere.json"),
            (["behaviour", "nowhere.jsonl", "nowhere.jsonl"], "nowhere.jsonl"),
            (["background", "build", "--packages", "nowhere.txt", "--out", "t.bin"], "nowhere.txt"),
            (["audit", "{a}"], "--against"),
        ],
    )
    def test_gets_one_clear_line_and_status_2(
        self,
        pair: tuple[str, str],
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        expected: str,
    ) -> None:
        assert status([argument.format(a=pair[0], b=pair[1]) for argument in arguments]) == 2
        assert expected.lower() in said(capsys).lower()
        assert not list(Path().iterdir())  # it was found before anything was written

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
    def test_an_output_that_may_not_be_written_is_found_before_the_work(
        self, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        Path("r.json").touch(mode=stat.S_IRUSR)
        assert status(["compare", "/no/such/place", pair[1], "--json", "r.json"]) == 2
        assert "may not be written" in said(capsys)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    def test_a_full_disk_is_one_line(self, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        assert status(["compare", *pair, "-q", "--json", "/dev/full"]) == 2
        assert "/dev/full could not be written" in said(capsys)

    def test_an_unexpected_error_is_one_line_with_a_hint_and_v_gives_the_traceback(
        self, pair: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError("surprise")

        monkeypatch.setattr("detector.report.assemble.assemble", broken)
        assert status(["compare", *pair]) == 2
        assert "surprise" in (line := said(capsys)) and "-v" in line
        assert status(["compare", *pair, "-v"]) == 2
        assert "Traceback" in capsys.readouterr().err


class TestReportAgain:
    @pytest.fixture
    def report(self, pair: tuple[str, str]) -> str:
        assert status(["compare", *pair, "-q", "--json", "r.json"]) == 0
        return "r.json"

    def test_renders_in_other_forms(self, report: str) -> None:
        assert status(["report", report, "--html", "r.html", "--md", "r.md"]) == 0
        assert "Tiler" in Path("r.md").read_text("utf-8")
        assert Path("r.html").stat().st_size > 1000

    def test_show_prints_the_summary_and_one_finding(
        self, report: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert status(["show", report]) == 0
        assert "evidence of common origin" in capsys.readouterr().out
        [first, *_] = json.loads(Path(report).read_text("utf-8"))["findings"]
        assert status(["show", report, first["id"]]) == 0
        assert first["a"][0]["path"] in capsys.readouterr().out

    def test_verify_holds_and_notices_an_edit_and_a_missing_source(
        self, report: str, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert status(["verify", report]) == 0
        assert "The report holds" in capsys.readouterr().out
        text = Path(report).read_text("utf-8")
        Path("edited.json").write_text(text.replace("Tiler.forward", "Other.forward"), "utf-8")
        assert status(["verify", "edited.json"]) == 1
        assert "changed after it was written" in capsys.readouterr().out
        Path(pair[1]).rename(pair[1] + "-elsewhere")
        assert status(["verify", report]) == 2
        said(capsys)

    def test_verify_compares_the_commits_that_were_compared(
        self, report: str, pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        Repository(Path(pair[1])).commit({"net/tiler.py": "nothing = None\n"}, at="2024-06-01T00:00:00Z")
        assert status(["verify", report]) == 0
        assert "The report holds" in capsys.readouterr().out


class TestAudit:
    def test_says_what_to_do_and_writes_a_report_for_each_source(
        self, pair: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for repository in pair:
            Repository(Path(repository)).commit({"sifter.py": SIFTER}, at="2024-06-01T00:00:00Z")
        other = new_repository(tmp_path / "other")
        other.commit({"sums.py": "def total(numbers):\n    return sum(numbers)\n"})
        against = ["--against", pair[0], "--against", str(other.path), "--against", pair[0] + "/.git"]
        assert status(["audit", pair[1], *against, "--fail-on", "any"]) == 1
        printed = capsys.readouterr().out
        assert "licence" in printed
        assert "nothing to do" in printed
        assert sorted(path.name for path in Path("uncrib-audit").iterdir()) == [
            "a.html", "a~2.html", "other.html",
        ]  # fmt: skip

    def test_with_graph_each_report_has_its_graph_beside_it(self, pair: tuple[str, str]) -> None:
        assert status(["audit", pair[1], "--against", pair[0], "-q", "--graph", "--only", "code"]) == 0
        assert sorted(path.name for path in Path("uncrib-audit").iterdir()) == ["a.graphml", "a.html"]

    def test_a_clean_repository_passes(self, pair: tuple[str, str], tmp_path: Path) -> None:
        own = new_repository(tmp_path / "own")
        own.commit({"sums.py": "def total(numbers):\n    return sum(numbers)\n"})
        assert status(["audit", str(own.path), "--against", pair[0], "-q", "--fail-on", "any"]) == 0


class TestSettings:
    def test_the_nearest_pyproject_gives_defaults_and_the_command_line_wins(
        self, pair: tuple[str, str]
    ) -> None:
        Path("pyproject.toml").write_text(
            '[tool.uncrib]\nonly = ["config"]\nthreshold = 0.5\nfail-on = "any"\n'
            "limits = { file-bytes = 9999 }\n"
        )
        inner = Path("deep/inner")
        inner.mkdir(parents=True)
        os.chdir(inner)
        assert status(["compare", *pair, "-q", "--json", "r.json"]) in (0, 1)
        assert json.loads(Path("r.json").read_text())["tool"]["options"] == {
            "only": ["config"], "threshold": 0.5, "limits": {"file_bytes": 9999},
        }  # fmt: skip
        assert status(["compare", *pair, "-q", "--json", "r.json", "--only", "code"]) == 1
        assert json.loads(Path("r.json").read_text())["tool"]["options"]["only"] == ["code"]

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("colour = 3", "'colour'"),
            ('jobs = "two"', "whole number"),
            ("only = 3", "list of texts"),
            ("history = 1", "true or false"),
            ("limits = 3", "table"),
            ("limits = { colour = 3 }", "'colour'"),
            ('fail-on = "weak"', "strong, any"),
            ('json = "/etc/passwd"', "'json'"),  # no place to write to comes from a repository's settings
            ("threshold = ", "TOML"),
        ],
    )
    def test_a_wrong_key_or_value_is_one_clear_line(
        self, pair: tuple[str, str], capsys: pytest.CaptureFixture[str], line: str, expected: str
    ) -> None:
        Path("pyproject.toml").write_text(f"[tool.uncrib]\n{line}\n")
        assert status(["compare", *pair]) == 2
        assert expected in said(capsys)


class TestProcess:
    """What only a process of its own shows."""

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "detector", *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_help_shows_examples_and_loads_nothing_heavy(self) -> None:
        program = (
            "import sys; from detector.cli.main import status; status(['--help']); "
            "print(sorted({'numpy', 'scipy', 'networkx', 'datasketch', 'tree_sitter', 'rich', 'jinja2', "
            "'pygments', 'yaml'} & set(sys.modules)), file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert "Examples:" in done.stdout and "compare" in done.stdout
        assert done.stderr.strip() == "[]"

    def test_version(self) -> None:
        assert self.run("--version").stdout.startswith("uncrib ")

    def test_shell_completion_knows_the_commands(self) -> None:
        typed = {"_UNCRIB_COMPLETE": "complete_bash", "COMP_WORDS": "uncrib comp", "COMP_CWORD": "1"}
        assert self.run(**typed).stdout.strip() == "compare"

    def test_a_closed_pipe_is_no_error(self, pair: tuple[str, str]) -> None:
        command = f"'{sys.executable}' -m detector compare '{pair[0]}' '{pair[1]}' | head -n 1"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.stderr == ""

    def test_a_run_ends_at_once_with_all_that_it_said_its_status_and_no_folder_left(
        self, pair: tuple[str, str], tmp_path: Path
    ) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        program = (
            "import sys, tempfile; from detector.cli import main; kept = tempfile.TemporaryDirectory; "
            "tempfile.TemporaryDirectory = lambda *a, **k: print('made', file=sys.stderr) or kept(*a, **k); "
            "main.run()"
        )
        command = [sys.executable, "-c", program, "compare", *pair, "--json", "-", "--fail-on", "any"]
        done = subprocess.run(
            command, env={**os.environ, "TMPDIR": str(scratch)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert json.loads(done.stdout)["a"]["source"] == pair[0]
        assert "made" in done.stderr and not list(scratch.iterdir())
        assert self.run("compare", "/no/such/place", pair[1]).returncode == 2

    def test_odd_names_reach_an_ascii_terminal(self, pair: tuple[str, str], tmp_path: Path) -> None:
        odd = new_repository(tmp_path / "odd")
        odd.commit({"modèle\u202e[red].py": MODEL})
        done = self.run("compare", pair[0], str(odd.path), PYTHONIOENCODING="ascii", NO_COLOR="1")
        assert done.returncode == 0 and done.stderr == ""
        assert "\x1b" not in done.stdout and "[red].py" in done.stdout

    @pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
    def test_ctrl_c_ends_with_130_and_no_traceback(self, pair: tuple[str, str], tmp_path: Path) -> None:
        heeded()
        slow = new_repository(tmp_path / "slow")
        slow.commit({f"part{number}.py": MODEL.replace("0.37", f"0.{number}") * 20 for number in range(60)})
        process = subprocess.Popen(
            [sys.executable, "-m", "detector", "compare", pair[0], str(slow.path), "--jobs", "1", "-v"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        assert "open" in process.stderr.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "interrupted" in rest and "Traceback" not in rest
