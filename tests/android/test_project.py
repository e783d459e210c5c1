"""The Gradle project, its manifests and resources, without Gradle and without an Android SDK."""

import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from api_stubs import write_stubs
from jvm import Kotlinc, run

ANDROID = "{http://schemas.android.com/apk/res/android}"
MODULES = ("vision", "xnor", "app")

# Debian's package android-framework-res: the resources of Android 10.
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")


@pytest.fixture(scope="module")
def gradle(project: Path) -> dict[str, str]:
    """Return each module's Gradle file."""
    return {name: (project / name / "build.gradle.kts").read_text() for name in MODULES}


@pytest.fixture(scope="module")
def kotlin(project: Path) -> dict[Path, str]:
    """Return each Kotlin file of the project."""
    return {path: path.read_text() for path in project.glob("*/src/main/kotlin/**/*.kt")}


def resources(project: Path) -> dict[str, set[str]]:
    """Return the names of the app's resources by type: layout, string, id and so on."""
    found: dict[str, set[str]] = {}
    for path in (project / "app/src/main/res").rglob("*.xml"):
        folder = path.parent.name.split("-")[0]
        if folder == "values":
            for element in ElementTree.parse(path).getroot():
                found.setdefault(element.tag, set()).add(element.attrib["name"])
        else:
            found.setdefault(folder, set()).add(path.stem)
        found.setdefault("id", set()).update(re.findall(r"@\+id/(\w+)", path.read_text()))
    return found


def test_settings_name_the_modules_that_exist(project: Path) -> None:
    settings = (project / "settings.gradle.kts").read_text()
    assert set(re.findall(r'":(\w+)"', settings)) == set(MODULES)
    assert {path.parent.name for path in project.glob("*/build.gradle.kts")} == set(MODULES)


def test_gradle_files_are_balanced(project: Path) -> None:
    files = list(project.rglob("*.kts"))
    assert len(files) == 5
    for path in files:
        text = re.sub(r'"[^"\n]*"|//.*', "", path.read_text())
        assert '"' not in text, path
        while (shorter := re.sub(r"\(\s*[^(){}]*\)|\{[^(){}]*\}", "", text)) != text:
            text = shorter
        assert not set("(){}") & set(text), path


def test_the_catalogue_holds_what_is_used(project: Path, gradle: dict[str, str]) -> None:
    tomllib = pytest.importorskip("tomllib", reason="tomllib came with Python 3.11")
    catalogue: dict[str, Any] = tomllib.loads((project / "gradle/libs.versions.toml").read_text())
    text = "".join([*gradle.values(), (project / "build.gradle.kts").read_text()])
    used = set(re.findall(r"\blibs\.([\w.]+?)(?:\.get\(\)|\))", text))
    offered = {f"plugins.{name}" for name in catalogue["plugins"]} | set(catalogue["libraries"])
    read = {f"versions.{name}" for name in ("compileSdk", "minSdk")}
    assert used == {name.replace("-", ".") for name in offered} | read
    entries = (*catalogue["plugins"].values(), *catalogue["libraries"].values())
    named = {entry["version"]["ref"] for entry in entries} | {"compileSdk", "minSdk"}
    assert named == set(catalogue["versions"])
    # Google Play takes no new app for less, from August 2026 on.
    assert int(catalogue["versions"]["compileSdk"]) >= 36
    assert "targetSdk = libs.versions.compileSdk" in gradle["app"]


def test_modules_are_built_for_the_same_processors(gradle: dict[str, str]) -> None:
    for name in ("xnor", "app"):
        assert 'abiFilters += listOf("arm64-v8a", "x86_64")' in gradle[name]


def test_libraries_take_pages_of_16_kb(project: Path, checkout: Path) -> None:
    for path in (project / "xnor" / "CMakeLists.txt", checkout / "native" / "CMakeLists.txt"):
        assert "-Wl,-z,max-page-size=16384" in path.read_text(), path


def test_cmake_builds_the_runtime_and_the_gradle_file_names_it(
    project: Path, gradle: dict[str, str], checkout: Path
) -> None:
    (named,) = re.findall(r'cmake \{ path = file\("(.+?)"\) \}', gradle["xnor"])
    script = project / "xnor" / named
    (folder, _) = re.findall(r"add_subdirectory\((\S+) (\S+)\)", script.read_text())[0]
    assert (script.parent / folder).resolve() == checkout / "native"
    (sources,) = re.findall(r"SHARED ([^)]+)\)", script.read_text())
    assert {script.parent / each for each in sources.split()} == set(script.parent.rglob("*.cc"))


def test_namespaces_packages_and_folders_agree(
    project: Path, gradle: dict[str, str], kotlin: dict[Path, str]
) -> None:
    assert {path.relative_to(project).parts[0] for path in kotlin} == set(MODULES)
    for path, text in kotlin.items():
        module, *_, folder, package = path.relative_to(project).parts[:-1]
        assert re.findall(r"^package ([\w.]+)", text, re.M) == [f"{folder}.{package}"]
        assert package == module
    for name in ("xnor", "app"):
        assert f'namespace = "larqdense.{name}"' in gradle[name]


def test_the_manifest_names_classes_and_resources_that_exist(
    project: Path, kotlin: dict[Path, str]
) -> None:
    root = ElementTree.parse(project / "app/src/main/AndroidManifest.xml").getroot()
    assert "package" not in root.attrib  # the namespace stands in the Gradle file
    activities = [element.attrib[f"{ANDROID}name"] for element in root.iter("activity")]
    assert activities == [".MainActivity"]
    code = "".join(kotlin.values())
    assert "class MainActivity" in code
    asked = {each.attrib[f"{ANDROID}name"] for each in root.iter("uses-permission")}
    assert asked == {"android.permission.CAMERA"}
    assert "Manifest.permission.CAMERA" in code


def test_code_and_xml_refer_to_resources_that_exist(project: Path, kotlin: dict[Path, str]) -> None:
    offered = resources(project)
    named = re.findall(r"(?<!android\.)\bR\.(\w+)\.(\w+)", "".join(kotlin.values()))
    for path in (project / "app/src/main").rglob("*.xml"):
        named += re.findall(r'"@(\w+)/(\w+)"|>@(\w+)/(\w+)<', path.read_text())
    pairs = {tuple(part for part in each if part) for each in named}
    assert len(pairs) > 30
    assert not {pair for pair in pairs if pair[1] not in offered.get(pair[0], set())}
    used = {name for _, name in pairs}
    assert not {(kind, name) for kind in offered for name in offered[kind] - used}


def test_assets_are_neither_committed_nor_compressed(project: Path, gradle: dict[str, str]) -> None:
    assert "/app/src/main/assets/" in (project / ".gitignore").read_text().splitlines()
    assert 'noCompress += "tflite"' in gradle["app"]
    # What the empty app tells the user to type is what fills that folder.
    strings = (project / "app/src/main/res/values/strings.xml").read_text()
    assert "larq-dense convert ecssd --int8 --android android/app/src/main/assets" in strings


def test_androids_own_tool_links_the_app(project: Path, tmp_path: Path) -> None:
    if shutil.which("aapt2") is None or not FRAMEWORK.is_file():
        pytest.skip("Debian's packages aapt and android-framework-res are not there")
    compiled, manifest = tmp_path / "resources.zip", tmp_path / "AndroidManifest.xml"
    source = (project / "app/src/main/AndroidManifest.xml").read_text()
    manifest.write_text(source.replace("<manifest ", '<manifest package="larqdense.app" '))
    run("aapt2", "compile", "--dir", project / "app/src/main/res", "-o", compiled)
    versions = ("--min-sdk-version", 28, "--target-sdk-version", 29)
    output = ("-o", tmp_path / "app.apk")
    run("aapt2", "link", "-I", FRAMEWORK, "--manifest", manifest, *versions, *output, compiled)


def test_the_kotlin_compiler_takes_all_modules(
    kotlinc: Kotlinc, project: Path, tmp_path: Path
) -> None:
    stubs = tmp_path / "stubs"
    write_stubs(stubs)
    fields = {
        kind: "".join(f"public static final int {name} = 0; " for name in sorted(names))
        for kind, names in resources(project).items()
    }
    types = "".join(f"public static class {kind} {{ {text}}} " for kind, text in fields.items())
    source = tmp_path / "R.java"
    source.write_text(f"package larqdense.app; public class R {{ {types}}}")
    run("javac", "-d", stubs, source)
    sources = [project / name / "src" / "main" / "kotlin" for name in MODULES]
    kotlinc([*sources, Path(__file__).with_name("view_models.kt")], tmp_path / "app.jar", [stubs])
