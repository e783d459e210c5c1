"""The module xnor: its Kotlin and its C++ agree, and work together on the JVM."""

import re
import shutil
from pathlib import Path

import pytest
from api_stubs import write_stubs
from jvm import Kotlinc, join, run

# Kotlin's types, and Java's descriptors of them → JNI's.
KOTLIN_TYPES = {"Int": "jint", "Long": "jlong", "": "void"}
DESCRIPTORS = {"I": "jint", "J": "jlong", "V": "void"}

Signatures = dict[str, tuple[str, list[str]]]


def declared(kotlin: str) -> Signatures:
    """Return the C functions that a class's static native methods in Kotlin stand for."""
    (package,) = re.findall(r"^package ([\w.]+)", kotlin, re.M)
    (name,) = re.findall(r"^class (\w+)", kotlin, re.M)
    prefix = f"Java_{package.replace('.', '_')}_{name}"
    found = re.findall(r"@JvmStatic\s+private external fun (\w+)\((.*?)\)(?:: (\w+))?", kotlin)
    return {
        f"{prefix}_{method}": (KOTLIN_TYPES[result], [KOTLIN_TYPES[t] for t in types(parameters)])
        for method, parameters, result in found
    }


def types(parameters: str) -> list[str]:
    return re.findall(r"\w+: (\w+)", parameters)


def defined(cpp: str) -> Signatures:
    """Return the static native methods that C++ defines."""
    pattern = r"JNIEXPORT (\w+) JNICALL (Java_\w+)\(\s*JNIEnv\*[^,]*,\s*jclass([^)]*)\)"
    return {
        name: (result, re.findall(r",\s*(\w+)", parameters))
        for result, name, parameters in re.findall(pattern, cpp)
    }


@pytest.fixture
def kotlin(project: Path) -> str:
    return (project / "xnor/src/main/kotlin/larqdense/xnor/XnorDelegate.kt").read_text()


@pytest.fixture
def cpp(project: Path) -> str:
    return (project / "xnor/src/main/cpp/xnor_jni.cc").read_text()


def test_kotlin_and_cpp_agree(kotlin: str, cpp: str) -> None:
    assert len(declared(kotlin)) == kotlin.count("external fun") == cpp.count("JNIEXPORT") == 2
    assert declared(kotlin) == defined(cpp)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("fun create", "fun make"),
        ("larqdense.xnor", "larqdense.other"),
        ("class XnorDelegate", "class Delegate"),
        ("create(threads: Int)", "create(threads: Long)"),
        ("create(threads: Int): Long", "create(threads: Int): Int"),
        ("destroy(handle: Long)", "destroy()"),
    ],
)
def test_a_renamed_side_is_noticed(kotlin: str, cpp: str, old: str, new: str) -> None:
    assert old in kotlin
    assert declared(kotlin.replace(old, new)) != defined(cpp)


def test_the_plug_in_is_called_as_it_is_defined(cpp: str, checkout: Path) -> None:
    delegate = (checkout / "native" / "src" / "delegate.cc").read_text()
    pattern = r"\w+\*? tflite_plugin_\w+\([^;{]*(?=[;{])"
    calls, definitions = (
        {" ".join(found.split()) for found in re.findall(pattern, source, re.S)}
        for source in (re.sub(r"\n .*(?:\w+\(|= )tflite_plugin.*", "", cpp), delegate)
    )
    assert len(calls) == 2
    assert calls == definitions


def test_the_loaded_library_is_the_built_one(kotlin: str, project: Path) -> None:
    (loaded,) = re.findall(r'System\.loadLibrary\("(\w+)"\)', kotlin)
    assert f"add_library({loaded} SHARED" in (project / "xnor" / "CMakeLists.txt").read_text()


def test_a_delegate_lives_on_the_jvm(
    kotlinc: Kotlinc, kotlin_library: Path, java_home: Path, project: Path, tmp_path: Path
) -> None:
    if shutil.which("cmake") is None or shutil.which("make") is None:
        pytest.skip("the library cannot be built: cmake or make is not there")
    stubs, jar, build = (tmp_path / name for name in ("stubs", "xnor.jar", "build"))
    write_stubs(stubs)
    own = Path(__file__).with_name("DelegateDriver.kt")
    kotlinc([project / "xnor" / "src" / "main" / "kotlin", own], jar, [stubs])
    printed = run("javap", "-p", "-s", "-cp", join([jar, stubs]), "larqdense.xnor.XnorDelegate")
    compiled = re.findall(r" static .*native \S+ (\w+)\(.*\n.*descriptor: \((\w*)\)(\w)", printed)
    assert {
        f"Java_larqdense_xnor_XnorDelegate_{name}": (
            DESCRIPTORS[result],
            [DESCRIPTORS[each] for each in parameters],
        )
        for name, parameters, result in compiled
    } == defined((project / "xnor/src/main/cpp/xnor_jni.cc").read_text())

    # On a PC the header is no part of the compiler's own, as it is in the NDK.
    headers = " ".join(f"-I{java_home / 'include' / each}" for each in (".", "linux"))
    run("cmake", "-S", project / "xnor", "-B", build, f"-DCMAKE_CXX_FLAGS={headers} -Werror")
    run("cmake", "--build", build)
    classpath = join([jar, stubs, kotlin_library])
    path = f"-Djava.library.path={build}"
    lines = run("java", path, "-cp", classpath, "larqdense.xnor.DelegateDriverKt").splitlines()
    assert lines == [
        "true",
        "java.lang.IllegalStateException: the XNOR delegate was closed.",
        "java.lang.IllegalArgumentException: larq_dense: num_threads must be 0 to 64, not -1",
        "true",
    ]
