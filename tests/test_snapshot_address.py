"""What may be written for A and B, and what is said about anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.errors import UncribError
from detector.snapshot.address import parse
from detector.snapshot.web import link_template

ID = "b02e4d7872bafd5a376e604ee069c2342f11062d"


@pytest.mark.parametrize(
    ("source", "location", "revision", "label"),
    [
        ("https://github.com/o/n", "https://github.com/o/n", None, "o/n"),
        ("https://github.com/o/n.git/", "https://github.com/o/n.git", None, "o/n"),
        ("https://github.com/o/n@v1.0", "https://github.com/o/n", "v1.0", "o/n"),
        ("https://github.com/o/n@feature/x", "https://github.com/o/n", "feature/x", "o/n"),
        ("https://github.com/o/n/tree/feature/x", "https://github.com/o/n", "feature/x", "o/n"),
        (f"https://huggingface.co/o/n/commit/{ID}", "https://huggingface.co/o/n", ID, "o/n"),
        ("https://me@host.org/o/n.git@main", "https://me@host.org/o/n.git", "main", "o/n"),
        ("ssh://git@host.org:22/o/n.git", "ssh://git@host.org:22/o/n.git", None, "o/n"),
        ("ssh://git@host.org/o/n.git@2024-05-27", "ssh://git@host.org/o/n.git", "2024-05-27", "o/n"),
        ("git://host.org/@scope/n@v2", "git://host.org/@scope/n", "v2", "@scope/n"),
        ("git@github.com:o/n.git", "git@github.com:o/n.git", None, "o/n"),
        ("git@github.com:o/n.git@2024-05-27", "git@github.com:o/n.git", "2024-05-27", "o/n"),
        ("host.org:o/n", "host.org:o/n", None, "o/n"),
        ("karpathy/nanoGPT", "https://github.com/karpathy/nanoGPT", None, "karpathy/nanoGPT"),
        (f"karpathy/nanoGPT@{ID}", "https://github.com/karpathy/nanoGPT", ID, "karpathy/nanoGPT"),
        ("hf:openbmb/MiniCPM", "https://huggingface.co/openbmb/MiniCPM", None, "openbmb/MiniCPM"),
        (
            "hf:openbmb/MiniCPM@refs/pr/1",
            "https://huggingface.co/openbmb/MiniCPM",
            "refs/pr/1",
            "openbmb/MiniCPM",
        ),
        ("hf:gpt2@main", "https://huggingface.co/gpt2", "main", "gpt2"),
        ("hf:datasets/o/n", "https://huggingface.co/datasets/o/n", None, "o/n"),
    ],
)
def test_a_git_source_is_taken_apart(source: str, location: str, revision: str | None, label: str) -> None:
    address = parse(source)
    assert (address.kind, address.location, address.revision, address.label) == (
        "git",
        location,
        revision,
        label,
    )


@pytest.mark.parametrize(
    ("source", "name", "version"),
    [
        ("pypi:einops", "einops", None),
        ("pypi:einops==0.8.0", "einops", "0.8.0"),
        ("pypi:einops@0.8.0", "einops", "0.8.0"),
        ("pypi:ruamel.yaml==0.18.6.post1+local", "ruamel.yaml", "0.18.6.post1+local"),
    ],
)
def test_a_package_has_a_name_and_perhaps_a_version(source: str, name: str, version: str | None) -> None:
    address = parse(source)
    assert (address.kind, address.location, address.revision) == ("pypi", name, version)


def test_an_existing_folder_wins_over_a_github_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "karpathy" / "nanoGPT").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    address = parse("karpathy/nanoGPT@v1")
    assert (address.kind, address.location, address.revision) == ("local", "karpathy/nanoGPT", "v1")


def test_a_path_may_hold_an_at_sign_itself(tmp_path: Path) -> None:
    folder = tmp_path / "me@work" / "model@2024"
    folder.mkdir(parents=True)
    assert parse(f"{folder}").revision is None
    address = parse(f"{folder}@2024-05-27")
    assert (address.location, address.revision, address.label) == (str(folder), "2024-05-27", "model@2024")
    url = parse(f"file://{folder}@main")
    assert (url.location, url.revision) == (f"file://{folder}", "main")


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert parse("~/model@main").location == str(tmp_path / "model")


@pytest.mark.parametrize("source", ["https://ada:secret@host.org/o/n", "ssh://ada:secret@host.org/o/n"])
def test_a_password_is_used_but_never_shown(source: str) -> None:
    address = parse(source)
    assert "secret" in address.location
    assert "secret" not in address.shown


def test_a_token_that_stands_for_the_user_is_not_shown() -> None:
    assert "ghp_token" not in parse("https://ghp_token@github.com/o/n").shown


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("--upload-pack=touch", "starts with a dash"),
        ("-oProxyCommand=x:y", "starts with a dash"),
        ("a/b\nc", "control characters"),
        ("ext::sh -c touch% x", "remote helper"),
        ("fd::17/x", "remote helper"),
        ("ftp://host.org/o/n", "ftp://, which is not supported"),
        ("https://", "names no repository"),
        ("https://github.com", "names no repository"),
        ("https://github.com/", "names no repository"),
        ("ssh://-oProxyCommand=x/o/n", "names no repository"),
        ("ssh://git@-oProxyCommand=x/o/n", "names no repository"),
        ("hf:a/b/c/d", "write hf:org/name"),
        ("hf:", "write hf:org/name"),
        ("pypi:", "write pypi:name==version"),
        ("pypi:a b==1", "write pypi:name==version"),
        ("pypi:-r==1", "write pypi:name==version"),
        ("no-such-folder", "there is no folder no-such-folder"),
        ("./no/such/folder", "there is no folder ./no/such/folder"),
        ("~no-such-user/folder", "there is no folder ~no-such-user/folder"),
        ("x" * 10_000, "there is no folder"),
        ("/no/such/folder", "there is no folder /no/such/folder"),
        ("karpathy/nanoGPT@", "names no revision"),
        ("karpathy/nanoGPT@-x", "cannot be a revision"),
        ("karpathy/nanoGPT@a b", "cannot be a revision"),
        ("file:///no/such/repository@main", "there is no repository at file:///no/such/repository"),
    ],
)
def test_a_wrong_source_gets_one_clear_line(source: str, said: str) -> None:
    with pytest.raises(UncribError) as error:
        parse(source)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://github.com/o/n.git", "https://github.com/o/n/blob/ID/a.py#L1-L2"),
        ("git@github.com:o/n.git", "https://github.com/o/n/blob/ID/a.py#L1-L2"),
        ("ssh://git@github.com/o/n", "https://github.com/o/n/blob/ID/a.py#L1-L2"),
        ("https://token@github.com/o/n", "https://github.com/o/n/blob/ID/a.py#L1-L2"),
        ("https://gitlab.com/g/sub/n", "https://gitlab.com/g/sub/n/-/blob/ID/a.py#L1-2"),
        ("https://gitlab.example.org/g/n.git", "https://gitlab.example.org/g/n/-/blob/ID/a.py#L1-2"),
        ("https://huggingface.co/o/n", "https://huggingface.co/o/n/blob/ID/a.py#L1-L2"),
        ("git@hf.co:o/n", "https://huggingface.co/o/n/blob/ID/a.py#L1-L2"),
    ],
)
def test_known_hosts_have_permanent_links(url: str, link: str) -> None:
    template = link_template(url)
    assert template is not None
    assert template.format(commit="ID", path="a.py", start=1, end=2) == link


@pytest.mark.parametrize(
    "url", ["https://example.org/o/n", "/local/path", "file:///x/y", "https://github.com/{o}/n"]
)
def test_other_hosts_have_none(url: str) -> None:
    assert link_template(url) is None
