"""Build hook: compiles the native runtime into the package where `native/` can be built."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from setuptools import setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1 leaves it to the package wheel.
    from wheel.bdist_wheel import bdist_wheel

HERE = Path(__file__).resolve().parent
RUNTIME = Path("larq_dense", "runtime")


def load_native() -> ModuleType | None:
    """Return `native/build.py`, which a source tree may lack."""
    source = HERE / "native" / "build.py"
    if not source.exists():
        return None
    spec = importlib.util.spec_from_file_location("larq_dense_native_build", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build_native(output: Path) -> None:
    """Compile the shared library into `output`; without a compiler the package goes without it."""
    native = load_native()
    if native is None:
        return
    try:
        native.build(output)
    except Exception as error:  # Whatever went wrong, the package works without the library.
        print(f"larq-dense: the native runtime was not built: {error}", file=sys.stderr)


def target_platform(platform: str) -> str:
    """Return the wheel's platform: that of a cross compiler where `$CXX` names one."""
    native = load_native()
    compiler = native.find_compiler() if native else None
    target = native.find_target(compiler) if compiler else None
    # A platform that `--plat-name` asks for, such as manylinux_2_17_aarch64, stays.
    known = target and target.system == "linux" and target.machine in native.KERNEL_FLAGS
    return f"linux_{target.machine}" if known and platform.startswith("linux_") else platform


class BuildPy(build_py):
    """Copies the Python files and adds the shared library to them."""

    def run(self) -> None:
        super().run()
        build_native((HERE if self.editable_mode else Path(self.build_lib).resolve()) / RUNTIME)


class BdistWheel(bdist_wheel):
    """Tags the wheel for the library's platform, or for any platform if it holds none."""

    def run(self) -> None:
        self.run_command("build")
        built = Path(self.get_finalized_command("build").build_lib) / RUNTIME
        has_library = any(built.glob("liblarq_dense_*"))
        self.root_is_pure = not has_library
        self.distribution.has_ext_modules = lambda: has_library
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        # The library is loaded as a delegate, not as an extension module: any CPython will do.
        return ("py3", "none", target_platform(super().get_tag()[2]))


setup(cmdclass={"build_py": BuildPy, "bdist_wheel": BdistWheel})
