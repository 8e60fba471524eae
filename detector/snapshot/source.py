"""From a source as the user wrote it to a snapshot, whichever kind it is of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from detector.errors import UncribError
from detector.options import Options
from detector.snapshot.address import Address, parse
from detector.snapshot.model import Snapshot


def open_source(source: str, options: Options, progress: Callable[[str, int, int], None]) -> Snapshot:
    """See `detector.snapshot.open_snapshot`."""
    address = parse(source)
    if address.kind == "git":
        from detector.snapshot.clone import open_clone  # noqa: PLC0415

        return open_clone(address, options.limits, options.offline, progress)
    if address.kind == "pypi":
        from detector.snapshot.package import open_package  # noqa: PLC0415

        return open_package(address, options.limits, options.offline, progress)
    return _open_local(address, options)


def _open_local(address: Address, options: Options) -> Snapshot:
    from detector.snapshot.folder import open_folder  # noqa: PLC0415
    from detector.snapshot.repository import git_dir_of, open_repository  # noqa: PLC0415

    path = Path(address.location)
    if not path.is_dir():
        raise UncribError(f"{address.shown} is a file; give the folder or repository that holds it")
    git_dir = git_dir_of(path)
    if git_dir is None:
        if address.revision is not None:
            raise UncribError(
                f"{path} is not a git repository, so it has no revision {address.revision}; drop it"
            )
        return open_folder(address, None, options.limits)
    if options.dirty and address.revision is None and git_dir != path.resolve():
        return open_folder(address, git_dir, options.limits)
    return open_repository(address, git_dir, options.limits)
