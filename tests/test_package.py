"""What is built is what is needed: a wheel in a fresh environment, from another folder."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return next(out.glob("*.whl"))


def test_the_wheel_holds_configs_demo_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "configs/score.yaml",
        "configs/codebook/3rs-2015.yaml",
        "demo/codings.csv",
        "demo/sessions/P01-1.csv",
        "report/templates/agreement.html.j2",
        "report/templates/style.css",
        "report/templates/session.html.j2",
        "report/templates/timeline.js",
        "py.typed",
    ):
        assert f"threers/{needed}" in names
    assert not [name for name in names if not name.startswith(("threers/", "threers-"))]


def test_an_installed_wheel_runs_from_anywhere(wheel, tmp_path):
    """The wheel alone in a fresh environment; its dependencies come from this one, which has no threers of its own
    there.
    """
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    python = home / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    here = subprocess.run(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    site = next((home / "lib").glob("python3*/site-packages"))
    links = site / "links"
    links.mkdir()
    for entry in Path(here).iterdir():
        if "threers" not in entry.name and entry.suffix != ".pth":
            (links / entry.name).symlink_to(entry)
    (site / "links.pth").write_text(str(links) + "\n")
    done = subprocess.run([home / "bin" / "threers", "doctor"], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr
    assert "ready, hash as expected" in done.stdout
    where = subprocess.run(
        [python, "-c", "import threers; print(threers.__file__)"], capture_output=True, text=True, cwd="/", check=True
    )
    assert str(home) in where.stdout
