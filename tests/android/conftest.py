"""A JDK, and a Kotlin compiler from the npm registry, for tests of the Android project."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from jvm import Kotlinc, join, run

KOTLIN = "kotlin-compiler@2.4.20"


@pytest.fixture(scope="session")
def java_home() -> Path:
    """Return the folder of a JDK, or skip the test."""
    compiler = shutil.which("javac")
    if compiler is None:
        pytest.skip("no JDK: javac is not there")
    return Path(compiler).resolve().parent.parent


@pytest.fixture(scope="session")
def kotlin_home(java_home: Path) -> Path:
    """Return the folder of the Kotlin compiler, fetched once for all sessions, or skip the test."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = caches / "larq_dense" / KOTLIN.replace("@", "-")
    if not home.is_dir():
        if shutil.which("npm") is None:
            pytest.skip("no Kotlin compiler: npm, which fetches it, is not there")
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            command = ["npm", "pack", "--silent", KOTLIN]
            packed = subprocess.run(command, cwd=scratch, capture_output=True, check=False)
            if packed.returncode != 0:
                pytest.skip("no Kotlin compiler: npm cannot fetch it here")
            (archive,) = Path(scratch).glob("*.tgz")
            shutil.unpack_archive(archive, scratch)
            try:
                (Path(scratch) / "package").rename(home)
            except OSError:
                assert home.is_dir()  # another process was faster
    return home


@pytest.fixture(scope="session")
def kotlin_library(kotlin_home: Path) -> Path:
    """Return the jar of Kotlin's standard library."""
    return kotlin_home / "lib" / "kotlin-stdlib.jar"


@pytest.fixture(scope="session")
def kotlinc(kotlin_home: Path) -> Kotlinc:
    """Return the Kotlin compiler."""
    names = ("compiler", "stdlib", "script-runtime", "reflect")
    jars = [kotlin_home / "lib" / f"kotlin-{name}.jar" for name in names]
    jars += (kotlin_home / "lib").glob("kotlinx-coroutines-core-jvm.jar")
    main = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
    options = ["-kotlin-home", kotlin_home, "-jvm-target", "17", "-Werror"]

    def compile_kotlin(
        sources: list[Path], output: Path, classpath: list[Path] | None = None
    ) -> None:
        found = ["-cp", join(classpath)] if classpath else []
        run("java", "-cp", join(jars), main, *options, *found, "-d", output, *sources)

    return compile_kotlin


@pytest.fixture(scope="session")
def project(checkout: Path) -> Path:
    """Return the Gradle project's folder."""
    return checkout / "android"
