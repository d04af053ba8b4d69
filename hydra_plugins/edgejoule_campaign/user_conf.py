"""Hydra's search path: ``conf`` of the working folder comes before the suite's own, so a user's options count there.

Other programs of the same environment that use Hydra discover this plug-in too; their search paths stay as they are.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from bench.common.paths import CONF, user_conf
from bench.common.user_error import UserError

SCHEME = "file://"
PRIMARY = "config.yaml"
MARK = "hydra/launcher: campaign"
"""Stands in every copy of the suite's primary configuration."""


class UserConf(SearchPathPlugin):
    """Puts the user's folder in front of ``main`` where that is the suite's."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra for every composition."""
        folder = user_conf()
        suite = {str(CONF), f"{SCHEME}{CONF}"}
        if folder is not None and any(entry.path in suite for entry in search_path.get_path()):
            _check_primary(folder / PRIMARY)
            search_path.prepend("edgejoule-user", f"{SCHEME}{folder}", "main")


def _check_primary(path: Path) -> None:
    """Raise UserError where Hydra would compose another program's configuration in the place of the suite's."""
    if path.is_file() and MARK not in path.read_text(errors="replace"):
        raise UserError(f"{path} is not a configuration of EdgeJoule and would replace its own; rename it, or run elsewhere")
