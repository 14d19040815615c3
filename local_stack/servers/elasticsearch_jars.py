"""Elasticsearch's server jars, from Maven Central by name, downloaded once for all stacks of a machine.

Nothing is redistributed: each user downloads them, and Elasticsearch's licences (AGPL, SSPL or Elastic) apply.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from local_stack.errors import LocalStackError

VERSION = "8.19.21"
_COORDINATES = f"org.elasticsearch:elasticsearch:{VERSION}+org.elasticsearch.plugin:transport-netty4:{VERSION}"
_DESCRIPTOR = "META-INF/es-plugins/transport-netty4/plugin-descriptor.properties"


def folder(cache: Path) -> Path:
    """Where the jars are: `lib/*` for the class path, `modules/` for Elasticsearch's own plugin loader."""
    return cache / f"elasticsearch-{VERSION}"


def ensure(cache: Path, tell: Callable[[str], None]) -> Path:
    """Download and arrange the jars unless they are there; complete or absent, also when two stacks start at once."""
    home = folder(cache)
    if home.exists():
        return home
    with FileLock(cache / "elasticsearch.lock"):  # it goes away with its holder, who downloads as long as it lives
        if not home.exists():
            tell(f"downloading {VERSION} from Maven Central (41 MB, once)")
            with tempfile.TemporaryDirectory(dir=cache, prefix="elasticsearch-part-") as part:
                try:
                    _install(Path(part))
                except Exception as error:  # the resolver raises what its HTTP library does
                    raise LocalStackError(
                        f"Elasticsearch {VERSION} could not be downloaded from Maven Central ({error}).",
                        "Check the network (a proxy's certificate goes into REQUESTS_CA_BUNDLE) and start again, or "
                        "point LOCAL_STACK_CACHE at a cache folder that has it.",
                    ) from error
                Path(part).chmod(0o755)
                Path(part).rename(home)
                Path(part).mkdir()  # for TemporaryDirectory to remove
    return home


def _install(home: Path) -> None:
    import jgo
    from jgo.maven import PythonResolver

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jgo 3.2 looks for folders that it doesn't use
        environment = jgo.build(_COORDINATES, cache_dir=home / "download", resolver=PythonResolver())
    lib, netty = home / "lib", home / "modules" / "transport-netty4"
    lib.mkdir()
    netty.mkdir(parents=True)
    for jar in map(Path, environment.all_jars):
        belongs_to_plugin = jar.name.startswith(("netty-", "transport-netty4"))
        shutil.copy2(jar, netty if belongs_to_plugin else lib)
        if jar.name.startswith("transport-netty4"):
            descriptor = zipfile.ZipFile(jar).read(_DESCRIPTOR).decode().splitlines()
            # Not as a Java module: the wheel's runtime has no jdk.jlink, which the entitlement module requires (8.19).
            kept = [line for line in descriptor if not line.startswith("modulename")]
            (netty / "plugin-descriptor.properties").write_text("\n".join(kept))
    shutil.rmtree(home / "download")
