"""The module xnor: its Kotlin and its C++ agree, and work together on the JVM."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from api_stubs import write_stubs
from jvm import Kotlinc, join, run

from larq_dense.runtime.engine import Engine

# Kotlin's types, and Java's descriptors of them → JNI's.
KOTLIN_TYPES = {"Int": "jint", "Long": "jlong", "ByteBuffer": "jobject", "": "void"}
DESCRIPTORS = {"I": "jint", "J": "jlong", "Ljava/nio/ByteBuffer;": "jobject", "V": "void"}

# Each class, the C++ behind it, and how many methods lie between them.
SIDES = {"XnorDelegate": ("xnor_jni.cc", 2), "XnorEngine": ("engine_jni.cc", 4)}

Signatures = dict[str, tuple[str, list[str]]]


def declared(kotlin: str) -> Signatures:
    """Return the C functions that a class's static native methods in Kotlin stand for."""
    (package,) = re.findall(r"^package ([\w.]+)", kotlin, re.M)
    name = re.findall(r"^class (\w+)", kotlin, re.M)[0]
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


def kotlin_of(project: Path, name: str) -> str:
    return (project / f"xnor/src/main/kotlin/larqdense/xnor/{name}.kt").read_text()


def cpp_of(project: Path, name: str) -> str:
    return (project / "xnor/src/main/cpp" / SIDES[name][0]).read_text()


@pytest.fixture
def kotlin(project: Path) -> str:
    return kotlin_of(project, "XnorDelegate")


@pytest.fixture
def cpp(project: Path) -> str:
    return cpp_of(project, "XnorDelegate")


@pytest.mark.parametrize("name", SIDES)
def test_kotlin_and_cpp_agree(project: Path, name: str) -> None:
    kotlin, cpp, count = kotlin_of(project, name), cpp_of(project, name), SIDES[name][1]
    assert len(declared(kotlin)) == kotlin.count("external fun") == cpp.count("JNIEXPORT") == count
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


@pytest.mark.parametrize("name", SIDES)
def test_the_loaded_library_is_the_built_one(project: Path, name: str) -> None:
    (loaded,) = re.findall(r'System\.loadLibrary\("(\w+)"\)', kotlin_of(project, name))
    assert f"add_library({loaded} SHARED" in (project / "xnor" / "CMakeLists.txt").read_text()


def test_a_delegate_and_an_engine_live_on_the_jvm(
    kotlinc: Kotlinc, kotlin_library: Path, java_home: Path, project: Path, tmp_path: Path
) -> None:
    if shutil.which("cmake") is None or shutil.which("make") is None:
        pytest.skip("the library cannot be built: cmake or make is not there")
    stubs, jar, build = (tmp_path / name for name in ("stubs", "xnor.jar", "build"))
    write_stubs(stubs)
    drivers = [Path(__file__).with_name(f"{each}Driver.kt") for each in ("Delegate", "Engine")]
    kotlinc([project / "xnor" / "src" / "main" / "kotlin", *drivers], jar, [stubs])
    for name in SIDES:
        printed = run("javap", "-p", "-s", "-cp", join([jar, stubs]), f"larqdense.xnor.{name}")
        compiled = re.findall(
            r" static .*native \S+ (\w+)\(.*\n.*descriptor: \((.*)\)(\w)", printed
        )
        assert {
            f"Java_larqdense_xnor_{name}_{method}": (
                DESCRIPTORS[result],
                [DESCRIPTORS[each] for each in re.findall(r"L[^;]+;|\w", parameters)],
            )
            for method, parameters, result in compiled
        } == defined(cpp_of(project, name))

    # On a PC the header is no part of the compiler's own, as it is in the NDK.
    headers = " ".join(f"-I{java_home / 'include' / each}" for each in (".", "linux"))
    run("cmake", "-S", project / "xnor", "-B", build, f"-DCMAKE_CXX_FLAGS={headers} -Werror")
    run("cmake", "--build", build)
    java = ["java", f"-Djava.library.path={build}", "-cp", join([jar, stubs, kotlin_library])]
    lines = run(*java, "larqdense.xnor.DelegateDriverKt").splitlines()
    assert lines == [
        "true",
        "java.lang.IllegalStateException: the XNOR delegate was closed.",
        "java.lang.IllegalArgumentException: larq_dense: num_threads must be 0 to 64, not -1",
        "true",
    ]
    check_engine([*java, "larqdense.xnor.EngineDriverKt"], tmp_path)


def check_engine(driver: list[str], folder: Path) -> None:
    """Let the driver run a network and compare what it writes with Python's engine."""
    pytest.importorskip("flatbuffers")
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "native"))
    import engine_files

    content = engine_files.encoder()
    picture = np.random.default_rng(0).integers(-128, 128, (1, 4, 6, 3)).astype(np.int8)
    network, pixels, logits = (folder / each for each in ("network", "picture", "logits"))
    network.write_bytes(content)
    pixels.write_bytes(picture.tobytes())
    engine = Engine(content)
    lines = run(*driver, network, pixels, logits).splitlines()
    assert lines == [
        f"{list(engine.inputs[0].shape)} {engine.inputs[0].scale} {engine.inputs[0].zero_point}",
        "java.lang.IllegalArgumentException: the inputs, the outputs or the number of threads "
        "(1 to 64) are not given rightly",
        "java.lang.IllegalStateException: the engine was closed.",
        "java.lang.IllegalArgumentException: the file is not in a direct buffer",
        "true",
    ]
    assert logits.read_bytes() == engine.run([picture])[0].tobytes()
