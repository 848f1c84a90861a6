# Copyright (c) the collection's authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code with a requirements.txt, packaged with what it depends on by the real pip."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.payments.cfn.plugins.module_utils import package, wheels
from ansible_collections.payments.cfn.plugins.module_utils.errors import CfnError
from ansible_collections.payments.cfn.plugins.module_utils.package import Destination
from ansible_collections.payments.cfn.plugins.module_utils.templates import load_tree

from .conftest import COLLECTIONS, RunModule, Write
from .wheelhouse import Wheelhouse

HERE = Destination("bucket", "eu-west-1")
FUNCTION = """
    Resources:
      Function:
        Type: AWS::Lambda::Function
        Properties: {Code: code, Runtime: python3.13, Handler: index.handler}
    """


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    """An empty folder of wheels, the only place that pip knows."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    made = Wheelhouse(tmp_path / "wheels")
    for name, value in made.environment(tmp_path / "cache").items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture
def root(write: Write) -> Path:
    """A template with a function whose code has one file."""
    write("code/index.py", "import first\n")
    return write("root.yml", FUNCTION)


def built(root: Path, **options: Any) -> bytes:
    """The zip of the function."""
    made = package.build(load_tree(root), {}, (), HERE, **options)
    return made.contents[made.release.artifacts[0].key]


def names(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.namelist()


def sentences(root: Path) -> list[str]:
    with pytest.raises(CfnError) as caught:
        built(root)
    return list(caught.value.findings)


def listed(root: Path, wheelhouse: Wheelhouse) -> Path:
    """Write the requirements file that lists the whole wheelhouse."""
    path = root.parent / "code/requirements.txt"
    path.write_text(wheelhouse.requirements(), encoding="utf-8")
    return path


def test_the_zip_holds_the_code_and_what_it_needs_to_run(
    root: Path, wheelhouse: Wheelhouse, tmp_path: Path
) -> None:
    wheelhouse.add(
        "First_Part",
        files={
            "first/__init__.py": "import second\n",
            "first/data.txt": "",
            "first/__pycache__/__init__.cpython-313.pyc": "",
            "first/old.pyc": "",
        },
        requires=["second>=2", "third; sys_platform == 'win32'", "fourth; extra == 'more'"],
    )
    wheelhouse.add("second", "2.5")
    listed(root, wheelhouse)
    content = built(root)
    assert names(content) == [
        "First_Part-1.0.dist-info/METADATA",
        "First_Part-1.0.dist-info/licenses/LICENSE",
        "first/__init__.py",
        "first/data.txt",
        "index.py",
        "second-2.5.dist-info/METADATA",
        "second-2.5.dist-info/licenses/LICENSE",
        "second.py",
    ]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}
        archive.extractall(tmp_path / "task")
    code = (
        "import index, importlib.metadata as m; print(m.version('first-part'), m.version('second'))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, sys.argv[1]); {code}",
         str(tmp_path / "task")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "1.0 2.5\n"


def test_a_second_run_needs_neither_index_nor_pip(
    root: Path, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheelhouse.add("first")
    listed(root, wheelhouse)
    content = built(root)
    shutil.rmtree(wheelhouse.directory)
    monkeypatch.setattr(sys, "executable", "/there/is/no/python")
    assert built(root) == content


def test_the_bytes_depend_on_code_and_requirements_only(
    root: Path, wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheelhouse.add("second")
    path = wheelhouse.add("first")
    for digests in wheelhouse.hashes.values():
        digests.append("0" * 64)  # such as that of an sdist
    requirements = listed(root, wheelhouse)
    content = built(root)
    # elsewhere, at another time, by somebody with other habits
    os.utime(path, (0, 0))
    before = os.umask(0o077)
    try:
        elsewhere = Path(shutil.copytree(root.parent, tmp_path / "elsewhere")) / root.name
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
        lines = requirements.read_text(encoding="utf-8").replace("\\\n", "").splitlines()
        turned = [[words[0], *words[:0:-1]] for words in map(str.split, reversed(lines))]
        other = "# ours\n\n" + "\n".join(f"{' '.join(words)}  # {words[0]}" for words in turned)
        (elsewhere.parent / "code/requirements.txt").write_text(other, encoding="utf-8")
        assert built(elsewhere) == content
    finally:
        os.umask(before)
    assert sorted(entry.name for entry in wheels.cache_directory().iterdir()) == sorted(
        entry.name for entry in (tmp_path / "cache/payments.cfn/wheels").iterdir()
    )
    wheelhouse.hashes.clear()
    wheelhouse.add("first", "1.1")
    listed(root, wheelhouse)
    assert built(root) != content


GOOD = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"first {GOOD}", "first is not pinned; write it as name==version, as `pip-compile"),
        (f"first>=1.0 {GOOD}", "first>=1.0 is not pinned"),
        (f"first==1.* {GOOD}", "first==1.* is not pinned"),
        (f"first[extra]==1.0 {GOOD}", "first[extra]==1.0 is not pinned"),
        (f"first @ https://host/first.whl {GOOD}", "first @ https://host/first.whl is not pinned"),
        ("./first.whl", "./first.whl is not pinned"),
        ("first==1.0", "first==1.0 has no valid --hash=sha256:…, so nobody could tell what is"),
        ("first==1.0 --hash=md5:00", "first==1.0 has no valid --hash=sha256:…"),
        (f"first==1.0 {GOOD} --hash=sha256:0", "first==1.0 has no valid --hash=sha256:…"),
        (f"first==1.0 ; python_version < '3.9' {GOOD}", "first==1.0 ; python_version < '3.9' has a "
         "marker, but the list is for one Python only; remove the marker, or the whole line if it"),
        ("--index-url https://host/simple", "the option --index-url is not taken; list packages "
         "only, and say where they come from in pip's configuration or environment"),
        ("-r other.txt", "the option -r is not taken"),
        (f"Last_one==1.0 {GOOD}", "last-one stands in line 2 already; remove one of the two"),
    ],
)  # fmt: skip
def test_what_is_left_open_is_refused_before_anything_is_fetched(
    root: Path, write: Write, line: str, says: str
) -> None:
    path = write("code/requirements.txt", f"# comment\nlast.one==1.0 {GOOD}\n{line}\n")
    (sentence,) = sentences(root)
    assert sentence.startswith(f"{path}, line 3: {says}")
    assert [str(error) for error in package.check(load_tree(root), {}, ())] == [sentence]


def test_every_line_that_is_wrong_is_told_at_once(root: Path, write: Write) -> None:
    write("code/requirements.txt", f"first\nsecond==1.0 \\\n  {GOOD} \\\n  # why\nthird==1\n")
    found = [str(error) for error in package.check(load_tree(root), {}, ())]
    assert [
        text.partition(": ")[0].rpartition(", ")[2] for text in "\n".join(found).split("\n")
    ] == [
        "line 1",
        "line 5",
    ]


def test_a_check_fetches_nothing(root: Path, wheelhouse: Wheelhouse) -> None:
    wheelhouse.add("first")
    listed(root, wheelhouse)
    assert package.check(load_tree(root), {}, ()) == ()
    assert "first.py" not in names(built(root, fetch=False))
    assert not wheels.cache_directory().exists()


def test_code_may_be_nothing_but_dependencies(root: Path, wheelhouse: Wheelhouse) -> None:
    wheelhouse.add("first")
    listed(root, wheelhouse)
    (root.parent / "code/index.py").unlink()
    assert package.check(load_tree(root), {}, ()) == ()
    assert "first.py" in names(built(root))


def test_only_pure_python_is_taken(root: Path, wheelhouse: Wheelhouse) -> None:
    controller = re.sub(r"[-.]", "_", sysconfig.get_platform())
    wheelhouse.add("first", tag=f"py3-none-{controller}")
    path = listed(root, wheelhouse)
    (sentence,) = sentences(root)
    assert sentence.startswith(
        f"{path}, line 1: pip finds no wheel of pure Python (…-none-any.whl) of first==1.0 for "
        "Python 3.13; choose a version or a package that has one, or an index that has it (pip "
        "says: Could not find a version that satisfies the requirement first==1.0"
    )
    # of the two, the one that suits the controller best is the other
    wheelhouse.add("first", files={"pure.py": ""})
    listed(root, wheelhouse)
    assert "pure.py" in names(built(root))


def test_it_is_the_function_s_python_that_counts(root: Path, wheelhouse: Wheelhouse) -> None:
    newer = f">=3.{sys.version_info.minor + 1}"
    wheelhouse.add("first", python=newer)
    listed(root, wheelhouse)
    text = root.read_text(encoding="utf-8")
    root.write_text(text.replace("3.13", newer.removeprefix(">=")), encoding="utf-8")
    assert "first.py" in names(built(root))
    root.write_text(text.replace("3.13", f"3.{sys.version_info.minor}"), encoding="utf-8")
    (sentence,) = sentences(root)
    assert "pip cannot fetch these packages: " in sentence
    assert f"3.{sys.version_info.minor}.0 not in '{newer}'" in sentence


def test_what_is_not_what_the_hashes_say_is_refused(root: Path, wheelhouse: Wheelhouse) -> None:
    path = wheelhouse.add("first")
    requirements = listed(root, wheelhouse)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("evil.py", "")
    (sentence,) = sentences(root)
    assert sentence.startswith(f"{requirements}: pip cannot fetch these packages: ")
    assert f"Expected sha256 {wheelhouse.hashes['first==1.0'][0]} Got " in sentence
    assert "(from -r" not in sentence
    assert "\n" not in sentence


def test_an_index_that_cannot_be_reached(
    root: Path, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheelhouse.add("first")
    listed(root, wheelhouse)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:S3CRET@127.0.0.1:1/simple")
    (sentence,) = sentences(root)
    assert "pip cannot fetch these packages: " in sentence
    assert "Connection refused" in sentence
    assert "mend that, or pip's configuration and environment, and run this again." in sentence
    assert "S3CRET" not in sentence


@pytest.mark.parametrize(
    ("requires", "says"),
    [
        (["second>=1"], "line 1: first==1.0 needs second>=1, which is not listed; list everything"),
        (["last>=2", "third; python_version >= '3.12'"],
         "line 3: first==1.0 needs last>=2, but last==1.0 is listed; change one of the two."),
    ],
)  # fmt: skip
def test_everything_that_is_needed_must_be_listed(
    root: Path, wheelhouse: Wheelhouse, requires: list[str], says: str
) -> None:
    wheelhouse.add("first", requires=requires)
    wheelhouse.add("last")
    path = listed(root, wheelhouse)
    found = sentences(root)
    assert len(found) == len(requires)
    assert found[0].startswith(f"{path}, {says}")


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("../escape.py", "has a file '../escape.py', which would lie outside of the zip; choose"),
        ("/etc/passwd", "has a file '/etc/passwd', which would lie outside of the zip"),
        ("a\\..\\b.py", "which would lie outside of the zip"),
        ("bad-1.0.data/scripts/tool", "has bad-1.0.data/scripts/tool, which is installed outside"),
        ("first.py", "first==1.0 brings the file first.py, which bad==1.0 has as well; leave one"),
        ("index.py", "bad==1.0 brings the file index.py, which the code has as well; leave one"),
        ("index.py/a", "index.py is a file of the code and a directory of bad==1.0; leave one"),
    ],
)
def test_wheels_that_cannot_be_merged(
    root: Path, wheelhouse: Wheelhouse, file: str, says: str
) -> None:
    wheelhouse.add("first")
    wheelhouse.add("bad", files={"fine.py": "", file: ""})
    path = listed(root, wheelhouse)
    (sentence,) = sentences(root)
    assert says in sentence
    assert sentence.startswith(f"{path}, line ")


def test_what_is_spoilt_in_the_cache_is_fetched_again(root: Path, wheelhouse: Wheelhouse) -> None:
    wheelhouse.add("first")
    wheelhouse.add("second")
    listed(root, wheelhouse)
    content = built(root)
    (entry,) = wheels.cache_directory().iterdir()
    (entry / "first-1.0-py3-none-any.whl").write_bytes(b"")
    assert built(root) == content
    (entry / "first-1.0-py3-none-any.whl").unlink()
    assert built(root) == content
    shutil.rmtree(wheelhouse.directory)
    assert built(root) == content
    assert [item.name for item in wheels.cache_directory().iterdir()] == [entry.name]


@pytest.fixture
def silent_index() -> Iterator[tuple[str, threading.Event]]:
    """An index that takes a request and does not answer; its URL, and whether it was asked."""
    asked, over = threading.Event(), threading.Event()

    class Silent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            over.wait()

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple", asked
        over.set()
        server.shutdown()


def test_a_run_that_is_killed_leaves_nothing_half(
    root: Path, wheelhouse: Wheelhouse, silent_index: tuple[str, threading.Event]
) -> None:
    wheelhouse.add("first")
    listed(root, wheelhouse)
    url, asked = silent_index
    environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS), "PIP_INDEX_URL": url}
    del environment["PIP_NO_INDEX"]
    module = "ansible_collections.payments.cfn.plugins.module_utils"
    code = (
        f"from {module} import package, templates\n"
        f"here = package.Destination('bucket', 'eu-west-1')\n"
        f"package.build(templates.load_tree({str(root)!r}), {{}}, (), here)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", code], env=environment, start_new_session=True)
    assert asked.wait(60)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    entries = [item.name for item in wheels.cache_directory().iterdir()]
    assert all(name.startswith(".") for name in entries)
    assert "first.py" in names(built(root))


def test_a_cache_that_cannot_be_written(
    root: Path, wheelhouse: Wheelhouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheelhouse.add("first")
    listed(root, wheelhouse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(root))
    (sentence,) = sentences(root)
    assert sentence == (
        f"{root}/payments.cfn/wheels cannot be written (Not a directory), and fetched packages are "
        "kept there; set XDG_CACHE_HOME to a directory that this user can write to."
    )
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert wheels.cache_directory() == Path("/home/somebody/.cache/payments.cfn/wheels")


@pytest.mark.parametrize(
    "resource",
    [
        "{Type: AWS::Lambda::Function, Properties: {Code: code, Runtime: nodejs22.x}}",
        "{Type: AWS::Lambda::LayerVersion, Properties: {Content: code}}",
        "{Type: AWS::ElasticBeanstalk::ApplicationVersion, Properties: {SourceBundle: code}}",
    ],
)
def test_elsewhere_the_file_is_one_like_any_other(root: Path, write: Write, resource: str) -> None:
    write("code/requirements.txt", "anything\n")
    root.write_text(f"Resources: {{R: {resource}}}\n", encoding="utf-8")
    assert names(built(root)) == ["index.py", "requirements.txt"]


def test_the_runtime_must_be_written_out(root: Path, write: Write) -> None:
    path = write("code/requirements.txt", f"first==1.0 {GOOD}\n")
    root.write_text(root.read_text(encoding="utf-8").replace("python3.13", "!Ref Runtime"))
    (sentence,) = sentences(root)
    assert sentence == (
        f"{root}, line 2: Function: Runtime must be written out, for example python3.13, because "
        f"what {path} lists is packaged for it."
    )


def test_more_than_lambda_unpacks_is_refused(root: Path) -> None:
    limit = 262_144_000
    with (root.parent / "code/large").open("wb") as file:
        file.truncate(limit)
    (sentence,) = sentences(root)
    assert sentence.startswith(
        f"{root}, line 2: Function: Code points to {root.parent}/code, which "
    )
    assert (
        "which has 262,144,013 bytes unzipped, and AWS::Lambda::Function takes at most" in sentence
    )
    with zipfile.ZipFile(
        root.parent / "ready.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1
    ) as archive:
        archive.write(root.parent / "code/large")
        archive.writestr("one", "more")
    root.write_text(root.read_text(encoding="utf-8").replace("code", "ready.zip"))
    (sentence,) = sentences(root)
    assert "ready.zip, which has 262,144,004 bytes unzipped" in sentence


def test_the_task_s_environment_is_pip_s(
    run_module: RunModule,
    root: Path,
    wheelhouse: Wheelhouse,
    bucket: str,
    cloud: dict[str, str],
) -> None:
    wheelhouse.add("first")
    requirements = listed(root, wheelhouse)
    environment = cloud | wheelhouse.environment(root.parent / "cache")
    options = {"template": str(root), "bucket": bucket, "output_dir": str(root.parent / "out")}
    done = run_module("package", options, environment=environment)
    assert not done["failed"], done
    content = (root.parent / "out" / done["artifacts"][0]["path"]).read_bytes()
    assert "first.py" in names(content)
    again = run_module("package", options, environment=environment)
    assert not again["changed"]
    requirements.write_text("first\n", encoding="utf-8")
    failed = run_module("validate", {"template": str(root)}, environment=environment)
    assert failed["findings"] == [
        f"{requirements}, line 1: first is not pinned; write it as name==version, as `pip-compile "
        "--generate-hashes` does."
    ]
