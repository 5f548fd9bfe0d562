"""Kernels of another Debian release than this machine's are compiled in a root directory of theirs."""
import os
import pathlib
import platform
import re
import subprocess

TREE = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("KSPLICE_BUILD", TREE / "build"))


def is_of_this_machine(release: str) -> bool:
    """6.12.118+deb13-amd64 says its release of Debian, 6.1.0-50-amd64 is of 12."""
    found = re.search(r"\+deb([0-9]+)", release)
    return platform.freedesktop_os_release().get("VERSION_ID") == (found.group(1) if found else "12")


def with_root(config: str, release: str, folder: pathlib.Path) -> str:
    """The configuration directory, or for another release's kernel a copy of it in folder that names a root."""
    if is_of_this_machine(release):
        return config
    folder.mkdir(parents=True, exist_ok=True)
    for name in (".config", "System.map", "vmlinuz", "modules", "build"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(os.path.realpath(os.path.join(config, name)))
    if not (folder / "root").exists():
        subprocess.run([BUILD / "create/ksplice-create", "--make-root", "-q", f"--config={folder}"],
                       check=True, stdout=subprocess.DEVNULL)
    return str(folder)


def enter(config: str, source: str, output: str) -> list[str]:
    """The words before a command that compiles source into output with the tools of the configuration's root."""
    root = os.path.join(config, "root")
    if not os.path.exists(root):
        return []
    root = os.path.realpath(root)
    return ["bwrap", "--die-with-parent", "--unshare-net", "--ro-bind", f"{root}/usr", "/usr", "--symlink", "usr/bin", "/bin",
            "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--ro-bind", f"{root}/etc", "/etc", "--proc",
            "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--ro-bind", source, source, "--bind", output, output, "--"]
